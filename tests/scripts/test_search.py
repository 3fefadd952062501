"""The command line of search: what it refuses, what it shows, and a kill in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from _cli import run_command

import pytest
import search

from derm_core.data.table import Dataset
from derm_core.training.records import read_records
from tests.derm_core.data.coloured import coloured_dataset

SCRIPT = Path(search.__file__)
RECIPE = """
[data]
task = "nv-bkl-mel"
image_size = 32
working_side = 40

[model]
architecture = "shufflenet_v2_x0_5"
pretrained = false

[training]
epochs = 2
batch_size = 8
device = "cpu"
precision = "float32"
threads = 1
checkpoint_seconds = 0.0
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return coloured_dataset(tmp_path_factory.mktemp("data") / "set", train=24, valid=9)


def status_of(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    """Runs the command in this process and returns the status that it would end with."""
    monkeypatch.setattr(sys, "argv", ["search.py", *map(str, arguments)])
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    with pytest.raises(SystemExit) as ended:
        run_command(search.main)
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--over", "training.epoch=[1]"], "error: Unknown setting 'training.epoch'."),
        (["--over", "training.epochs=[1,0]"], "error: training.epochs is 0; it must be"),
        (["--over", "training.epochs=some"], "error: training.epochs=some says neither which values"),
        (["--over", "training.seed=[1]", "--trials", "0"], "error: A search of 0 trials finds nothing"),
        (["--over", "training.seed=[1]", "--set", "training.seed=2"], "error: training.seed is both set"),
        (["--over", "training.seed=[1]", "--workers", "0"], "error: --workers is 0; it must be 1 or more."),
        (["--over", "training.seed=[1]", "--method", "anneal"], "error: argument --method: invalid choice"),
        ([], "error: the following arguments are required: --over"),
    ],
)
def test_a_wrong_search_ends_with_2_and_one_line_before_any_data_is_read(
    words: list[str],
    message: str,
    recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = ("--data", tmp_path / "not there", "--out", tmp_path / "search")
    assert status_of(monkeypatch, recipe, *paths, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)
    assert not (tmp_path / "search").exists()


def test_a_person_sees_the_trials_the_table_and_what_to_do_next(
    recipe: Path,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [recipe, "--data", dataset.folder, "--out", tmp_path / "search", "--method", "grid"]
    words += ["--over", "training.learning_rate=[1e-4,1e-3]", "--over", "training.seed=[7]"]
    words += ["--set", "training.epochs=1", "--json", tmp_path / "table.json"]
    assert status_of(monkeypatch, *words) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == "| trial | macro_f1 | state | epochs | training.learning_rate | training.seed |"
    assert len(lines) == 2 + 2 + 4
    assert lines[5].startswith(f"Best: {tmp_path / 'search' / 'trial-000'}")
    assert lines[6].startswith("Its settings: --set training.epochs=1 --set training.learning_rate=0.")
    assert "select_model.py" in lines[7]
    assert "trial-0000 begins: training.learning_rate=0.0001, training.seed=7" in shown.err
    assert "epoch 1/1: 24/24 images (100%)" in shown.err
    assert "trial-0001: macro_f1 " in shown.err
    table = json.loads((tmp_path / "table.json").read_text())
    assert table == json.loads((tmp_path / "search" / "search.json").read_text())
    # Once more, for standard output.
    assert status_of(monkeypatch, *words[:-1], "-") == 0
    assert json.loads(capsys.readouterr().out) == table


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX systems do")
def test_a_search_that_was_killed_goes_on_with_the_same_command(
    recipe: Path,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "search"
    words = [
        recipe,
        "--data",
        dataset.folder,
        "--out",
        out,
        "--method",
        "grid",
        "--over",
        "training.seed=[1,2]",
    ]
    words += ["--set", "training.epochs=4"]
    started = subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (out / "trial-0000" / "records" / "epoch-0001.parquet").exists():
        assert started.poll() is None
        time.sleep(0.005)
    started.kill()
    assert started.wait() < 0
    before = len(read_records(out / "trial-0000"))
    assert before < 4, "the kill came too late to matter"

    assert status_of(monkeypatch, *words) == 0
    shown = capsys.readouterr().err
    assert "trial-0000 goes on: training.seed=1" in shown
    assert "trial-0001 begins: training.seed=2" in shown
    assert "epoch 1/4" in shown.partition("trial-0001 begins")[2]
    killed = json.loads((out / "search.json").read_text())
    words[4] = tmp_path / "whole"
    assert status_of(monkeypatch, *words) == 0
    assert json.loads((tmp_path / "whole" / "search.json").read_text()) == killed


def test_workers_side_by_side_print_lines(capsys: pytest.CaptureFixture[str]) -> None:
    shown = search.EpochLines("trial-0003")
    shown.prepare(100)(10)
    shown.begin_epoch(2, 5, 10, 0, 8)
    shown.end_step(0.5, None)
    record = {"epoch": 2, "train_loss": 0.5, "valid_loss": 0.25, "balanced_accuracy": 0.75, "macro_f1": 0.625}
    shown.end_epoch(record | {"macro_auc": None}, best=True)
    assert capsys.readouterr().err == (
        "trial-0003, epoch 2/5: train_loss 0.5000, valid_loss 0.2500, balanced_accuracy 0.7500, macro_f1 0.6250 "
        "(best)\n"
    )
