"""Receives a folder's files, or a zip of them, for a batch: files on the disk first, then the rows. Answers nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from flask import Flask, current_app
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import FileStorage

from web.archives import NESTED, BadArchiveError, BadEntryError, entries_of, is_archive, too_large
from web.batch_names import batch_name, common_folder, is_junk, tidy_path
from web.database import db, now
from web.models import Batch, BatchItem, User, new_key
from web.multipart import size_of
from web.storage import WaitingUploads

log = logging.getLogger(__name__)

OPEN_STATES = ("waiting", "working")
"""Of files that have no answer yet, and whose upload is on the disk."""
_NAME_LENGTH = 255
_CHUNK_BYTES = 1 << 20


class BatchRefusedError(ValueError):
    """None of a batch was kept; the message says why, in a sentence for whoever sent it."""


@dataclass(frozen=True)
class Source:
    """One file to be: its name for the table, what it says of its size in bytes, and its bytes; or what is wrong."""

    name: str
    size: int = 0
    chunks: Callable[[int], Iterable[bytes]] | None = None
    fault: str = ""


@dataclass
class Allowance:
    """How many bytes a batch may still take; what has been taken is counted, not what was declared."""

    left: int
    _total: int = field(init=False)

    def __post_init__(self) -> None:
        self._total = self.left

    def counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yields the chunks; raises BatchRefusedError where they are more than is left."""
        for chunk in chunks:
            self.left -= len(chunk)
            if self.left < 0:
                raise BatchRefusedError(_too_much(self._total))
            yield chunk


def init_uploads(app: Flask) -> None:
    """Gives the app its folder of files that wait for their answer."""
    app.extensions["waiting_uploads"] = WaitingUploads(app.config["DERM_HOME"] / "uploads")


def waiting_uploads() -> WaitingUploads:
    """Returns the app's folder of files that wait for their answer."""
    return current_app.extensions["waiting_uploads"]


def receive_batch(
    user: User,
    files: Sequence[FileStorage],
    name: str = "",
    *,
    and_then: Callable[[Batch], None] | None = None,
) -> Batch:
    """Keeps the files that a form brought as a batch, and returns it; a zip among them is opened.

    When this returns, files and rows are on the disk; when it raises, neither is. A file that cannot be kept is a row
    with its reason. Raises BatchRefusedError where the whole cannot be taken.

    Args:
        and_then: called with the new row before it is committed: what it changes is kept with the row, or not at all.
    """
    config = current_app.config
    most_bytes = config["DERM_BATCH_MB"] * 1_000_000
    sources = [source for file in files if file.filename for source in _sources_of(file)]
    sources = [source for source in sources if not is_junk(source.name)]
    _check(user, sources, most_bytes)
    folder = common_folder([source.name for source in sources])
    batch = Batch(
        user_id=user.id,
        key=new_key(),
        name=batch_name(name, folder, [file.filename or "" for file in files], len(sources)),
        total=len(sources),
    )
    allowance, items = Allowance(most_bytes), []
    try:
        for position, source in enumerate(sources):
            item = BatchItem(
                position=position, name=source.name[len(folder) :][-_NAME_LENGTH:], upload_key=new_key()
            )
            items.append(item)
            _keep(item, source, allowance)
        waiting_uploads().sync()
        _commit(batch, items, and_then)
    except BaseException:
        _withdraw(batch.key, [item.upload_key for item in items])
        raise
    return batch


def sweep_uploads(app: Flask) -> int:
    """Removes files that a killed server left and that wait for nothing, and returns how many."""

    def known(keys: Collection[str]) -> Collection[str]:
        query = select(BatchItem.upload_key).where(
            BatchItem.upload_key.in_(keys), BatchItem.state.in_(OPEN_STATES)
        )
        found = db.session.scalars(query).all()
        db.session.rollback()
        return found

    with app.app_context():
        age = app.config["SWEEP_OLDER_THAN"].total_seconds()
        removed = waiting_uploads().sweep(known, older_than_seconds=age)
    if removed:
        log.warning("Removed %d uploads that waited for nothing", removed)
    return removed


def _check(user: User, sources: Sequence[Source], most_bytes: int) -> None:
    most = current_app.config["BATCH_FILES"]
    if not sources:
        raise BatchRefusedError("Choose a folder, several pictures or a zip first: no file has arrived.")
    if len(sources) > most:
        raise BatchRefusedError(
            f"These are {len(sources):,} files; a batch takes {most} at most. Send them in parts."
        )
    if sum(source.size for source in sources) > most_bytes:
        raise BatchRefusedError(_too_much(most_bytes))
    unfinished = select(func.count()).where(
        Batch.user_id == user.id, Batch.finished_at.is_(None), Batch.cancelled_at.is_(None)
    )
    if (db.session.scalar(unfinished) or 0) >= current_app.config["BATCHES_AT_ONCE"]:
        raise BatchRefusedError(
            f"{current_app.config['BATCHES_AT_ONCE']} of your batches are not done yet. "
            "Wait until one is, continue one that is paused, or cancel one."
        )


def _too_much(most_bytes: int) -> str:
    return f"Together these files have more than {most_bytes // 1_000_000:,} MB. Send them in parts."


def _sources_of(file: FileStorage) -> Iterator[Source]:
    name = tidy_path(file.filename or "")
    if not is_archive(name):
        yield Source(name, size_of(file), lambda limit: _chunks_of(file, limit))
        return
    try:
        entries = entries_of(file.stream)
    except BadArchiveError as err:
        yield Source(name, fault=str(err))
        return
    for entry in entries:
        inner = tidy_path(entry.name)
        if is_archive(inner):
            yield Source(inner, fault=NESTED)
        else:
            yield Source(inner, entry.size, entry.chunks)


def _chunks_of(file: FileStorage, limit: int) -> Iterator[bytes]:
    left = limit
    while chunk := file.stream.read(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise BadEntryError(too_large(limit))
        yield chunk


def _keep(item: BatchItem, source: Source, allowance: Allowance) -> None:
    """Writes one file to the disk, or notes why it cannot be."""
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    fault = source.fault
    if source.chunks is not None and source.size > limit:
        fault = too_large(limit)
    elif source.chunks is not None:
        before = allowance.left
        try:
            waiting_uploads().save(item.upload_key, allowance.counted(source.chunks(limit)))
        except BadEntryError as err:
            fault = str(err)
        else:
            if allowance.left == before:
                waiting_uploads().delete([item.upload_key])
                fault = "This file is empty. Copy it again from the camera."
    item.state, item.error = ("failed", fault) if fault else ("waiting", "")


def _commit(batch: Batch, items: Sequence[BatchItem], and_then: Callable[[Batch], None] | None) -> None:
    if all(item.state == "failed" for item in items):
        batch.finished_at = now()
    db.session.add(batch)
    db.session.flush()
    for item in items:
        item.batch_id = batch.id
    db.session.add_all(items)
    if and_then is not None:
        and_then(batch)
    db.session.commit()


def _withdraw(key: str, uploads: Collection[str]) -> None:
    """Removes the files of a batch that was not committed; where that cannot be told, the sweep does it later."""
    try:
        db.session.rollback()
        committed = db.session.scalar(select(Batch.id).where(Batch.key == key)) is not None
    except SQLAlchemyError:
        log.exception("Cannot tell whether a batch has its rows; its files are left to the sweep")
        return
    if not committed:
        waiting_uploads().delete(uploads)
