"""A POST that names itself with an `Idempotency-Key` is done once, however often it is sent.

What was made is written down in the transaction that makes it. So a server that is killed has either done both, and
the next attempt is told what was made, or neither, and the next attempt does it. Of what was made only the address is
kept: what has been deleted does not live on in an answer that waits to be repeated.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO

from flask import request
from flask_login import current_user
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from web.api.problems import Problem
from web.database import db, now
from web.models import IdempotentRequest

log = logging.getLogger(__name__)

KEPT = timedelta(hours=24)
LEASE = timedelta(minutes=5)
"""Whoever has not answered after this was killed: the request may be taken over."""
_NAME = re.compile(r'"?([\x21\x23-\x7e]{1,200})"?')  # as the draft has it, in quotes, or without
_RETRY_AFTER_SECONDS = 2
_CHUNK_BYTES = 1 << 20


@dataclass
class Attempt:
    """One attempt at a POST. `location` is the address of what an earlier attempt has made, or empty."""

    location: str = ""
    _row: int | None = None
    _since: datetime | None = None

    @classmethod
    def begin(cls) -> Attempt:
        """Notes that this request is being answered.

        Raises Problem 409 where the same is being answered now, 422 where the key was used for something else.
        """
        if (given := request.headers.get("Idempotency-Key")) is None:
            return cls()
        match = _NAME.fullmatch(given)
        if match is None:
            raise Problem(
                422,
                "invalid",
                "The header Idempotency-Key holds 1 to 200 visible ASCII characters, such as a UUID.",
            )
        name, fingerprint = match[1], _fingerprint()
        db.session.execute(delete(IdempotentRequest).where(IdempotentRequest.created_at < now() - KEPT))
        row = IdempotentRequest(user_id=current_user.id, name=name, fingerprint=fingerprint)
        db.session.add(row)
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            return cls._after(name, fingerprint)
        return cls("", row.id, row.created_at)

    @classmethod
    def _after(cls, name: str, fingerprint: str) -> Attempt:
        """Follows an attempt of the same name: repeats its answer, waits for it, or takes over."""
        query = select(IdempotentRequest).where(
            IdempotentRequest.user_id == current_user.id, IdempotentRequest.name == name
        )
        known = db.session.scalar(query)
        if known is None:
            raise _still_running()  # it has just failed, and another attempt may come first
        if known.fingerprint != fingerprint:
            raise Problem(
                422, "key-reused", f"The key “{name}” came with other content before. Make a new one."
            )
        if known.status:
            return cls(known.location)
        moment = now()
        if known.created_at > moment - LEASE:
            raise _still_running()
        attempt = cls("", known.id, known.created_at)
        if not attempt._change(created_at=moment):
            raise _still_running()
        db.session.commit()
        attempt._since = moment
        return attempt

    def finish(self, location: str, status: int = 201) -> None:
        """Writes down what is made, in the transaction that makes it; commits nothing.

        Raises Problem 409 where another attempt has taken over meanwhile: then nothing may be made.
        """
        if self._row is not None and not self._change(location=location, status=status):
            raise _still_running()

    def forget(self) -> None:
        """Lets the request be sent again, where nothing was made."""
        if self._row is None:
            return
        try:
            db.session.rollback()
            db.session.execute(delete(IdempotentRequest).where(*self._mine()))
            db.session.commit()
        except SQLAlchemyError:
            log.exception("A request that failed keeps its Idempotency-Key until its lease has ended")
            db.session.rollback()

    def _change(self, **values: object) -> bool:
        changed = db.session.execute(
            update(IdempotentRequest)
            .where(*self._mine())
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined]

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        return (
            IdempotentRequest.id == self._row,
            IdempotentRequest.created_at == self._since,
            IdempotentRequest.status == 0,
        )


def _still_running() -> Problem:
    return Problem(409, "still-running", retry_after=_RETRY_AFTER_SECONDS)


def _fingerprint() -> str:
    """Returns the SHA-256 of what was sent. Of a form that is its fields and files: its separator is random."""
    whole = hashlib.sha256(f"{request.method} {request.full_path}\n{request.mimetype}\n".encode())
    if request.mimetype != "multipart/form-data":
        whole.update(request.get_data())
        return whole.hexdigest()
    for name, text in request.form.items(multi=True):
        whole.update(_part("field", name, hashlib.sha256(text.encode())))
    for name, file in request.files.items(multi=True):
        whole.update(_part("file", name, _of_stream(file.stream)))
    return whole.hexdigest()


def _part(kind: str, name: str, content: hashlib._Hash) -> bytes:
    return f"{kind} {len(name)} {name} {content.hexdigest()}\n".encode()


def _of_stream(stream: IO[bytes]) -> hashlib._Hash:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    stream.seek(0)
    return digest
