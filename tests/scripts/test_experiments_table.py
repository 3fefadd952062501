"""The table that sets our runs beside what was published, from real run folders of a tiny network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from derm_core.training.loop import fit
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.tiny import tiny_config
from tests.scripts.test_search import RECIPE

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


GRID = """
[[grid]]
title = "The whole grid"
search = "grid"
data = "set"
down = "training.weight_decay"
across = "training.label_smoothing"
figure = "macro_f1"
words = "Two settings."
"""


def search(folder: Path, *over: str) -> None:
    shutil.rmtree(folder / "runs" / "grid", ignore_errors=True)
    (folder / "tiny.toml").write_text(RECIPE, "utf-8")
    words = [
        "tiny.toml",
        "--data",
        "data/set",
        "--out",
        "runs/grid",
        "--method",
        "grid",
        "--set",
        "training.epochs=1",
    ]
    for setting in over:
        words += ["--over", setting]
    subprocess.run(
        [sys.executable, str(SCRIPT.with_name("search.py")), *words],
        cwd=folder,
        capture_output=True,
        timeout=240,
        check=True,
    )


def test_a_grid_is_a_table_of_its_own_with_intervals_and_its_command(folder: Path) -> None:
    search(folder, "training.weight_decay=[0.1, 0.01]", "training.label_smoothing=[0.0, 0.2]")
    done = call(folder, LIST + GRID)
    assert done.returncode == 0, done.stderr
    assert "1 experiments, 1 grids" in done.stdout
    _, _, section = (folder / "table.md").read_text("utf-8").partition("## The whole grid")
    header, _, *rows = [line for line in section.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "weight_decay down, label_smoothing across",
        "0",
        "0.2",
    ]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]
    assert [line[0] for line in cells] == ["0.01", "0.1"]
    assert all(
        re.fullmatch(r"\d\.\d{3} \(\d\.\d{3}–\d\.\d{3}\)", cell) for line in cells for cell in line[1:]
    )
    assert "--method grid --over 'training.weight_decay=[0.1, 0.01]'" in section


def test_a_grid_with_a_hole_says_which_cell_is_missing(folder: Path) -> None:
    search(folder, "training.class_weights=[none, sqrt]", "training.label_smoothing=[0.0, 0.2]")
    path = folder / "runs" / "grid" / "search.json"
    found = json.loads(path.read_text("utf-8"))
    gone = {"training.class_weights": "sqrt", "training.label_smoothing": 0.2}
    found["trials"] = [trial for trial in found["trials"] if trial["settings"] != gone]
    path.write_text(json.dumps(found), "utf-8")
    done = call(folder, LIST + GRID.replace("training.weight_decay", "training.class_weights"))
    assert done.returncode == 2
    assert "no trial with training.class_weights=sqrt and training.label_smoothing=0.2." in done.stderr


def test_a_grid_by_an_unknown_figure_is_refused_with_those_there_are(folder: Path) -> None:
    done = call(folder, LIST + GRID.replace("macro_f1", "f1"))
    assert done.returncode == 2
    assert "'f1'; it must be one of accuracy, balanced_accuracy, macro_f1" in done.stderr
