"""What is known of a batch: how far it is, its rows in any order, its CSV; and how it is cancelled and deleted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update

from derm_core import NOTICE
from web.answer_table import harmless
from web.answering import store
from web.batch_uploads import OPEN_STATES, waiting_uploads
from web.database import db, now
from web.models import Batch, BatchItem, Prediction
from web.presentation import diagnosis_name

GROUPS = ("refer", "routine", "unsure", "failed")
"""What the rows can be narrowed to: the advice, or that there is none because the file was not read."""
SORTS = ("position", "file", "diagnosis", "risk", "advice")
_NEWEST = 20
_ADVICE_ORDER = {"refer": 0, "routine": 1, "unsure": 2}
_LAST = 9


@dataclass(frozen=True)
class Progress:
    """How many files of a batch have come to what. `removed` counts answers that were deleted since."""

    total: int
    refer: int
    routine: int
    unsure: int
    removed: int
    failed: int
    waiting: int
    seconds_left: float | None
    """About how long it will take; None where that cannot be told yet, or there is nothing left."""

    @property
    def left_text(self) -> str:
        """Writes how long it will take: about 20 seconds left; empty where that cannot be told."""
        if self.seconds_left is None:
            return ""
        if self.seconds_left < 55:
            tens = max(10, 10 * round(self.seconds_left / 10))
            return f"about {tens} seconds left"
        minutes = round(self.seconds_left / 60)
        return "about a minute left" if minutes <= 1 else f"about {minutes} minutes left"

    @property
    def done(self) -> int:
        """How many files have an answer or a reason why not."""
        return self.total - self.waiting


@dataclass(frozen=True)
class Row:
    """One file of a batch, with its answer where there is one."""

    item: BatchItem
    prediction: Prediction | None

    @property
    def group(self) -> str:
        """One of GROUPS, `waiting`, or `removed`."""
        if self.item.state in OPEN_STATES:
            return "waiting"
        if self.item.state == "failed":
            return "failed"
        return self.prediction.advice if self.prediction else "removed"

    @property
    def answered(self) -> bool:
        """Whether there are figures to show: not where the model gave no answer."""
        return self.prediction is not None and self.prediction.advice != "unsure"


def progress_of(batch: Batch) -> Progress:
    """Counts the files of a batch."""
    query = (
        select(BatchItem.state, Prediction.advice, func.count())
        .join(Prediction, Prediction.id == BatchItem.prediction_id, isouter=True)
        .where(BatchItem.batch_id == batch.id)
        .group_by(BatchItem.state, Prediction.advice)
    )
    counts = dict.fromkeys(("refer", "routine", "unsure", "removed", "failed", "waiting"), 0)
    for state, advice, count in db.session.execute(query):
        group = "waiting" if state in OPEN_STATES else "failed" if state == "failed" else advice or "removed"
        counts[group] += count
    left = _seconds_left(batch, counts["waiting"]) if counts["waiting"] else None
    return Progress(total=batch.total, seconds_left=left, **counts)


def rows_of(batch: Batch, *, sort: str = "position", descending: bool = False, group: str = "") -> list[Row]:
    """Returns the files of a batch.

    Args:
        sort: one of SORTS. Files without what is sorted by stand at the end, in either direction.
        group: one of GROUPS, to see those alone; empty for all.
    """
    query = (
        select(BatchItem, Prediction)
        .join(Prediction, Prediction.id == BatchItem.prediction_id, isouter=True)
        .where(BatchItem.batch_id == batch.id)
        .order_by(BatchItem.position)
    )
    rows = [Row(item, prediction) for item, prediction in db.session.execute(query)]
    rows = [row for row in rows if not group or row.group == group]
    if sort == "position":
        return rows[::-1] if descending else rows
    with_value = [row for row in rows if _has(row, sort)]
    with_value.sort(key=lambda row: _value(row, sort), reverse=descending)
    return with_value + [row for row in rows if not _has(row, sort)]


def cancel_batch(batch: Batch) -> None:
    """Ends a batch: what has an answer keeps it, what waits is not read, and its uploads are removed."""
    uploads = _open_uploads(batch)
    moment = now()
    db.session.execute(
        update(BatchItem)
        .where(BatchItem.batch_id == batch.id, BatchItem.state.in_(OPEN_STATES))
        .values(state="failed", error="Not read: the batch was cancelled.")
    )
    if batch.finished_at is None:
        batch.cancelled_at = batch.finished_at = moment
    db.session.commit()
    waiting_uploads().delete(uploads)


def delete_batch(batch: Batch, *, with_answers: bool) -> int:
    """Removes a batch for good, with its answers or without, and returns how many answers went with it."""
    uploads = _open_uploads(batch)
    keys: list[str] = []
    if with_answers:
        of_batch = select(BatchItem.prediction_id).where(BatchItem.batch_id == batch.id)
        mine = [Prediction.id.in_(of_batch), Prediction.user_id == batch.user_id]
        keys = list(db.session.scalars(select(Prediction.key).where(*mine)))
        db.session.execute(delete(Prediction).where(*mine))
    db.session.execute(delete(Batch).where(Batch.id == batch.id))
    db.session.commit()
    waiting_uploads().delete(uploads)
    for key in keys:
        store().delete(key)
    return len(keys)


def rows_csv(rows: Iterable[Row]) -> str:
    """Writes rows as CSV, one a file. Figures are left out where the model gave no answer."""
    rows = list(rows)
    codes = sorted(
        {code for row in rows if row.answered and row.prediction for code in row.prediction.probabilities}
    )
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(
        [
            *("file", "state", "advice", "top", "diagnosis", "malignant_probability", "operating_point"),
            *(f"p_{code}" for code in codes),
            *(
                "quality",
                "model",
                "model_version",
                "model_sha256",
                "answered_at",
                "answer",
                "error",
                "notice",
            ),
        ]
    )
    for row in rows:
        writer.writerow([harmless(value) for value in _csv_values(row, codes)])
    return buffer.getvalue()


def _csv_values(row: Row, codes: list[str]) -> list[object]:
    given, item = row.prediction, row.item
    state = "removed" if row.group == "removed" else item.state
    if given is None:
        return [item.name, state, *[""] * (5 + len(codes)), *[""] * 6, item.error, NOTICE]
    figures: list[object] = [""] * (4 + len(codes))
    if row.answered:
        figures = [given.top, diagnosis_name(given.top), given.malignant_probability, given.operating_point]
        figures += [given.probabilities.get(code, "") for code in codes]
    quality = " ".join(flag["name"] for flag in given.quality)
    model = [given.model_name, given.model_version, given.model_sha256]
    moment = given.created_at.isoformat(timespec="seconds")
    return [item.name, state, given.advice, *figures, quality, *model, moment, given.key, item.error, NOTICE]


def _open_uploads(batch: Batch) -> list[str]:
    query = select(BatchItem.upload_key).where(
        BatchItem.batch_id == batch.id, BatchItem.state.in_(OPEN_STATES)
    )
    return list(db.session.scalars(query))


def _seconds_left(batch: Batch, waiting: int) -> float | None:
    newest = list(
        db.session.scalars(
            select(BatchItem.claimed_at)
            .where(BatchItem.batch_id == batch.id, BatchItem.claimed_at.is_not(None))
            .order_by(BatchItem.claimed_at.desc())
            .limit(_NEWEST)
        )
    )
    begun: datetime | None = newest[-1] if len(newest) > 1 else None
    if begun is None:
        return None
    return waiting * (now() - begun).total_seconds() / (len(newest) - 1)


def _has(row: Row, sort: str) -> bool:
    if sort == "file":
        return True
    if sort == "advice":
        return row.prediction is not None
    return row.answered


def _value(row: Row, sort: str) -> tuple[object, ...]:
    given = row.prediction
    if sort == "file" or given is None:
        return (row.item.name.casefold(),)
    if sort == "diagnosis":
        return (diagnosis_name(given.top), given.malignant_probability)
    if sort == "advice":
        return (_ADVICE_ORDER.get(given.advice, _LAST), -given.malignant_probability)
    return (given.malignant_probability,)
