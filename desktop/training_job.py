"""Work in a process of its own, told of in a folder: what it is, how far it is, how it ended. Does no work itself.

    task.json        what is to be done; written before the process is started
    process.json     which process does it; it holds `lock` as long as it lives
    progress.json    how far it is
    stop             is there while it is asked to stop
    end.json         how it ended; without it and without a process, it was cut off
    output.txt       what it printed

So the work goes on when the app is closed or killed, and whatever app looks into the folder next finds it again.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from desktop.child_process import start_module

State = Literal["", "running", "stopping", "stopped", "done", "failed", "cut off"]
_TASK, _PROCESS, _PROGRESS, _END = "task.json", "process.json", "progress.json", "end.json"
_LOCK, _STOP, _OUTPUT = "lock", "stop", "output.txt"
AUDIT_PAGE, REPORT = "audit.html", "report"
"""What some work leaves beside these: the page of an audit, the folder of a report."""
_STARTED: dict[Path, subprocess.Popen[bytes]] = {}
"""The processes that this one started, by their folders; asked for their ends, so that none is left as a zombie."""


@dataclass(frozen=True)
class JobState:
    """How far a piece of work is.

    Attributes:
        state: what it does; empty where it was never begun.
        task: what is to be done.
        progress: what it told last.
        result: what it found, once it is done.
        problem: why it failed, in one sentence.
    """

    state: State = ""
    task: Mapping[str, Any] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_active(self) -> bool:
        """Whether a process is at it."""
        return self.state in ("running", "stopping")


class Job:
    """One piece of work, seen from outside its process.

    Args:
        folder: is made when the work is started.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def output(self) -> Path:
        """The file with what it printed."""
        return self.folder / _OUTPUT

    def start(self, task: Mapping[str, Any]) -> None:
        """Starts the process that does a task, as `training_work` takes it; does nothing where one is at it.

        Raises OSError where the folder cannot be written.
        """
        if self._is_alive():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (_STOP, _PROGRESS, _END, _PROCESS):
            (self.folder / name).unlink(missing_ok=True)
        write_values(self.folder / _TASK, task)
        with self.output.open("ab") as output:
            _STARTED[self.folder] = start_module(
                "desktop.training_work", str(self.folder), stdout=output, stderr=subprocess.STDOUT
            )

    def stop(self) -> None:
        """Asks it to stop; what it has done is kept where it can be continued."""
        if self._is_alive():
            (self.folder / _STOP).touch()

    def wait(self, patience: float) -> bool:
        """Waits for the process that this one started; returns whether it ended within so many seconds."""
        process = _STARTED.get(self.folder)
        if process is not None:
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                return False
        return True

    def state(self) -> JobState:
        """Returns how far it is."""
        task = _read(self.folder / _TASK)
        if task is None:
            return JobState()
        progress = _read(self.folder / _PROGRESS) or {}
        if self._is_alive():
            return JobState("stopping" if (self.folder / _STOP).exists() else "running", task, progress)
        end = _read(self.folder / _END)
        if end is None:
            return JobState("cut off", task, progress)
        return JobState(end["state"], task, progress, end["result"], end["problem"])

    def _is_alive(self) -> bool:
        started = _STARTED.get(self.folder)
        if started is not None:
            if started.poll() is None:
                return True
            _STARTED.pop(self.folder, None)
        known = _read(self.folder / _PROCESS)
        if known is None:
            return False
        if known["started"]:
            return process_start(int(known["process"])) == known["started"]
        try:
            with FileLock(self.folder / _LOCK, timeout=0):
                return False
        except Timeout:
            return True


class JobProcess:
    """One piece of work, seen from inside its process. Use it in a `with` block, which holds the folder's lock.

    Raises Timeout at the beginning of the block where another process is at it.
    """

    _PATIENCE_SECONDS = 15.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / _LOCK, timeout=self._PATIENCE_SECONDS)
        self._interrupted = False

    def __enter__(self) -> JobProcess:
        self._lock.acquire()
        own = os.getpid()
        write_values(self._folder / _PROCESS, {"process": own, "started": process_start(own)})
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def task(self) -> dict[str, Any]:
        """What is to be done."""
        return _read(self._folder / _TASK) or {}

    def is_to_stop(self) -> bool:
        """Whether somebody, or the system, asked it to."""
        return self._interrupted or (self._folder / _STOP).exists()

    def interrupt(self) -> None:
        """Notes that the system asks it to stop."""
        self._interrupted = True

    def tell(self, progress: Mapping[str, Any]) -> None:
        """Says how far it is."""
        write_values(self._folder / _PROGRESS, progress)

    def end(self, state: State, *, result: Mapping[str, Any] | None = None, problem: str = "") -> None:
        """Says how it ended."""
        write_values(self._folder / _END, {"state": state, "result": result or {}, "problem": problem})


def write_values(path: Path, values: Mapping[str, Any]) -> None:
    """Writes plain values as JSON so that a reader sees the old ones or the new."""
    growing = path.with_name(f".{path.name}.{os.getpid()}")
    growing.write_text(json.dumps(values) + "\n", "utf-8")
    os.replace(growing, path)


def process_start(process: int) -> str:
    """Returns when a living process was started, in the system's own count; empty where that is not known."""
    with suppress(OSError, IndexError):
        # Behind the name, which may hold anything: the state is the first word, the start the twentieth.
        words = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
        return "" if words[0] == "Z" else words[19]
    return ""


def _read(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        values = json.loads(path.read_text("utf-8"))
        return values if isinstance(values, dict) else None
    return None
