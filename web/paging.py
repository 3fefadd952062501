"""Lists in pages, newest first, by key and not by number: a page does not shift when rows come or go.

A page costs the same wherever it stands, and however many rows there are: the database reads it from an index. Knows
the order (created_at, key) alone, where a shared answer goes by the answer's key; what the rows are is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.orm import contains_eager, selectinload

from web.database import UTCDateTime, db
from web.history_filters import HistoryFilters
from web.models import Batch, Lesion, Prediction, Share, User

MOST_COUNTED = 1000
"""How far a list is counted; beyond it, it has "over 1,000"."""
_CURSOR = re.compile(r"([0-9]{1,17})-([0-9a-f]{32})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_Place = tuple[datetime, str]

Row = TypeVar("Row", Prediction, Lesion, Batch, Share)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, newest first, and the cursors of the pages beside them (None where there is none).

    `total` counts all pages, up to MOST_COUNTED + 1, which stands for more; it is None where that would take a search
    of its own.
    """

    rows: Sequence[Row]
    newer: str | None
    older: str | None
    total: int | None

    @property
    def total_text(self) -> str | None:
        """The total in words: 1,000, over 1,000; None where it is not known."""
        if self.total is None:
            return None
        return f"{self.total:,}" if self.total <= MOST_COUNTED else f"over {MOST_COUNTED:,}"


def history_page(
    user: User,
    size: int,
    *,
    filters: HistoryFilters | None = None,
    before: str | None = None,
    after: str | None = None,
) -> Page[Prediction]:
    """Returns up to `size` answers: the newest, or those next to a cursor.

    Args:
        filters: which answers; default: all.
        before: a cursor; the answers older than it.
        after: a cursor; the answers newer than it, those nearest to it.

    A cursor that cannot be read counts as none.
    """
    filters = filters or HistoryFilters()
    query = select(Prediction).where(*filters.conditions(user)).options(selectinload(Prediction.lesion))
    return _page(
        query,
        Prediction,
        size,
        _parse(before),
        _parse(after),
        newest=_start_of(filters.until, days_later=1),
        oldest=_start_of(filters.since),
        counted=not filters.text,
    )


def lesions_page(
    user: User, size: int, *, text: str = "", before: str | None = None, after: str | None = None
) -> Page[Lesion]:
    """Returns up to `size` lesions, the newest or those next to a cursor; with a text, those whose name has it."""
    query = select(Lesion).where(Lesion.user_id == user.id)
    if text:
        query = query.where(Lesion.name.icontains(text, autoescape=True))
    return _page(query, Lesion, size, _parse(before), _parse(after), counted=not text)


def batches_page(
    user: User, size: int, *, before: str | None = None, after: str | None = None
) -> Page[Batch]:
    """Returns up to `size` batches, the newest or those next to a cursor."""
    query = select(Batch).where(Batch.user_id == user.id)
    return _page(query, Batch, size, _parse(before), _parse(after), counted=True)


def inbox_page(
    clinician: User, size: int, *, before: str | None = None, after: str | None = None
) -> Page[Share]:
    """Returns up to `size` answers that others shared with a clinician, the newest or those next to a cursor."""
    query = (
        select(Share)
        .join(Share.prediction)
        .where(Share.clinician_id == clinician.id)
        .options(contains_eager(Share.prediction))
    )
    return _page(query, Share, size, _parse(before), _parse(after), counted=True)


def _page(
    query: Select[Row],
    table: type[Row],
    size: int,
    before: _Place | None,
    after: _Place | None,
    *,
    newest: _Place | None = None,
    oldest: _Place | None = None,
    counted: bool,
) -> Page[Row]:
    """Reads one page of a query. Each end has one bound, the nearer: with two, the index might be read from the wrong.

    Args:
        newest, oldest: places that all rows lie between.
        counted: whether the total is wanted.
    """
    backwards = before is None and after is not None
    upper = min(filter(None, (before, newest)), default=None)
    lower = max(filter(None, (after if backwards else None, oldest)), default=None)
    key = _key_of(table)
    newest_first = (table.created_at.desc(), key.desc())
    oldest_first = (table.created_at.asc(), key.asc())
    ordered = query.where(*_between(table, lower, upper)).order_by(
        *(oldest_first if backwards else newest_first)
    )
    found = list(db.session.scalars(ordered.limit(size + 1)))
    rows = found[:size][:: -1 if backwards else 1]
    there_is_more = len(found) > size
    if not rows:
        newer = older = False
    elif backwards:
        newer = there_is_more
        older = _exists(query.where(*_between(table, oldest, _place(rows[-1]))))
    else:
        older = there_is_more
        newer = before is not None and _exists(query.where(*_between(table, _place(rows[0]), newest)))
    total: int | None = None
    if not newer and not older and (rows or (before is None and after is None)):
        total = len(rows)
    elif counted:
        total = _count(query.where(*_between(table, oldest, newest)).order_by(*newest_first))
    return Page(
        rows=rows,
        newer=_cursor(rows[0]) if newer else None,
        older=_cursor(rows[-1]) if older else None,
        total=total,
    )


def _between(table: type[Row], lower: _Place | None, upper: _Place | None) -> list[ColumnElement[bool]]:
    position: Any = tuple_(table.created_at, _key_of(table))
    bounds: list[ColumnElement[bool]] = []
    if lower is not None:
        bounds.append(position > _literal(lower))
        if table is Share:  # The key stands in another table: an index must be told of the moment by itself.
            bounds.append(table.created_at >= literal(lower[0], UTCDateTime))
    if upper is not None:
        bounds.append(position < _literal(upper))
        if table is Share:
            bounds.append(table.created_at <= literal(upper[0], UTCDateTime))
    return bounds


def _key_of(table: Any) -> Any:
    return Prediction.key if table is Share else table.key


def _exists(query: Select[Row]) -> bool:
    return db.session.scalar(query.with_only_columns(literal(1)).limit(1)) is not None


def _count(ordered: Select[Row]) -> int:
    """Counts no further than MOST_COUNTED + 1. In the page's order, so that it is read from the page's index."""
    some = ordered.with_only_columns(literal(1)).limit(MOST_COUNTED + 1).subquery()
    return db.session.scalar(select(func.count()).select_from(some)) or 0


def _start_of(day: Any, *, days_later: int = 0) -> _Place | None:
    """Returns the place before every row of a day, in UTC."""
    if day is None:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=days_later), ""


def _literal(place: _Place) -> Any:
    return tuple_(literal(place[0], UTCDateTime), literal(place[1]))


def _place(row: Prediction | Lesion | Batch | Share) -> _Place:
    return row.created_at, row.prediction.key if isinstance(row, Share) else row.key


def _cursor(row: Prediction | Lesion | Batch | Share) -> str:
    moment, key = _place(row)
    return f"{(moment - _EPOCH) // _MICROSECOND}-{key}"


def _parse(cursor: str | None) -> _Place | None:
    match = _CURSOR.fullmatch(cursor or "")
    if match is None:
        return None
    try:
        return _EPOCH + int(match[1]) * _MICROSECOND, match[2]
    except OverflowError:
        return None
