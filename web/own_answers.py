"""The answers of one user, as many as there are, in order and never all in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, joinedload

from web.database import db
from web.models import Prediction

_AT_ONCE = 200


class OwnAnswers:
    """A user's answers that fulfil conditions, newest first.

    Their numbers are read once; the rows are read some at a time, each time in a transaction of their own, so that a
    slow download holds nothing up. One that is deleted meanwhile is left out.
    """

    def __init__(self, user_id: int, conditions: Sequence[ColumnElement[bool]] = ()) -> None:
        self._which = [Prediction.user_id == user_id, *conditions]
        query = select(Prediction.id).where(*self._which)
        self._ids = list(
            db.session.scalars(query.order_by(Prediction.created_at.desc(), Prediction.key.desc()))
        )
        db.session.rollback()

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Prediction]:
        for start in range(0, len(self._ids), _AT_ONCE):
            some = self._ids[start : start + _AT_ONCE]
            query = select(Prediction).where(Prediction.id.in_(some)).options(joinedload(Prediction.lesion))
            with Session(db.engine) as session:
                rows = {row.id: row for row in session.scalars(query)}
            yield from (rows[number] for number in some if number in rows)

    def codes(self) -> list[str]:
        """Returns the classes of all models that answered, in alphabetical order; one answer a model is read."""
        newest = select(func.max(Prediction.id)).where(*self._which).group_by(Prediction.model_sha256)
        found = db.session.scalars(select(Prediction.probabilities).where(Prediction.id.in_(newest)))
        return sorted({code for probabilities in found for code in probabilities})
