"""Deleting a training run that has ended: whether that may be, what is lost with it, and doing it. Draws no page."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from derm_core import ConfigError
from desktop.texts import say, say_count
from desktop.training_runs import TrainingRun
from desktop.uploads import home


def can_delete(run: TrainingRun) -> bool:
    """Whether a run has ended for certain, and all of it lies in the app's own folder.

    One that was begun in a terminal may be going on there, and has ended for certain only when it is trained.
    """
    ended = run.active is None and (run.is_own or run.state == "trained")
    return ended and _is_inside(run.folder)


def lost_with(run: TrainingRun) -> str:
    """Returns what is asked before a run is deleted: what goes with it, and what stays."""
    epochs = say_count("training-delete-epochs", len(run.epochs()))
    size = _megabytes(run.folder)
    return say("training-delete-sure", name=run.name, epochs=epochs, size=f"{size:,}")


def delete_run(run: TrainingRun) -> None:
    """Removes a run with all that belongs to it, for good. The models that were made of it and its dataset stay.

    Raises:
        ConfigError: something is at it, it may be going on in a terminal, or it lies elsewhere.
        OSError: it cannot be removed.
    """
    if run.active is not None:
        raise ConfigError(say("training-busy-run", name=run.name))
    if not _is_inside(run.folder):
        raise ConfigError(say("training-delete-elsewhere", name=run.name, folder=str(run.folder.resolve())))
    if not can_delete(run):
        raise ConfigError(say("training-delete-terminal", name=run.name, folder=str(run.folder)))
    # Out of the list first, whole: a run that is half gone must not be offered as one that can go on.
    gone = home() / "training" / "deleted"
    gone.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (run.folder, run.desk_folder):
        with suppress(FileNotFoundError):
            os.replace(folder, gone / secrets.token_hex(8))
    shutil.rmtree(gone, ignore_errors=True)


def _is_inside(folder: Path) -> bool:
    return not folder.is_symlink() and folder.resolve().is_relative_to(home().resolve())


def _megabytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size
    return max(1, round(total / 1e6))
