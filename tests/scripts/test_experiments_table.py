"""The table that sets our runs beside what was published, from real run folders of a tiny network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from derm_core.training.loop import fit
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.tiny import tiny_config

SCRIPT = Path(__file__).parents[2] / "scripts" / "experiments_table.py"
LIST = """introduction = "# Ours and theirs"

[[experiment]]
source = "2"
experiment = "From scratch"
reported = "test F1 0.691"
run = "one"
data = "set"
differs = "a tiny network"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiments")
    dataset = coloured_dataset(folder / "data" / "set", train=24, valid=9)
    fit(tiny_config(epochs=1), dataset, folder / "runs" / "one")
    return folder


def call(folder: Path, listed: str) -> subprocess.CompletedProcess[str]:
    (folder / "list.toml").write_text(listed, "utf-8")
    words = ["list.toml", "--runs", "runs", "--data", "data", "--out", "table.md"]
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], cwd=folder, capture_output=True, text=True, timeout=120
    )


def test_a_run_stands_beside_what_was_published(folder: Path) -> None:
    done = call(folder, LIST)
    assert done.returncode == 0, done.stderr
    text = (folder / "table.md").read_text("utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| 1 |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:4] == ["2", "From scratch", "test F1 0.691"]
    assert cells[-3:] == ["24 photographs, 1 epochs, best 1", "9 photographs of 9 lesions", "a tiny network"]
    assert all("–" in cell for cell in cells[4:9])
    assert "scripts/train.py tiny" in text
    assert text.startswith("# Ours and theirs")


def test_an_entry_that_lacks_a_key_is_one_clear_line(folder: Path) -> None:
    done = call(folder, LIST.replace('run = "one"\n', ""))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "run" in done.stderr
