"""The end of a zip: what it says of its list of files, read before the list is, of which each line takes memory."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

_END, _END_MARK = struct.Struct("<4s4H2LH"), b"PK\x05\x06"
_LOCATOR_BYTES, _LOCATOR_MARK = 20, b"PK\x06\x07"
_LARGE_END, _LARGE_END_MARK = struct.Struct("<4sQ2H2L4Q"), b"PK\x06\x06"
_LONGEST_COMMENT = 65535
_MOST = (1 << 64) - 1


@dataclass(frozen=True)
class ZipEnd:
    """What the end of a zip says of its list; no reader lists more, whatever else is true of it.

    Attributes:
        entries: files and folders.
        listed_bytes: length of the list.
        large: there is a second end for a zip of more than 65,535 files or 2 GB, whose figures overrule the first's.
    """

    entries: int
    listed_bytes: int
    large: bool


def read_zip_end(file: IO[bytes]) -> ZipEnd | None:
    """Returns the end of a zip, and None where a file has no whole one; the file is left at its beginning."""
    size = file.seek(0, 2)
    before = _LOCATOR_BYTES + _LARGE_END.size
    file.seek(max(0, size - _LONGEST_COMMENT - _END.size - before))
    tail = file.read()
    file.seek(0)
    place = tail.rfind(_END_MARK)
    if place < 0 or len(tail) - place < _END.size:
        return None
    entries, listed_bytes = _END.unpack_from(tail, place)[4:6]
    if tail[max(0, place - _LOCATOR_BYTES) : place][:4] != _LOCATOR_MARK:
        return ZipEnd(entries, listed_bytes, large=False)
    if place < before or tail[place - before :][:4] != _LARGE_END_MARK:
        # It lies elsewhere, where some readers look for it and others do not.
        return ZipEnd(_MOST, _MOST, large=True)
    large_entries, large_bytes = _LARGE_END.unpack_from(tail, place - before)[7:9]
    return ZipEnd(max(entries, large_entries), max(listed_bytes, large_bytes), large=True)
