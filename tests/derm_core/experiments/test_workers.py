"""Processes side by side: what goes wrong in one is said, and none outlives the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from derm_core.errors import ConfigError
from derm_core.experiments.workers import run_workers


def write_pid(folder: Path) -> None:
    (folder / str(os.getpid())).touch()


def refuse() -> None:
    raise ConfigError("Not like this.")


def wait(folder: Path) -> None:
    write_pid(folder)
    time.sleep(120)


def interrupt() -> None:
    kept.append(multiprocessing.RLock())
    raise KeyboardInterrupt


kept: list[object] = []
"""A lock here lasts as long as its process, as a progress bar's does."""


def test_every_worker_does_the_work_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert run_workers(2, write_pid, (tmp_path,)) == []
    pids = {int(path.name) for path in tmp_path.iterdir()}
    assert len(pids - {os.getpid()}) == 2


def test_what_a_worker_refuses_is_raised() -> None:
    with pytest.raises(ConfigError, match="Not like this"):
        run_workers(1, refuse, ())


def test_a_worker_that_is_killed_is_reported() -> None:
    assert run_workers(1, os.abort, ()) == [-signal.SIGABRT]


def test_a_worker_that_is_interrupted_says_nothing_and_leaves_no_lock_behind() -> None:
    code = (
        "from derm_core.experiments.workers import run_workers\n"
        "from tests.derm_core.experiments.test_workers import interrupt\n"
        "if __name__ == '__main__': print(run_workers(1, interrupt, ()))\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[1]\n"
    # Python's tracker of shared locks tells of those that were left.
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\n"
        "from derm_core.experiments.workers import run_workers\n"
        "from tests.derm_core.experiments.test_workers import wait\n"
        "if __name__ == '__main__': run_workers(1, wait, (pathlib.Path(sys.argv[1]),))\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    started = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment)
    deadline = time.monotonic() + 60
    while not any(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    (worker,) = (Path("/proc") / path.name for path in tmp_path.iterdir())
    assert worker.exists()
    started.kill()
    started.wait()
    while (
        worker.exists() and "State:\tZ" not in (worker / "status").read_text() and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    assert not worker.exists() or "State:\tZ" in (worker / "status").read_text()
