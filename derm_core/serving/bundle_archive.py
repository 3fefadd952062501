"""A bundle as one file, to be carried from machine to machine, and back into a registry. Builds no network.

The file is a zip of the bundle's files, uncompressed, and of `checksums.json`, which gives the SHA-256 of each. Nothing
is taken from a file in which one of them is another, and the weights are compared with model.json as ever.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from derm_core.errors import BundleError
from derm_core.serving.bundle_files import read_weights
from derm_core.serving.description import (
    DESCRIPTION_FILE,
    MODEL_CARD_FILE,
    WEIGHTS_FILE,
    BundleDescription,
    read_description,
)
from derm_core.serving.registered_bundle import RegisteredBundle
from derm_core.serving.registry import Registry, default_registry

ARCHIVE_SUFFIX = ".dermbundle"
MAX_BYTES = 4 << 30
"""Larger files are not unpacked."""
_CHECKSUMS = "checksums.json"
_FILES = (DESCRIPTION_FILE, WEIGHTS_FILE, MODEL_CARD_FILE)
_UNREADABLE = (
    # RuntimeError: an entry is encrypted; NotImplementedError, which is one: packed in a way that is not known.
    *(OSError, ValueError, EOFError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
_MAGIC = b"PK"
_INCOMING = ".incoming-"
_ABANDONED_SECONDS = 86_400
_STAMP = (1980, 1, 1, 0, 0, 0)  # The same bundle makes the same file.


def pack_bundle(folder: Path, out: Path) -> str:
    """Writes a bundle as one file; it appears whole or not at all.

    Args:
        folder: the bundle.
        out: the file, by custom ending in .dermbundle; one that is there is replaced.

    Returns:
        The SHA-256 of the file, to be compared where it arrives.

    Raises:
        BundleError: the bundle is incomplete or altered, or the file cannot be written.
    """
    read_weights(folder, read_description(folder))
    sums = {name: _sha256(folder / name) for name in _FILES if (folder / name).is_file()}
    growing = None
    try:
        handle, growing = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".new", dir=out.absolute().parent)
        with open(handle, "w+b") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(_entry(_CHECKSUMS), json.dumps(sums, indent=2) + "\n")
                for name in sums:
                    with (folder / name).open("rb") as source, archive.open(_entry(name), "w") as target:
                        shutil.copyfileobj(source, target)
            stream.flush()
            os.fsync(stream.fileno())
        sha256 = _sha256(Path(growing))
        os.replace(growing, out)
    except OSError as err:
        if growing:
            Path(growing).unlink(missing_ok=True)
        raise BundleError(
            f"{out} cannot be written ({err.strerror}). Name a file in a folder that exists."
        ) from err
    return sha256


def unpack_bundle(
    file: Path | BinaryIO, name: str | None = None, registry: Registry | None = None
) -> RegisteredBundle:
    """Registers the bundle of a file that `pack_bundle` wrote, as the next version of a name.

    Args:
        file: the file, or an open one that can be sought in.
        name: as `Registry.register` takes it; None for what the bundle calls itself.
        registry: where; None for the one under DERM_HOME. It is unpacked beside, so the room is needed twice.

    Raises:
        BundleError: the file is none of a bundle, was altered or cut short; the name cannot be used.
    """
    registry = registry or default_registry()
    registry.folder.mkdir(parents=True, exist_ok=True)
    _sweep(registry.folder)
    with tempfile.TemporaryDirectory(prefix=_INCOMING, dir=registry.folder) as temporary:
        folder = Path(temporary)
        _unpack(file, folder)
        return registry.register(name or read_description(folder).name, folder)


def read_archive(file: Path) -> BundleDescription:
    """Returns what the bundle in a file says of itself, all of it checked.

    Raises:
        BundleError: as `unpack_bundle`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        _unpack(file, Path(temporary))
        return read_description(Path(temporary))


def _sweep(folder: Path) -> None:
    """Removes what a process that was killed while it unpacked has left."""
    for left in folder.glob(f"{_INCOMING}*"):
        with suppress(OSError):  # Another process may be quicker.
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _unpack(file: Path | BinaryIO, folder: Path) -> None:
    told = file.name if isinstance(file, Path) else "The file"
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            # By name, so that nothing in the file decides where it is written.
            wanted = [name for name in _FILES if name in sizes]
            if _CHECKSUMS not in sizes or not {DESCRIPTION_FILE, WEIGHTS_FILE} <= set(wanted):
                raise _none(told)
            if sum(sizes.values()) > MAX_BYTES or sizes[_CHECKSUMS] > 1 << 16:
                raise BundleError(f"{told} is too large: a model takes {MAX_BYTES >> 30} GB at most.")
            sums = json.loads(archive.read(_CHECKSUMS))
            for name in wanted:
                with archive.open(name) as source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
                if not isinstance(sums, dict) or sums.get(name) != _sha256(folder / name):
                    raise _altered(told, f"{name} is not the file that was packed")
    except (FileNotFoundError, IsADirectoryError, PermissionError) as err:
        raise BundleError(f"{told} cannot be read ({err.strerror}). Choose another file.") from err
    except _UNREADABLE as err:
        raise (_altered(told, str(err)) if _begins_as_zip(file) else _none(told)) from err
    read_weights(folder, read_description(folder))


def _begins_as_zip(file: Path | BinaryIO) -> bool:
    """Whether it may have been an archive before its end was lost or something in it was changed."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return _begins_as_zip(stream)
    file.seek(0)
    return file.read(len(_MAGIC)) == _MAGIC


def _none(told: str) -> BundleError:
    return BundleError(f"{told} holds no model. Choose a file that was exported here ({ARCHIVE_SUFFIX}).")


def _altered(told: str, reason: str) -> BundleError:
    return BundleError(
        f"{told} was altered or cut short ({reason}). Copy it again from where it was exported."
    )


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, _STAMP)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
