"""Work in a process of its own, seen from outside: found again, stopped, cut off, and never taken for another's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import Timeout

from desktop.training_job import Job, JobProcess, process_start, write_values

PROC = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the start of a process is read in /proc"
)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A piece of work that was asked for, and at which no process is yet."""
    (tmp_path / "job").mkdir()
    write_values(tmp_path / "job" / "task.json", {"do": "train"})
    return Job(tmp_path / "job")


def test_what_was_never_begun_has_no_state(tmp_path: Path) -> None:
    state = Job(tmp_path / "job").state()
    assert state.state == ""
    assert not state.is_active


@PROC
def test_work_is_found_by_its_process_and_told_of(job: Job) -> None:
    with JobProcess(job.folder) as process:
        process.tell({"done": 3, "total": 9})
        state = Job(job.folder).state()
        assert state.is_active
        assert (state.state, state.task, state.progress) == (
            "running",
            {"do": "train"},
            {"done": 3, "total": 9},
        )
        assert not process.is_to_stop()
        job.stop()
        assert process.is_to_stop()
        assert job.state().state == "stopping"


def test_the_system_can_ask_it_to_stop_as_well(job: Job) -> None:
    with JobProcess(job.folder) as process:
        process.interrupt()
        assert process.is_to_stop()


def test_how_it_ended_stays(job: Job) -> None:
    process = JobProcess(job.folder)
    process.end("done", result={"pictures": 84})
    assert (job.state().state, job.state().result) == ("done", {"pictures": 84})
    process.end("failed", problem="The disk is full.")
    assert (job.state().state, job.state().problem) == ("failed", "The disk is full.")


def test_work_whose_process_is_gone_without_a_word_was_cut_off(job: Job) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        pass
    write_values(job.folder / "process.json", {"process": gone.pid, "started": "1"})
    assert job.state().state == "cut off"


@PROC
def test_another_process_of_the_same_number_is_not_taken_for_it(job: Job) -> None:
    own = os.getpid()
    write_values(job.folder / "process.json", {"process": own, "started": process_start(own) + "0"})
    assert job.state().state == "cut off"
    write_values(job.folder / "process.json", {"process": own, "started": process_start(own)})
    assert job.state().state == "running"


def test_where_the_system_tells_no_start_the_lock_tells_whether_it_lives(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.training_job.process_start", lambda process: "")
    with JobProcess(job.folder):
        assert job.state().state == "running"
    assert job.state().state == "cut off"


def test_two_processes_are_never_at_the_same_work(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobProcess, "_PATIENCE_SECONDS", 0.0)
    with JobProcess(job.folder), pytest.raises(Timeout), JobProcess(job.folder):
        pass


def test_a_file_that_is_damaged_is_as_none(job: Job) -> None:
    (job.folder / "progress.json").write_text('{"done": 3')
    (job.folder / "end.json").write_text("[]")
    state = job.state()
    assert (state.state, state.progress) == ("cut off", {})


def test_nobody_is_asked_to_stop_what_does_not_run(job: Job) -> None:
    job.stop()
    assert not (job.folder / "stop").exists()
