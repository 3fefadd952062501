"""A run is deleted only when it has ended and lies in the app's own folder; what was made of it stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from derm_core import ConfigError
from desktop.training_deleting import can_delete, delete_run, lost_with
from desktop.training_job import JobProcess, write_values
from desktop.training_runs import TrainingRun, find_run, known_runs


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def begun(name: str, *, own: bool = True) -> TrainingRun:
    """A run of three epochs that was stopped after none."""
    run = TrainingRun(name)
    run.folder.mkdir(parents=True)
    config = 'name = "r"\n[data]\n[training]\nepochs = 3\n[evaluation]\n[made_with]\n'
    (run.folder / "config.toml").write_text(config)
    (run.folder / "last.pt").write_bytes(bytes(3_000_000))
    if own:
        run.training.folder.mkdir(parents=True)
        about = {"dataset": "/data", "recipe": "r", "overrides": []}
        write_values(run.desk_folder / "run.json", about)
        write_values(run.training.folder / "task.json", {"do": "train"})
        JobProcess(run.training.folder).end("failed", problem="The disk is full.")
    return run


def test_a_run_that_ended_goes_with_all_that_belongs_to_it(home: Path) -> None:
    run, other = begun("one"), begun("two")
    (home / "models").mkdir()
    assert can_delete(run)
    assert "Delete the run one for good? Its 0 epochs" in lost_with(run)
    assert "(3 MB)" in lost_with(run)
    delete_run(run)
    assert find_run("one") is None
    assert not run.folder.exists()
    assert not run.desk_folder.exists()
    assert not (home / "training" / "deleted").exists()
    assert [run.name for run in known_runs()] == ["two"]
    assert (other.folder / "last.pt").exists()
    assert (home / "models").is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="who is at work is seen in /proc")
def test_a_run_that_something_is_at_stays() -> None:
    run = begun("one")
    run.registering.folder.mkdir(parents=True)
    write_values(run.registering.folder / "task.json", {"do": "register"})
    with JobProcess(run.registering.folder):
        assert not can_delete(run)
        with pytest.raises(ConfigError, match="one is being worked on"):
            delete_run(run)
    assert (run.folder / "last.pt").exists()


def test_a_run_of_the_terminal_is_deleted_only_once_it_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun("theirs", own=False)
    assert not can_delete(run)
    with pytest.raises(ConfigError, match="was begun in a terminal, and may be going on there"):
        delete_run(run)
    monkeypatch.setattr(TrainingRun, "state", "trained")
    delete_run(run)
    assert not run.folder.exists()


def test_a_run_that_lies_elsewhere_is_none_of_the_apps_to_delete(home: Path, tmp_path: Path) -> None:
    run = begun("one")
    elsewhere = tmp_path / "disk"
    run.folder.rename(elsewhere)
    run.folder.symlink_to(elsewhere)
    assert not can_delete(run)
    with pytest.raises(ConfigError, match="outside the app’s own folder"):
        delete_run(run)
    run.folder.unlink()
    (home / "runs").rmdir()
    (tmp_path / "many").mkdir()
    elsewhere.rename(tmp_path / "many" / "one")
    (home / "runs").symlink_to(tmp_path / "many")
    with pytest.raises(ConfigError, match="Delete it there"):
        delete_run(run)
    assert (tmp_path / "many" / "one" / "last.pt").exists()
