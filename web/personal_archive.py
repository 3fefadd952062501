"""Everything that a user owns as one zip, written while it is sent. Reads rows and files, and keeps neither."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from derm_core import NOTICE
from web.answer_table import csv_chunks, json_chunks
from web.answering import store
from web.batch_uploads import waiting_uploads
from web.database import now
from web.own_answers import OwnAnswers
from web.personal_records import (
    account_document,
    batch_chunks,
    lesion_chunks,
    review_chunks,
    share_chunks,
    waiting_keys,
)
from web.pictures import THUMBNAIL

READ_ME = f"""Everything that this account owns on Dermatrace.

account.json   name, address, signed-in browsers, API tokens by their names
answers.csv    one row an answer, for a spreadsheet
answers.json   the same answers with all that is known of them
lesions.json   lesions with their place on the body and their notes
reviews.json   what was confirmed of the answers, and by whom
shares.json    which answers others may see
batches.json   photographs that were sent together, file by file
pictures/      a folder for each answer, named by its day and its key: the photograph as it is kept, and a heatmap
               for each diagnosis (16-bit grey; 65535 is the peak)
waiting/       photographs of batches that have no answer yet, as they were sent

{NOTICE}
"""
_CHUNK_BYTES = 1 << 18


class _Outlet(io.RawIOBase):
    """What the zip is written to; holds it until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def archive_chunks(user_id: int) -> Iterator[bytes]:
    """Yields a user's zip, one piece of a file at a time; what is deleted meanwhile is left out."""
    answers = OwnAnswers(user_id)
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as archive:
        documents: dict[str, Iterable[str]] = {
            "README.txt": [READ_ME],
            "account.json": [account_document(user_id)],
            "answers.csv": csv_chunks(answers, answers.codes()),
            "answers.json": json_chunks(answers),
            "lesions.json": lesion_chunks(user_id),
            "reviews.json": review_chunks(user_id),
            "shares.json": share_chunks(user_id),
            "batches.json": batch_chunks(user_id),
        }
        for name, texts in documents.items():
            yield from _written(archive, outlet, name, (text.encode() for text in texts))
        for answer in answers:
            folder = f"pictures/{answer.created_at:%Y-%m-%d}-{answer.key}"
            for path in _kept_files(answer.key):
                yield from _copied(archive, outlet, f"{folder}/{path.name}", path)
        for key in waiting_keys(user_id):
            yield from _copied(archive, outlet, f"waiting/{key}", waiting_uploads().root / key)
    yield outlet.take()


def _kept_files(key: str) -> list[Path]:
    """Returns the files of an answer but its thumbnail, which is the photograph once more."""
    folder = store().folder(key)
    return sorted(path for path in folder.glob("*") if path.name != THUMBNAIL)


def _copied(archive: zipfile.ZipFile, outlet: _Outlet, name: str, path: Path) -> Iterator[bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return  # deleted, or answered, since its row was read
    with file:
        pieces = iter(lambda: file.read(_CHUNK_BYTES), b"")
        # Pictures are compressed already.
        yield from _written(archive, outlet, name, pieces, zipfile.ZIP_STORED)


def _written(
    archive: zipfile.ZipFile,
    outlet: _Outlet,
    name: str,
    pieces: Iterable[bytes],
    compression: int = zipfile.ZIP_DEFLATED,
) -> Iterator[bytes]:
    entry = zipfile.ZipInfo(name, now().timetuple()[:6])
    entry.compress_type = compression
    entry.external_attr = 0o600 << 16
    with archive.open(entry, "w", force_zip64=True) as stream:
        for piece in pieces:
            stream.write(piece)
            if taken := outlet.take():
                yield taken
    yield outlet.take()
