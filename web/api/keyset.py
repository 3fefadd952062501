"""Lists of the API in pages, newest first, by key and not by number. Each cursor names the last row that was shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Select, literal, tuple_

from web.database import UTCDateTime, db

Row = TypeVar("Row", bound=Any)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def page_of(
    query: Select[Row], table: Any, *, limit: int, cursor: str | None
) -> tuple[list[Row], str | None]:
    """Returns up to `limit` rows of a query, newest first, and the cursor of the page after them, if there is one.

    Args:
        table: the model, with `created_at` and `key`; an index on both makes every page as quick as the first.
        cursor: what was returned with the page before, of the form that `schemas.Cursor` asks for.
    """
    if cursor is not None:
        query = query.where(tuple_(table.created_at, table.key) < _place(cursor))
    query = query.order_by(table.created_at.desc(), table.key.desc()).limit(limit + 1)
    rows = list(db.session.scalars(query))
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, _cursor(rows[-1]) if more else None


def _cursor(row: Any) -> str:
    return f"{(row.created_at - _EPOCH) // _MICROSECOND}-{row.key}"


def _place(cursor: str) -> Any:
    moment, _, key = cursor.partition("-")
    return tuple_(literal(_EPOCH + int(moment) * _MICROSECOND, UTCDateTime), literal(key))
