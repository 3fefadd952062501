"""How far batches are: counts of what came of their files, and about how long the rest will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from web.batch_uploads import OPEN_STATES
from web.database import db, now
from web.models import Batch, BatchItem, Prediction

_NEWEST = 20
_ITEM_STATES = ("waiting", "paused", "working", "done", "failed")


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


def progress_of(batch: Batch) -> Progress:
    """Counts the files of a batch, and tells how long it will take where it is running."""
    counts = _counts([batch])[batch.id]
    is_running = counts["waiting"] and batch.state == "running"
    return _progress(batch, counts, _seconds_left(batch, counts["waiting"]) if is_running else None)


def progress_of_each(batches: Sequence[Batch]) -> list[Progress]:
    """Counts the files of several batches, in one query; how long they will take is not told."""
    counts = _counts(batches)
    return [_progress(batch, counts[batch.id]) for batch in batches]


def items_by_state() -> dict[str, int]:
    """Counts the files of everybody's batches by their state; one that waits in a paused batch is `paused`."""
    by_state = select(BatchItem.state, func.count()).group_by(BatchItem.state)
    counts = {state: count for state, count in db.session.execute(by_state)}  # noqa: C416 - rows are no pairs to mypy
    in_batches = select(func.count()).join_from(BatchItem, Batch, Batch.id == BatchItem.batch_id)
    are_paused = (BatchItem.state == "waiting", Batch.paused_at.is_not(None))
    paused = db.session.scalar(in_batches.where(*are_paused)) or 0
    # The two counts are of two moments.
    waiting = max(0, counts.get("waiting", 0) - paused)
    return dict.fromkeys(_ITEM_STATES, 0) | counts | {"waiting": waiting, "paused": paused}


def _progress(batch: Batch, counts: Counter[str], seconds_left: float | None = None) -> Progress:
    groups = ("refer", "routine", "unsure", "removed", "failed", "waiting")
    return Progress(total=batch.total, seconds_left=seconds_left, **{name: counts[name] for name in groups})


def _counts(batches: Sequence[Batch]) -> dict[int, Counter[str]]:
    query = (
        select(BatchItem.batch_id, BatchItem.state, Prediction.advice, func.count())
        .join(Prediction, Prediction.id == BatchItem.prediction_id, isouter=True)
        .where(BatchItem.batch_id.in_([batch.id for batch in batches]))
        .group_by(BatchItem.batch_id, BatchItem.state, Prediction.advice)
    )
    found: dict[int, Counter[str]] = {batch.id: Counter() for batch in batches}
    for batch_id, state, advice, count in db.session.execute(query):
        group = "waiting" if state in OPEN_STATES else "failed" if state == "failed" else advice or "removed"
        found[batch_id][group] += count
    return found


def _seconds_left(batch: Batch, waiting: int) -> float | None:
    claimed = select(BatchItem.claimed_at).where(
        BatchItem.batch_id == batch.id, BatchItem.claimed_at.is_not(None)
    )
    if batch.continued_at is not None:
        claimed = claimed.where(BatchItem.claimed_at >= batch.continued_at)
    newest = list(db.session.scalars(claimed.order_by(BatchItem.claimed_at.desc()).limit(_NEWEST)))
    begun: datetime | None = newest[-1] if len(newest) > 1 else None
    if begun is None:
        return None
    return waiting * (now() - begun).total_seconds() / (len(newest) - 1)
