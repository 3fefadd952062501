"""Data flows one way: reads every import, also inside functions, and holds the layers. Runs no code of the product."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import derm_core

ROOT = Path(__file__).parent.parent

LAYERS = (
    {"ahead", "errors", "file_lock", "heic", "lasting", "upright", "zip_end"},
    {"diagnoses", "files", "images"},
    {"data", "models"},
    {"evaluation", "explanation"},
    {"training", "serving"},
    {"experiments", "interchange", "reporting"},
)
"""The parts of derm_core from the bottom up. A part imports itself and lower layers, never one beside it."""
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

FOREIGN = {
    "derm_core": {"_cli", "alembic", "desktop", "flask", "flask_login", "flask_migrate", "flask_sqlalchemy",
                  "flask_wtf", "gradio", "scripts", "sqlalchemy", "tests", "web", "werkzeug", "wtforms"},
    "web": {"_cli", "captum", "desktop", "gradio", "scripts", "tests", "torch", "torchvision"},
    "desktop": {"_cli", "captum", "flask", "scripts", "tests", "torch", "torchvision", "web"},
}  # fmt: skip
"""What each package never imports: derm_core knows no website, web and desktop know neither torch nor each other."""
RUNS_THE_MODEL = "load_predictor"


@dataclass(frozen=True)
class Import:
    """`module` as written or resolved, and the `name` taken from it ("" for a plain import)."""

    module: str
    name: str = ""


def imports_of(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Yields every import in a module's source, wherever it stands; relative ones are resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".")
                parents = here[: len(here) - node.level + is_package]
                base = ".".join([*parents, *filter(None, [node.module])])
            yield from (Import(base, alias.name) for alias in node.names)


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Returns one sentence for each import that the layers forbid."""
    package = module.partition(".")[0]
    found = []
    for item in imports_of(source, module, is_package=is_package):
        top = item.module.partition(".")[0]
        if top in FOREIGN[package]:
            found.append(f"{module} imports {top}, which {package} does not know")
        elif top == "derm_core":
            found += _inside(module, item) if package == "derm_core" else _from_outside(module, item)
    return found


def _inside(module: str, item: Import) -> list[str]:
    if module == "derm_core":
        return []  # The public surface names whatever it offers.
    own = module.split(".")[1]
    other = item.module.split(".")[1] if "." in item.module else item.name
    if other not in LEVEL:
        return [
            f"{module} imports {other or 'the public surface'} from derm_core; wanted: the module that holds it"
        ]
    if own == other or LEVEL[other] < LEVEL[own]:
        return []
    return [f"{module} ({own}) imports {other}, which does not stand below it"]


def _from_outside(module: str, item: Import) -> list[str]:
    if item.module != "derm_core":
        return [f"{module} imports {item.module}; wanted: names from derm_core itself"]
    if item.name and item.name not in derm_core.__all__:
        return [f"{module} imports {item.name}, which is not in derm_core.__all__"]
    return []


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def violations_in(path: Path) -> list[str]:
    return violations(path.read_text("utf-8"), module_of(path), is_package=path.stem == "__init__")


@pytest.mark.parametrize("package", FOREIGN)
def test_every_import_points_downwards(package: str) -> None:
    assert [sentence for path in files_of(package) for sentence in violations_in(path)] == []


def test_every_part_of_derm_core_has_its_layer() -> None:
    parts = {
        path.relative_to(ROOT / "derm_core").parts[0].removesuffix(".py") for path in files_of("derm_core")
    }
    assert parts - {"__init__", "recipes", "bundled"} <= set(LEVEL)


def test_one_file_of_the_website_runs_the_model() -> None:
    runners = {
        path.name
        for path in files_of("web")
        for item in imports_of(path.read_text("utf-8"), module_of(path))
        if RUNS_THE_MODEL in (item.name, item.module.rpartition(".")[2])
    }
    assert len(runners) <= 1, runners


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("derm_core.data.table", "from derm_core.training.loop import fit"),
        ("derm_core.data.table", "from derm_core.models import build_model"),
        ("derm_core.data.table", "def read():\n    import derm_core.serving.bundle"),
        ("derm_core.data.table", "from ..training import loop"),
        ("derm_core.data.table", "from derm_core import experiments"),
        ("derm_core.data.table", "from derm_core import load_predictor"),
        ("derm_core.data.table", "import derm_core"),
        ("derm_core.serving.predictor", "from derm_core.training.config import Config"),
        ("derm_core.training.loop", "from derm_core.serving import bundle"),
        ("derm_core.evaluation.metrics", "from derm_core.explanation.grad_cam import grad_cam"),
        ("derm_core.errors", "from derm_core.diagnoses import NOTICE"),
        ("derm_core.images", "from flask import current_app"),
        ("derm_core.images", "import web.models"),
        ("web.inference", "import torch"),
        ("web.inference", "def late():\n    from torch import nn"),
        ("web.inference", "from derm_core.serving.predictor import load_predictor"),
        ("web.inference", "from derm_core import serving"),
        ("web.inference", "from desktop import build_interface"),
        ("desktop.interface", "import web"),
    ],
)
def test_a_forbidden_import_is_noticed(module: str, source: str) -> None:
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("derm_core.data.table", "from derm_core.errors import DatasetError\nfrom .splits import k_folds"),
        ("derm_core.experiments.selection", "from derm_core.serving.bundle import save_bundle"),
        ("derm_core.serving.predictor", "import torch\nfrom derm_core.explanation.grad_cam import grad_cam"),
        ("web.inference", "from derm_core import NOTICE, load_predictor\nimport flask"),
    ],
)
def test_a_rightful_import_is_left_alone(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_a_package_resolves_its_own_relative_imports() -> None:
    source = "from .grad_cam import grad_cam\nfrom ..serving import bundle"
    assert list(imports_of(source, "derm_core.explanation", is_package=True)) == [
        Import("derm_core.explanation.grad_cam", "grad_cam"),
        Import("derm_core.serving", "bundle"),
    ]
