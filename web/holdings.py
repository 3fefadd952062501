"""What an account holds, counted; and how all of it is removed for good."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import InstrumentedAttribute

from web.answering import store
from web.batch_uploads import waiting_uploads
from web.database import db
from web.models import ApiToken, Batch, BatchItem, Lesion, Prediction, Share, User
from web.quota import bytes_kept, megabytes_text


@dataclass(frozen=True)
class Holdings:
    """How many of each kind an account holds; `bytes` is what the files of its answers take."""

    answers: int
    lesions: int
    batches: int
    tokens: int
    shared: int
    bytes: int

    @property
    def texts(self) -> list[str]:
        """Writes what there is, each kind once: 12 answers, 1 lesion; what there is none of is left out."""
        kinds = (
            (self.answers, "answer", "answers"),
            (self.lesions, "lesion", "lesions"),
            (self.batches, "batch", "batches"),
            (self.tokens, "API token", "API tokens"),
        )
        return [f"{count:,} {one if count == 1 else many}" for count, one, many in kinds if count]

    @property
    def text(self) -> str:
        """Writes it as a list: 12 answers, 1 lesion and 2 batches; empty where there is nothing."""
        *others, last = self.texts or [""]
        return f"{', '.join(others)} and {last}" if others else last

    @property
    def removed_text(self) -> str:
        """Writes what went with an account, to stand behind a sentence; empty where there was nothing."""
        if not self.text:
            return ""
        files = f", and their pictures ({megabytes_text(self.bytes)})" if self.answers else ""
        return f", with {self.text}{files}"


def holdings_of(user: User) -> Holdings:
    """Counts what an account holds."""
    return Holdings(
        answers=_count(Prediction.user_id, user),
        lesions=_count(Lesion.user_id, user),
        batches=_count(Batch.user_id, user),
        tokens=_count(ApiToken.user_id, user),
        shared=_count_shared(user),
        bytes=bytes_kept(user),
    )


def delete_user(user: User) -> Holdings:
    """Removes an account with everything it holds, rows first and then files, and returns what that was.

    Killed between the two, the server finds the files that belong to nobody when it starts again.
    """
    held = holdings_of(user)
    keys = db.session.scalars(select(Prediction.key).where(Prediction.user_id == user.id)).all()
    uploads = db.session.scalars(
        select(BatchItem.upload_key)
        .join(Batch, Batch.id == BatchItem.batch_id)
        .where(Batch.user_id == user.id)
    ).all()
    db.session.execute(delete(User).where(User.id == user.id))
    db.session.commit()
    for key in keys:
        store().delete(key)
    waiting_uploads().delete(uploads)
    return held


def _count(owner: InstrumentedAttribute[int], user: User) -> int:
    return db.session.scalar(select(func.count()).where(owner == user.id)) or 0


def _count_shared(user: User) -> int:
    query = select(func.count(func.distinct(Share.prediction_id))).join(
        Prediction, Prediction.id == Share.prediction_id
    )
    return db.session.scalar(query.where(Prediction.user_id == user.id)) or 0
