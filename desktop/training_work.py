"""The process of one piece of work around training: audits, trains, measures or registers by the core.

    python -m desktop.training_work FOLDER

`training_job` starts it and reads what it tells. Shows nothing, and needs no window.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from filelock import Timeout

# Its names are taken where they are needed: what an audit has no use for, such as PyTorch, is not imported for it.
import derm_core
from derm_core import ConfigError, DermError
from desktop.texts import say
from desktop.training_following import Follower, StoppedError
from desktop.training_job import AUDIT_PAGE, REPORT, Job, JobProcess

_NICENESS = 5
_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "malignant_auc")
Result = dict[str, Any] | None


def main() -> None:
    folder = Path(sys.argv[1])
    if hasattr(os, "nice"):
        # The app in front of people comes first.
        os.nice(_NICENESS)
    try:
        with JobProcess(folder) as process:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: process.interrupt())
            do(process, folder)
    except Timeout:
        print(f"Another process is at the work in {folder}.", flush=True)


def do(process: JobProcess, folder: Path) -> None:
    """Does the task that a job's folder holds, and says there how it ended."""
    task = process.task
    try:
        result = _WORK[task["do"]](task, process, folder)
    except StoppedError:
        process.end("stopped")
    except DermError as err:
        process.end("failed", problem=str(err))
    except Exception as err:
        traceback.print_exc()
        process.end("failed", problem=_in_words(err, folder))
    else:
        process.end("stopped" if result is None else "done", result=result)


def _audit(task: dict[str, Any], process: JobProcess, folder: Path) -> Result:
    follower = Follower(process)
    dataset = Path(task["dataset"])

    def show(items: Any, total: int, what: str) -> Any:
        return follower.watch(items, total, "read" if what.startswith("reading") else "compare")

    summary = derm_core.audit_dataset(dataset, page=folder / AUDIT_PAGE, progress=show)
    return asdict(summary) | {"fingerprint": derm_core.load_dataset(dataset).fingerprint()}


def _train(task: dict[str, Any], process: JobProcess, folder: Path) -> Result:
    run = Path(task["run"])
    try:
        # As it was begun: the recipe may have changed since.
        config = derm_core.read_run_config(run)[0]
    except ConfigError:
        if not task["recipe"]:
            raise
        config = derm_core.load_recipe(task["recipe"], task["overrides"])
    stopped: list[bool] = []

    def stop() -> bool:
        if process.is_to_stop():
            stopped.append(True)
        return bool(stopped)

    dataset = derm_core.load_dataset(task["dataset"])
    derm_core.fit(config, dataset, run, resume=task["resume"], observer=Follower(process), stop=stop)
    return None if stopped else {}


def _evaluate(task: dict[str, Any], process: JobProcess, folder: Path) -> Result:
    run, follower = Path(task["run"]), Follower(process)

    def show(items: Any, total: int, what: str) -> Any:
        return follower.watch(items, total, "draw" if what == "drawing" else "answer")

    report = derm_core.write_report(
        [run],
        folder / REPORT,
        dataset=derm_core.load_dataset(task["dataset"]),
        split=task["split"] or None,
        progress=show,
    )
    (figures,) = report.measured.values()
    return {
        "photographs": int(figures["n"]),
        "lesions": int(figures["lesions"]),
        "figures": {name: figures[name] for name in _FIGURES},
        "ci95": {name: figures["ci95"].get(name) for name in _FIGURES},
    }


def _register(task: dict[str, Any], process: JobProcess, folder: Path) -> Result:
    registry, name = derm_core.default_registry(), task["name"]
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        derm_core.make_bundle(
            [Path(task["run"])],
            derm_core.load_dataset(task["dataset"]),
            bundle,
            name=name,
            version=str(registry.next_version(name)),
            evaluate_command=f"scripts/evaluate.py --model {name} --data DATASET --split test",
            progress=partial(Follower(process).watch, step="answer"),
        )
        entry = registry.register(name, bundle)
    return {"model": f"{entry.name}@{entry.version}", "sha256": entry.weights_sha256}


_WORK = {"audit": _audit, "train": _train, "evaluate": _evaluate, "register": _register}


def _in_words(err: Exception, folder: Path) -> str:
    if isinstance(err, MemoryError) or "out of memory" in str(err).lower():
        return say("training-memory")
    if isinstance(err, OSError):
        return say("training-disk", reason=err.strerror or str(err))
    return say("training-failed", output=str(Job(folder).output))


if __name__ == "__main__":
    main()
