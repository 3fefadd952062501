"""Checkpoints that are whole or not there, each with a checksum, and the one before kept beside it.

A run folder holds `last.pt`, `previous.pt` and `best.pt`, and `checksums.json` with the SHA-256 of every file that
may stand under these names. The sum is on the disk before the file takes its name, so whenever the process is killed,
the newest checkpoint that was finished can still be proved whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from pathlib import Path
from typing import Any

import torch

from derm_core.errors import CheckpointError
from derm_core.files import sync_folder, write_synced

LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"
CHECKSUMS = "checksums.json"
KEYS = ("model", "ema", "optimizer", "scheduler", "epoch", "step", "rng", "sampler", "best", "config")
# One more for each kill between noting a sum and renaming its file; far more than any run meets in a row.
_SUMS_KEPT = 64


def save_last(folder: Path, state: dict[str, Any]) -> None:
    """Makes `state` the last checkpoint and the last one the previous; raises OSError where the disk refuses.

    Args:
        folder: the run folder.
        state: tensors and plain values under exactly KEYS.
    """
    if set(state) != set(KEYS):
        raise ValueError(f"A checkpoint needs the keys {', '.join(KEYS)}; it has {', '.join(state)}.")
    content = _serialise(state)
    _remember(folder, LAST, content)
    growing = _write_beside(folder / LAST, content)
    if _is_whole(folder, LAST):
        # A damaged one is written over: the previous one is then all that a kill right here would leave.
        os.replace(folder / LAST, folder / PREVIOUS)
    os.replace(growing, folder / LAST)
    sync_folder(folder)


def save_best(folder: Path, state: dict[str, Any]) -> None:
    """Writes the weights of the best epoch so far: `model` (the moving average where one is kept), `epoch`, `best`."""
    content = _serialise(state)
    _remember(folder, BEST, content)
    os.replace(_write_beside(folder / BEST, content), folder / BEST)
    sync_folder(folder)


def load_last(folder: Path) -> dict[str, Any]:
    """Returns the newest checkpoint whose checksum holds; warns where that is not the last one.

    Raises:
        CheckpointError: there is none.
    """
    problems = []
    for name in (LAST, PREVIOUS):
        try:
            state = _load(folder, name, LAST)
        except CheckpointError as err:
            problems.append(str(err))
            continue
        if problems and (folder / LAST).exists():
            warnings.warn(f"{problems[0]} Continuing from {name} instead.", stacklevel=2)
        return state
    raise CheckpointError(
        f"{folder} holds no checkpoint to continue from: {' '.join(problems)} Train it anew."
    )


def load_last_weights(folder: Path) -> dict[str, Any]:
    """Returns the weights of the newest checkpoint, of their moving average where one is kept; raises as load_last."""
    state = load_last(folder)
    if state["ema"] is None:
        weights: dict[str, Any] = state["model"]
        return weights
    prefix = "module."
    return {
        name.removeprefix(prefix): value for name, value in state["ema"].items() if name.startswith(prefix)
    }


def load_best(folder: Path) -> dict[str, Any]:
    """Returns the best epoch's `model`, `epoch` and `best`; raises CheckpointError where it is absent or altered."""
    return _load(folder, BEST, BEST)


def _load(folder: Path, name: str, kind: str) -> dict[str, Any]:
    content = _read_whole(folder, name, kind)
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def _is_whole(folder: Path, name: str) -> bool:
    try:
        _read_whole(folder, name, name)
    except CheckpointError:
        return False
    return True


def _read_whole(folder: Path, name: str, kind: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise CheckpointError(f"{name} is missing.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() not in _read_sums(folder).get(kind, []):
        raise CheckpointError(
            f"{path} was cut short or altered: its checksum is not the one that was saved with it."
        )
    return content


def _serialise(state: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def _remember(folder: Path, kind: str, content: bytes) -> None:
    sums = _read_sums(folder)
    # A file is replaced after its sum is noted: the sums of those it replaces must still be known.
    sums[kind] = [*sums.get(kind, []), hashlib.sha256(content).hexdigest()][-_SUMS_KEPT:]
    text = json.dumps(sums, indent=1).encode()
    os.replace(_write_beside(folder / CHECKSUMS, text), folder / CHECKSUMS)


def _read_sums(folder: Path) -> dict[str, list[str]]:
    try:
        sums: dict[str, list[str]] = json.loads((folder / CHECKSUMS).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as err:
        raise CheckpointError(f"{folder / CHECKSUMS} is not what was saved ({err}).") from err
    return sums


def _write_beside(path: Path, content: bytes) -> Path:
    # One name for all tries: what a kill leaves half-written is written over by the next.
    growing = path.with_name(f".{path.name}.partial")
    write_synced(growing, content)
    return growing
