"""Training runs in processes of their own: they outlive the app, are found again, stopped and continued alike."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from derm_core import BundleError, ConfigError, Dataset, DatasetError
from desktop.training_job import JobProcess, process_start, write_values
from desktop.training_runs import TEST, TrainingRun, find_run, free_name, known_runs
from tests.derm_core.training.tiny import differences
from tests.desktop.tiny_training import RECIPE, TINY, tiny_dataset, wait_until

LINUX = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="kills and looks at processes in /proc"
)
# Begins a run as the app does, and stays there as the app would.
APP = """
import sys, time
from pathlib import Path
from desktop.training_runs import TrainingRun

name, dataset, recipe, *words = sys.argv[1:]
TrainingRun(name).begin(Path(dataset), recipe, words)
print("begun", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def unstarted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Starts no process, and keeps what would have been done."""
    tasks: list[dict[str, object]] = []
    monkeypatch.setattr("desktop.training_job.Job.start", lambda self, task: tasks.append(dict(task)))
    return tasks


@pytest.fixture
def killed_app(home: Path, dataset: Dataset) -> Iterator[TrainingRun]:
    """A run whose app was killed in its first epochs."""
    words = [sys.executable, "-W", "ignore", "-c", APP, "run", str(dataset.folder), RECIPE]
    overrides = [*TINY, "training.epochs=4", "training.checkpoint_seconds=0.0"]
    root = Path(__file__).parents[2]
    with subprocess.Popen([*words, *overrides], cwd=root, stdout=subprocess.PIPE) as app:
        assert app.stdout is not None
        assert app.stdout.readline() == b"begun\n"
        run = TrainingRun("run")
        wait_until(lambda: (run.folder / "last.pt").exists(), run.training)
        app.send_signal(signal.SIGKILL)
    yield run
    run.training.stop()
    wait_until(lambda: run.active is None, run.training)


@LINUX
def test_a_training_outlives_its_app_is_cut_off_and_goes_on_to_the_same_weights(
    killed_app: TrainingRun, dataset: Dataset
) -> None:
    (found,) = known_runs()
    assert (found.name, found.state) == ("run", "running")
    assert found.about["dataset"] == str(dataset.folder)
    with pytest.raises(ConfigError, match="run is being trained"):
        TrainingRun("another").begin(dataset.folder, RECIPE, [])

    # The machine goes down as well.
    for process in processes_of(found):
        os.kill(process, signal.SIGKILL)
    wait_until(lambda: found.state == "cut off", found.training)
    cut_off = torch.load(found.folder / "last.pt", weights_only=True)["step"]

    found.resume()
    wait_until(lambda: found.active is None, found.training)
    assert (found.state, len(found.epochs())) == ("trained", 4)
    assert cut_off < 28, "it was cut off too late to matter"

    whole = TrainingRun("whole")
    whole.begin(dataset.folder, RECIPE, list(found.about["overrides"]))
    wait_until(lambda: whole.active is None, whole.training)
    assert whole.training.wait(60)
    states = [torch.load(run.folder / "last.pt", weights_only=True) for run in (found, whole)]
    for key in ("model", "optimizer", "epoch", "step", "best"):
        assert differences(states[0][key], states[1][key], key) == []
    assert [epoch.train_loss for epoch in found.epochs()] == [epoch.train_loss for epoch in whole.epochs()]


@LINUX
def test_stopping_leaves_no_process_and_a_run_to_go_on(dataset: Dataset) -> None:
    run = TrainingRun("run")
    run.begin(dataset.folder, RECIPE, [*TINY, "training.workers=1", "training.epochs=400"])
    wait_until(lambda: run.training.state().progress.get("step") == "train", run.training)
    processes = processes_of(run)
    assert processes
    run.training.stop()
    assert run.state == "stopping"
    wait_until(lambda: run.active is None, run.training)
    assert run.state == "stopped"
    assert processes_of(run) == []
    assert [process_start(process) for process in processes] == [""] * len(processes)
    assert (run.folder / "last.pt").exists()


def processes_of(run: TrainingRun) -> list[int]:
    """The processes that train it, by their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if os.fsencode(run.training.folder) in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def test_a_run_is_never_written_over_and_its_name_is_checked(
    dataset: Dataset, unstarted: list[dict[str, object]]
) -> None:
    TrainingRun("one").begin(dataset.folder, RECIPE, [])
    (task,) = unstarted
    assert (task["do"], task["resume"]) == ("train", False)
    with pytest.raises(ConfigError, match="There is a run called one already"):
        TrainingRun("one").begin(dataset.folder, RECIPE, [])
    for name in ("../one", "", ".hidden", "x" * 65):
        with pytest.raises(ConfigError, match="A run cannot be called"):
            TrainingRun(name).begin(dataset.folder, RECIPE, [])
    assert len(unstarted) == 1


def test_a_name_is_made_of_the_recipe_and_the_date(
    dataset: Dataset, unstarted: list[dict[str, object]]
) -> None:
    names = []
    for _ in range(3):
        names.append(free_name(RECIPE))
        TrainingRun(names[-1]).begin(dataset.folder, RECIPE, [])
    assert names[0].startswith(f"{RECIPE}-20")
    assert names[1:] == [f"{names[0]}-2", f"{names[0]}-3"]
    assert {run.name for run in known_runs()} == set(names)


def test_a_run_of_the_terminal_is_listed_and_asks_for_its_dataset(
    home: Path, dataset: Dataset, unstarted: list[dict[str, object]]
) -> None:
    run = TrainingRun("theirs")
    run.folder.mkdir(parents=True)
    (run.folder / "config.toml").write_text('name = "theirs"\n[training]\nepochs = 3\n[made_with]\n')
    (home / "runs" / "notes").mkdir()
    assert [run.name for run in known_runs()] == ["theirs"]
    assert (run.state, run.plan.epochs, run.best) == ("stopped", 3, None)
    with pytest.raises(ConfigError, match="not known which dataset theirs was trained on"):
        run.resume()
    run.resume(str(dataset.folder))
    assert unstarted[0]["dataset"] == str(dataset.folder)
    assert unstarted[0]["recipe"] == ""


def test_what_cannot_be_done_is_said_before_a_process_is_started(
    dataset: Dataset, unstarted: list[dict[str, object]]
) -> None:
    run = TrainingRun("run")
    run.begin(dataset.folder, RECIPE, [])
    unstarted.clear()
    with pytest.raises(DatasetError, match="has no split 'test'"):
        run.evaluate(TEST)
    with pytest.raises(BundleError, match="cannot be registered as 'no good'"):
        run.register("no good")
    assert unstarted == []
    run.evaluate("val")
    run.register("good")
    assert [task["do"] for task in unstarted] == ["evaluate", "register"]


@LINUX
def test_one_thing_is_done_to_a_run_at_a_time(dataset: Dataset, unstarted: list[dict[str, object]]) -> None:
    run = TrainingRun("run")
    run.begin(dataset.folder, RECIPE, [])
    run.registering.folder.mkdir(parents=True)
    write_values(run.registering.folder / "task.json", {"do": "register"})
    with JobProcess(run.registering.folder), pytest.raises(ConfigError, match="run is being worked on"):
        run.evaluate("val")


def test_a_name_that_no_run_has_is_none() -> None:
    assert find_run("../../etc") is None
    assert known_runs() == []
