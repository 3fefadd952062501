"""The pins of requirements.txt: complete, within the ranges of setup.cfg, and with one known conflict."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SUPPORTED = ("3.11", "3.12", "3.13")
KNOWN_CONFLICT = re.compile(r"gradio \S+ has requirement pillow<13\S*, but you have pillow 13\S*\.")


def lines_of(text: str) -> list[str]:
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def pins() -> dict[str, Requirement]:
    parsed = map(Requirement, lines_of((ROOT / "requirements.txt").read_text("utf-8")))
    return {canonicalize_name(pin.name): pin for pin in parsed}


def ranges() -> list[Requirement]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    extras = config["options.extras_require"].values()
    return [
        Requirement(line)
        for text in (config["options"]["install_requires"], *extras)
        for line in lines_of(text)
    ]


def test_every_requirement_is_pinned_exactly() -> None:
    assert [str(pin) for pin in pins().values() if not re.fullmatch(r"==[^*]+", str(pin.specifier))] == []


@pytest.mark.parametrize("wanted", ranges(), ids=lambda wanted: wanted.name)
def test_every_range_of_the_package_holds_its_pin(wanted: Requirement) -> None:
    pin = pins()[canonicalize_name(wanted.name)]
    version = str(pin.specifier).removeprefix("==")
    assert wanted.specifier.contains(version), f"{wanted} does not admit {pin}"


def test_python_3_11_to_3_13_and_torch_from_2_10_are_admitted() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    pythons = SpecifierSet(config["options"]["python_requires"])
    assert [minor for minor in range(8, 17) if f"3.{minor}" in pythons] == [11, 12, 13]
    (torch,) = [wanted for wanted in ranges() if wanted.name == "torch"]
    assert str(torch.specifier) == ">=2.10"


@pytest.mark.parametrize("python", SUPPORTED)
def test_what_an_installed_package_needs_is_pinned_for_every_python(python: str) -> None:
    environment = dict(default_environment()) | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": "",
    }
    known = pins()
    missing = [
        f"{name} needs {need}"
        for name, pin in known.items()
        for installed in distributions(name=pin.name)
        for need in map(Requirement, installed.requires or ())
        if need.marker is not None
        and "extra" not in str(need.marker)
        and need.marker.evaluate(environment)
        and canonicalize_name(need.name) not in known
    ]
    assert missing == []


def test_the_installed_packages_fit_but_for_the_known_conflict() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        capture_output=True,
        text=True,
        check=False,
    )
    conflicts = [line for line in done.stdout.splitlines() if line != "No broken requirements found."]
    assert [line for line in conflicts if not KNOWN_CONFLICT.fullmatch(line)] == []
    # Once Gradio admits Pillow 13, overrides.txt has done its duty and can go.
    assert conflicts, "overrides.txt is needed no more"
