"""scripts/setup with a stand-in for Python that only notes what it is asked: nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TOOLS = (
    "bash", "cat", "chmod", "cksum", "cp", "dirname", "env", "grep", "head", "mkdir", "mv", "readlink", "rm", "sed",
    "tail",
)  # fmt: skip
STAND_IN = """#!/usr/bin/env bash
echo "$*" >>"$ASKED"
case "$*" in
    *"(3, 11)"*) exit "${TOO_OLD:-0}" ;;
    *ensurepip*) exit "${NO_ENSUREPIP:-0}" ;;
    *version_info*) echo python3.11-venv ;;
    "-m venv"*) rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    -V | -VV) echo "Python ${VERSION:-3.11.7}" ;;
    *"-m uv pip install"*) exit "${UV_FAILS:-0}" ;;
esac
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a stand-in written for bash")


@dataclass
class Checkout:
    """A copy of what scripts/setup reads, beside a PATH that holds nothing else than it needs."""

    folder: Path
    path: Path
    asked: Path
    settings: dict[str, str] = field(default_factory=dict)

    def setup(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.path), "ASKED": str(self.asked)} | self.settings | settings
        self.asked.write_text("")
        return subprocess.run(
            [self.folder / "scripts" / "setup", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def made(self) -> bool:
        """Whether the last run made the environment anew."""
        return "-m venv --clear .venv" in self.asked.read_text()

    @property
    def installed(self) -> list[str]:
        """What the last run gave to uv, one string a call."""
        return [line for line in self.asked.read_text().splitlines() if "-m uv pip install" in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder, path = tmp_path / "repository", tmp_path / "bin"
    (folder / "scripts").mkdir(parents=True)
    path.mkdir()
    for name in ("requirements.txt", "overrides.txt", "setup.cfg", "pyproject.toml", "scripts/setup"):
        shutil.copy2(ROOT / name, folder / name)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (path / tool).symlink_to(found)
    (path / "python3").write_text(STAND_IN)
    (path / "python3").chmod(0o755)
    return Checkout(folder, path, tmp_path / "asked")


def test_a_first_setup_installs_the_pins_then_the_project(checkout: Checkout) -> None:
    done = checkout.setup()
    assert done.returncode == 0, done.stderr
    assert checkout.made
    pins, project = checkout.installed
    assert pins.endswith("--compile-bytecode --requirement requirements.txt --override overrides.txt")
    assert "--no-deps" in project
    assert project.endswith("--editable .")


def test_a_second_setup_installs_nothing(checkout: Checkout) -> None:
    checkout.setup()
    done = checkout.setup()
    assert done.stdout == "Nothing to do: .venv is up to date.\n"
    assert checkout.asked.read_text().split() == ["-VV"]
    assert checkout.setup("--quiet").stdout == ""


def test_changed_pins_are_installed_into_the_same_environment(checkout: Checkout) -> None:
    checkout.setup()
    with (checkout.folder / "requirements.txt").open("a") as file:
        file.write("one-more==1.0\n")
    assert checkout.setup().returncode == 0
    assert not checkout.made
    assert len(checkout.installed) == 2


def test_an_interrupted_installation_is_made_anew(checkout: Checkout) -> None:
    assert checkout.setup(UV_FAILS="1").returncode != 0
    assert checkout.setup().returncode == 0
    assert checkout.made
    checkout.setup()
    assert not checkout.installed


def test_another_python_or_another_place_makes_it_anew(checkout: Checkout) -> None:
    checkout.setup()
    assert checkout.setup(VERSION="3.12.1").returncode == 0
    assert checkout.made
    moved = Checkout(
        checkout.folder.rename(checkout.folder.with_name("moved")), checkout.path, checkout.asked
    )
    assert moved.setup(VERSION="3.12.1").returncode == 0
    assert moved.made


def test_without_a_python_that_fits_it_says_which_are_wanted(checkout: Checkout) -> None:
    done = checkout.setup(TOO_OLD="1", VERSION="3.9.2")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert "Python 3.9.2" in done.stderr


def test_a_python_that_was_named_must_fit(checkout: Checkout) -> None:
    done = checkout.setup(DERM_PYTHON="/nowhere/python")
    assert done.returncode == 2
    assert "'/nowhere/python'" in done.stderr


def test_without_ensurepip_it_names_debians_package(checkout: Checkout) -> None:
    done = checkout.setup(NO_ENSUREPIP="1")
    assert done.returncode == 2
    assert "apt-get install python3.11-venv" in done.stderr


def test_a_chosen_index_serves_torch_alone_and_is_remembered(checkout: Checkout) -> None:
    index = "https://mirror.example/cpu"
    assert checkout.setup(DERM_TORCH_INDEX_URL=index).returncode == 0
    torch, others, _ = checkout.installed
    assert f"--no-deps --default-index {index} torch==" in torch
    assert " torchvision==" in torch
    assert index not in others
    left = (checkout.folder / ".venv" / "requirements-without-cuda.txt").read_text()
    assert "\nnvidia-" not in left
    assert "\ntorch==" in left
    assert checkout.setup().stdout.startswith("Nothing to do")
    (checkout.folder / "overrides.txt").write_text("pillow>=13.0.0\n")
    checkout.setup()
    assert index in checkout.installed[0]


def test_the_remembered_index_is_for_its_owner_alone(checkout: Checkout) -> None:
    checkout.setup(DERM_TORCH_INDEX_URL="https://user:secret@mirror.example/cpu")
    assert (checkout.folder / ".venv" / "torch-index").stat().st_mode & 0o077 == 0


def test_another_index_makes_it_anew(checkout: Checkout) -> None:
    checkout.setup()
    assert checkout.setup(DERM_TORCH_INDEX_URL="https://mirror.example/cpu").returncode == 0
    assert checkout.made


def test_a_mirror_named_to_pip_serves_uv_too(checkout: Checkout) -> None:
    (checkout.path / "python3").write_text(STAND_IN.replace('"$*" >>', '"$UV_DEFAULT_INDEX $*" >>'))
    checkout.setup(PIP_INDEX_URL="https://mirror.example/simple")
    assert "https://mirror.example/simple -m uv" in checkout.asked.read_text()


def test_a_folder_of_wheels_named_to_pip_serves_uv_too(checkout: Checkout) -> None:
    (checkout.path / "python3").write_text(STAND_IN.replace('"$*" >>', '"${UV_FIND_LINKS:-} $*" >>'))
    checkout.setup(PIP_NO_INDEX="1", PIP_FIND_LINKS="wheels")
    assert len(checkout.installed) == 2
    for line in checkout.installed:
        assert line.startswith("wheels -m uv pip install")
        assert " --no-index " in line


def test_it_needs_no_home_and_no_cache_where_it_may_not_write(checkout: Checkout) -> None:
    (checkout.path / "python3").write_text(STAND_IN.replace('"$*" >>', '"${UV_NO_CACHE:-} $*" >>'))
    assert checkout.setup().returncode == 0
    assert "1 -m uv" in checkout.asked.read_text()


def test_an_unknown_argument_is_refused(checkout: Checkout) -> None:
    done = checkout.setup("--fast")
    assert done.returncode == 2
    assert done.stderr == "error: scripts/setup does not know '--fast' (see scripts/setup --help)\n"


def test_an_environment_that_is_linked_from_elsewhere_is_left_as_it_is(
    checkout: Checkout, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "package.py").write_text("")
    (checkout.folder / ".venv").symlink_to(theirs)
    done = checkout.setup()
    assert done.returncode == 2
    assert done.stderr == (
        f"error: .venv is a link to {theirs}, whose packages are not this folder's to change. Remove the link and run "
        "scripts/setup again.\n"
    )
    assert [path.name for path in theirs.iterdir()] == ["package.py"]
    assert not checkout.made
