"""Zips that lie, bite or are broken: each is a sentence, and none is believed."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from tests.web.fakes import picture
from web.archives import BadArchiveError, BadEntryError, Entry, entries_of

MEGABYTE = 1_000_000


def packed(content: bytes, method: int = zipfile.ZIP_DEFLATED, name: str = "a.jpg") -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=method) as archive:
        archive.writestr(name, content)
    return bytearray(buffer.getvalue())


def only_entry(archive: bytes) -> Entry:
    (entry,) = entries_of(io.BytesIO(archive))
    return entry


def read(archive: bytes, limit: int = MEGABYTE) -> bytes:
    return b"".join(only_entry(archive).chunks(limit))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_comes_out_as_it_went_in(method: int) -> None:
    archive = packed(picture(), method)
    assert only_entry(archive).name == "a.jpg"
    assert read(archive) == picture()


def test_a_file_that_unpacks_to_more_than_it_may_is_stopped_in_time() -> None:
    entry = only_entry(packed(bytes(5 * MEGABYTE)))
    taken: list[bytes] = []
    with pytest.raises(BadEntryError, match="more than 2 MB"):
        taken.extend(entry.chunks(2 * MEGABYTE))
    assert sum(map(len, taken)) <= 2 * MEGABYTE


def test_a_size_that_is_a_lie_changes_nothing() -> None:
    archive = packed(bytes(5 * MEGABYTE))
    place = archive.rfind(b"PK\x01\x02")
    struct.pack_into("<L", archive, place + 24, 10)  # the size after unpacking, in the list of files
    assert only_entry(archive).size == 10
    with pytest.raises(BadEntryError):
        read(archive)


def test_a_damaged_file_is_a_sentence() -> None:
    archive = packed(picture())
    archive[60] ^= 0xFF
    with pytest.raises(BadEntryError, match="damaged inside the zip"):
        read(archive)


def test_a_password_is_a_sentence() -> None:
    archive = packed(picture())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.find(mark) + offset] |= 1
    with pytest.raises(BadEntryError, match="has a password"):
        read(archive)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_packings_that_may_take_any_memory_are_not_opened(method: int) -> None:
    with pytest.raises(BadEntryError, match="unusual way"):
        read(packed(picture(), method))


@pytest.mark.parametrize("content", [b"", b"not a zip", picture(), bytes(packed(picture()))[:-30]])
def test_what_is_no_whole_zip_is_a_sentence(content: bytes) -> None:
    with pytest.raises(BadArchiveError, match="not a whole zip"):
        entries_of(io.BytesIO(content))


def test_a_list_that_is_none_is_a_sentence() -> None:
    archive = packed(picture())
    place = archive.rfind(b"PK\x01\x02")
    archive[place : place + 4] = b"none"
    with pytest.raises(BadArchiveError, match="damaged"):
        entries_of(io.BytesIO(archive))


def test_a_list_of_endless_files_is_not_read() -> None:
    archive = packed(picture())
    place = archive.rfind(b"PK\x05\x06")
    struct.pack_into("<L", archive, place + 12, 3 * MEGABYTE)
    with pytest.raises(BadArchiveError, match="too many files"):
        entries_of(io.BytesIO(archive))


def test_a_mark_that_would_overrule_the_list_is_refused() -> None:
    archive = packed(picture())
    place = archive.rfind(b"PK\x05\x06")
    archive[place:place] = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    with pytest.raises(BadArchiveError, match="too many files"):
        entries_of(io.BytesIO(archive))
