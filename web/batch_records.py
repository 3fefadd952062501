"""The files of a batch, each with its answer: rows in any order, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from derm_core import NOTICE, diagnosis_name
from web.answer_table import harmless
from web.batch_uploads import OPEN_STATES
from web.database import db
from web.models import Batch, BatchItem, Prediction

GROUPS = ("refer", "routine", "unsure", "failed")
"""What the rows can be narrowed to: the advice, or that there is none because the file was not read."""
SORTS = ("position", "file", "diagnosis", "risk", "advice")
_ADVICE_ORDER = {"refer": 0, "routine": 1, "unsure": 2}
_LAST = 9


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
