"""Zips of photographs, opened with care: what they declare is not believed, and nothing is written by their names."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from derm_core import read_zip_end

_MOST_LISTED_BYTES = 2_000_000
_CHUNK_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1

NESTED = "This is a zip within a zip. Send it as a batch of its own."


class BadArchiveError(Exception):
    """A zip that cannot be opened; the message says why, in a sentence for whoever sent it."""


class BadEntryError(Exception):
    """One file of a zip that cannot be read; the message says why."""


@dataclass(frozen=True)
class Entry:
    """One file of a zip, not read yet. `size` is what the zip says of it, in bytes."""

    name: str
    size: int
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yields the bytes of the file; raises BadEntryError where it cannot be read or has more than `limit` bytes."""
        if self.info.flag_bits & _ENCRYPTED:
            raise BadEntryError("This file has a password. Make the zip again without one.")
        if self.info.compress_type not in _METHODS:
            raise BadEntryError("This file is packed in an unusual way. Make the zip again as a plain one.")
        left = limit
        try:
            with self.archive.open(self.info) as file:
                while chunk := file.read(_CHUNK_BYTES):
                    left -= len(chunk)
                    if left < 0:
                        raise BadEntryError(too_large(limit))
                    yield chunk
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as err:
            raise BadEntryError("This file is damaged inside the zip. Make the zip again.") from err


def too_large(limit: int) -> str:
    """Says that one file is too large; `limit` is in bytes."""
    return f"This file has more than {limit // 1_000_000} MB. Save it as JPEG, or at half the size."


def is_archive(name: str) -> bool:
    """Says whether a file is to be opened as a zip: by its name, as a Word document is a zip by its content."""
    return name.lower().endswith(".zip")


def entries_of(file: IO[bytes]) -> list[Entry]:
    """Lists the files of a zip, without its folders. Raises BadArchiveError where it cannot be opened."""
    _check_list(file)
    try:
        archive = zipfile.ZipFile(file)
        return [
            Entry(info.filename, info.file_size, archive, info)
            for info in archive.infolist()
            if not info.is_dir()
        ]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error) as err:
        raise BadArchiveError("This zip is damaged. Make it again, and send it again.") from err


def _check_list(file: IO[bytes]) -> None:
    """Refuses a zip whose list of files is too long, before it is read: each line of it takes memory."""
    end = read_zip_end(file)
    if end is None:
        raise BadArchiveError("This is not a whole zip. Copy it again, or send the pictures themselves.")
    if end.large or end.listed_bytes > _MOST_LISTED_BYTES:
        raise BadArchiveError("This zip holds too many files. Make several smaller ones.")
