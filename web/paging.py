"""The history in pages, newest first, by key and not by number: a page does not shift when answers come or go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, literal, select, tuple_

from web.database import UTCDateTime, db
from web.models import Prediction, User

_CURSOR = re.compile(r"([0-9]{1,17})-([0-9a-f]{32})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Page:
    """Some answers, newest first, and the cursors of the pages beside them (None where there is none)."""

    predictions: list[Prediction]
    newer: str | None
    older: str | None
    total: int


def history_page(user: User, size: int, *, before: str | None = None, after: str | None = None) -> Page:
    """Returns up to `size` answers: the newest, or those next to a cursor.

    Args:
        before: a cursor; the answers older than it.
        after: a cursor; the answers newer than it, those nearest to it.

    A cursor that cannot be read counts as none.
    """
    older_than, newer_than = _parse(before), _parse(after)
    query = user.predictions.select()
    if newer_than is not None and older_than is None:
        query = query.where(_position() > newer_than)
        query = query.order_by(Prediction.created_at.asc(), Prediction.key.asc())
        rows = list(db.session.scalars(query.limit(size)))[::-1]
    else:
        if older_than is not None:
            query = query.where(_position() < older_than)
        query = query.order_by(Prediction.created_at.desc(), Prediction.key.desc())
        rows = list(db.session.scalars(query.limit(size)))
    total = db.session.scalar(select(func.count()).select_from(user.predictions.select().subquery())) or 0
    return Page(
        predictions=rows,
        newer=_cursor(rows[0]) if rows and _exists(user, _position() > _place(rows[0])) else None,
        older=_cursor(rows[-1]) if rows and _exists(user, _position() < _place(rows[-1])) else None,
        total=total,
    )


def _exists(user: User, which: ColumnElement[bool]) -> bool:
    return db.session.scalar(user.predictions.select().where(which).limit(1)) is not None


def _position() -> Any:
    return tuple_(Prediction.created_at, Prediction.key)


def _place(row: Prediction) -> Any:
    return tuple_(literal(row.created_at, UTCDateTime), literal(row.key))


def _cursor(row: Prediction) -> str:
    return f"{(row.created_at - _EPOCH) // _MICROSECOND}-{row.key}"


def _parse(cursor: str | None) -> Any:
    match = _CURSOR.fullmatch(cursor or "")
    if match is None:
        return None
    try:
        moment = _EPOCH + int(match[1]) * _MICROSECOND
    except OverflowError:
        return None
    return tuple_(literal(moment, UTCDateTime), literal(match[2]))
