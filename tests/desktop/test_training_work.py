"""What the process of a job does: audits, trains, measures and registers by the core, and ends in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from derm_core import Dataset, default_registry, load_predictor, read_records
from desktop.training_job import Job, JobProcess, JobState, write_values
from desktop.training_work import do
from tests.desktop.tiny_training import tiny_dataset, train_task


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    assert done(folder / "job", train_task(folder / "run", dataset, epochs=1)).state == "done"
    return folder / "run"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))


def done(folder: Path, task: dict[str, Any]) -> JobState:
    """Does a task in this process and returns how it ended."""
    folder.mkdir(exist_ok=True)
    write_values(folder / "task.json", task)
    do(JobProcess(folder), folder)
    return Job(folder).state()


def test_a_dataset_is_looked_over_and_its_page_written(dataset: Dataset, tmp_path: Path) -> None:
    state = done(tmp_path / "job", {"do": "audit", "dataset": str(dataset.folder)})
    assert state.state == "done"
    assert state.result["pictures"] == 84
    assert state.result["fingerprint"] == dataset.fingerprint()
    assert (tmp_path / "job" / "audit.html").is_file()


def test_a_run_is_measured_with_its_report(
    run: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The files of the figures are most of the time, and tested with the core's report.
    monkeypatch.setattr("derm_core.experiments.report.save_figure", lambda figure, folder: None)
    task = {"do": "evaluate", "run": str(run), "dataset": str(dataset.folder), "split": "", "epoch": 1}
    state = done(tmp_path / "job", task)
    assert (state.state, state.problem) == ("done", "")
    assert (state.result["photographs"], state.result["lesions"]) == (24, 24)
    low, high = state.result["ci95"]["balanced_accuracy"]
    assert low <= state.result["figures"]["balanced_accuracy"] <= high
    assert (tmp_path / "job" / "report" / "report.html").is_file()
    assert state.progress["step"] == "draw"


def test_a_run_becomes_a_registered_model_with_thresholds_that_answers(
    run: Path, dataset: Dataset, tmp_path: Path
) -> None:
    told = {"do": "register", "run": str(run), "dataset": str(dataset.folder), "name": "clinic"}
    for version in (1, 2):
        state = done(tmp_path / "job", told)
        assert (state.problem, state.result["model"]) == ("", f"clinic@{version}")
    assert [entry.serves for entry in default_registry().entries()] == [True, False]
    description = load_predictor("clinic@2").description
    assert (description.name, description.version) == ("clinic", "2")
    assert description.operating_point.name == "sensitivity-0.95"
    assert description.operating_point.sensitivity is not None


def test_a_stop_leaves_a_run_that_goes_on(dataset: Dataset, tmp_path: Path) -> None:
    job, task = tmp_path / "job", train_task(tmp_path / "run", dataset, epochs=1)
    job.mkdir()
    (job / "stop").touch()
    assert done(job, task).state == "stopped"
    (job / "stop").unlink()
    assert done(job, task | {"resume": True}).state == "done"
    assert read_records(tmp_path / "run")["epoch"].tolist() == [1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dataset": "/nowhere"}, "/nowhere is not a dataset folder"),
        ({"overrides": ["training.epoch=3"]}, "Unknown setting 'training.epoch'"),
        ({"recipe": ""}, "is not a run folder"),
    ],
)
def test_what_the_core_refuses_is_one_sentence(
    change: dict[str, Any], sentence: str, dataset: Dataset, tmp_path: Path
) -> None:
    state = done(tmp_path / "job", train_task(tmp_path / "run", dataset, epochs=1) | change)
    assert state.state == "failed"
    assert sentence in state.problem
    assert not (tmp_path / "run").exists()


def test_a_run_is_never_written_over(run: Path, dataset: Dataset, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    state = done(tmp_path / "job", train_task(run, dataset, epochs=1))
    assert state.state == "failed"
    assert "exists already" in state.problem
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "Choose a smaller batch"),
        (OSError(28, "No space left on device"), "(No space left on device)"),
        (RuntimeError("size mismatch"), "has no words here"),
    ],
)
def test_a_fault_is_told_in_words(
    fault: Exception, sentence: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr("derm_core.fit", fail)
    state = done(tmp_path / "job", train_task(tmp_path / "run", dataset, epochs=1))
    assert state.state == "failed"
    assert sentence in state.problem


def test_its_process_starts_without_what_it_may_not_need() -> None:
    code = "import sys, desktop.training_work; print({'gradio', 'torch', 'pandas'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
