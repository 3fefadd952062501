"""What its owner does with a batch that was sent: pausing, continuing, cancelling and deleting it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update

from web.answering import store
from web.batch_uploads import OPEN_STATES, waiting_uploads
from web.database import db, now
from web.models import Batch, BatchItem, Prediction


def pause_batch(batch: Batch) -> None:
    """Begins no further file of a batch, until it is continued; one that is being answered still is.

    A batch that has ended stays as it is.
    """
    _set(batch, Batch.finished_at.is_(None), Batch.paused_at.is_(None), paused_at=now())


def continue_batch(batch: Batch) -> None:
    """Goes on with a batch that is paused; any other stays as it is."""
    _set(batch, Batch.paused_at.is_not(None), paused_at=None, continued_at=now())


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


def _set(batch: Batch, *conditions: ColumnElement[bool], **values: datetime | None) -> None:
    """Changes a batch where it is still as the conditions say: its last file may be answered at this moment."""
    db.session.execute(
        update(Batch).where(Batch.id == batch.id, *conditions).values(values),
        execution_options={"synchronize_session": False},
    )
    db.session.commit()
    db.session.refresh(batch)


def _open_uploads(batch: Batch) -> list[str]:
    query = select(BatchItem.upload_key).where(
        BatchItem.batch_id == batch.id, BatchItem.state.in_(OPEN_STATES)
    )
    return list(db.session.scalars(query))
