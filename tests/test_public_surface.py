"""The names that derm_core offers: complete, sorted, in the README, and cheap to import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import derm_core

ROOT = Path(__file__).parent.parent


def names_in_readme() -> list[str]:
    section = (ROOT / "README.md").read_text("utf-8").partition("\n### Public names\n")[2].partition("\n#")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_the_readme_lists_exactly_the_public_names() -> None:
    assert sorted(names_in_readme()) == sorted(derm_core.__all__)


def test_no_public_name_is_listed_twice() -> None:
    assert len(set(derm_core.__all__)) == len(derm_core.__all__)
    assert len(set(names_in_readme())) == len(names_in_readme())


@pytest.mark.parametrize("name", derm_core.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(derm_core, name) is not None
    assert name in dir(derm_core)


def test_a_type_checker_sees_the_same_names() -> None:
    tree = ast.parse((ROOT / "derm_core" / "__init__.py").read_text("utf-8"))
    guarded = [node for node in tree.body if isinstance(node, ast.If)]
    seen = [
        alias.name
        for block in guarded
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(seen) == sorted(derm_core.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_pedictor'"):
        _ = derm_core.load_pedictor


@pytest.mark.parametrize(
    "statement",
    [
        "import derm_core",
        "from derm_core import DIAGNOSES, NOTICE, TASKS, DermError, load_image",
        "import derm_core; dir(derm_core)",
    ],
)
def test_what_needs_no_pytorch_does_not_import_it(statement: str) -> None:
    code = f"import sys; {statement}; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
