"""Files and folders that appear whole or not at all: written beside their place, synced, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def write_synced(path: Path, content: bytes) -> None:
    """Writes a file and waits until it is on the disk; where that fails, as on a full disk, no part of it is left."""
    try:
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        with suppress(OSError):
            if path.is_file():  # never a device
                path.unlink()
        raise


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file so that readers see the old content or the new, never a part."""
    growing = _beside(path)
    try:
        write_synced(growing, content)
        os.replace(growing, path)
        sync_folder(path.parent)
    except BaseException:
        growing.unlink(missing_ok=True)
        raise


@contextmanager
def new_file(target: Path) -> Iterator[IO[bytes]]:
    """Gives an empty file to write into, and moves it to `target` when the block ends without an error.

    A file that stands at `target` is replaced. After an error nothing is left.
    """
    growing = _beside(target)
    try:
        with growing.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(growing, target)
        sync_folder(target.parent)
    finally:
        growing.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Gives an empty folder to write into, and moves it to `target` when the block ends without an error.

    A folder that stands at `target` is replaced: it is moved aside first and deleted last, and put back where the move
    fails. After an error nothing is left.
    """
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    growing = _beside(target)
    growing.mkdir()
    try:
        yield growing
        sync_folder(growing)
        _move_into_place(growing, target)
    finally:
        shutil.rmtree(growing, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where the system can say so."""
    with suppress(OSError):  # Windows opens no folders; some network file systems do not sync them.
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _move_into_place(growing: Path, target: Path) -> None:
    aside = growing.with_suffix(".old")
    replaced = target.exists()
    if replaced:
        os.replace(target, aside)
    try:
        os.replace(growing, target)
    except OSError:
        if replaced:
            os.replace(aside, target)
        raise
    sync_folder(target.parent)
    if replaced:
        shutil.rmtree(aside, ignore_errors=True)


def remove_abandoned(folder: Path) -> None:
    """Removes the files that a killed process was writing into a folder; no other may be writing there."""
    for growing in folder.glob(".*.partial"):
        growing.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A hidden name in the same folder that no one else has."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
