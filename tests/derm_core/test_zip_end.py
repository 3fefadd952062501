"""The end of a zip: its figures are those that zipfile goes by, also where they are forged."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from derm_core.zip_end import ZipEnd, read_zip_end


def zip_of(files: int, comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(files):
            archive.writestr(f"{number}.txt", b"text")
        archive.comment = comment
    return stream.getvalue()


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A zip of three files with the second end that zips of more than 2 GB have."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    made = zip_of(3)
    assert b"PK\x06\x06" in made
    return made


@pytest.mark.parametrize("comment", [b"", b"a comment", 65535 * b"x"])
def test_the_figures_are_those_of_the_list(comment: bytes) -> None:
    stream = io.BytesIO(zip_of(3, comment))
    # 46 bytes a line, and the name.
    assert read_zip_end(stream) == ZipEnd(3, 3 * (46 + 5), large=False)
    assert stream.tell() == 0


def test_a_large_zip_has_the_figures_of_its_second_end(large: bytes) -> None:
    found = read_zip_end(io.BytesIO(large))
    assert found is not None
    assert (found.entries, found.large) == (3, True)
    assert len(zipfile.ZipFile(io.BytesIO(large)).infolist()) == 3


def test_a_second_end_that_says_more_than_the_first_is_believed(large: bytes) -> None:
    forged = bytearray(large)
    struct.pack_into("<Q", forged, large.index(b"PK\x06\x06") + 32, 10**9)
    found = read_zip_end(io.BytesIO(bytes(forged)))
    assert found is not None
    assert found.entries == 10**9


@pytest.mark.parametrize("content", [b"", b"text", zip_of(1)[:-1], b"PK\x05\x06"])
def test_what_is_no_whole_zip_has_no_end(content: bytes) -> None:
    assert read_zip_end(io.BytesIO(content)) is None


def test_a_second_end_that_is_not_where_it_must_be_may_say_anything(large: bytes) -> None:
    found = read_zip_end(io.BytesIO(large.replace(b"PK\x06\x06", b"PK\x00\x00")))
    assert found is not None
    assert found.large
    assert min(found.entries, found.listed_bytes) > 1 << 60
