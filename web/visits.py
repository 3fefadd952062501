"""Which lesion a photograph belongs to and when it was taken: the fields that ask, and a lesion's photographs in order.

A photograph of a lesion is called a visit. Shows no page; whose the lesions are is the signed-in user.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import abort
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy import func, select
from wtforms import DateField, Field, SelectField, ValidationError
from wtforms.validators import Optional

from web.database import db, now
from web.models import Lesion, Prediction

MOST_VISITS = 100
"""So many photographs of a lesion are shown, the newest ones."""
MOST_CHOICES = 500
_EARLIEST = date(1900, 1, 1)


@dataclass(frozen=True)
class Visit:
    """One photograph of a lesion, and its day: when it was taken, or where that was not told, when it was answered."""

    prediction: Prediction
    day: date

    @property
    def answered(self) -> bool:
        """Whether there are figures to compare."""
        return self.prediction.advice != "unsure"


@dataclass(frozen=True)
class Summary:
    """What a list tells of a lesion: how many photographs it has, and the latest (None where it has none)."""

    lesion: Lesion
    photographs: int
    latest: Visit | None


def day_of(prediction: Prediction) -> date:
    """Returns the day that an answer's photograph stands for."""
    return prediction.taken_on or prediction.created_at.date()


def own_lesion(key: str) -> Lesion:
    """Returns the signed-in user's lesion of that key; for anybody else's, as for one that never was, 404."""
    query = select(Lesion).where(Lesion.key == key, Lesion.user_id == current_user.id)
    return db.session.scalar(query) or abort(404)


def own_lesion_id(key: str) -> int | None:
    """Returns the number of the signed-in user's lesion of that key; None for an empty key, else as own_lesion."""
    return own_lesion(key).id if key else None


def lesion_choices(chosen: str | None = None) -> dict[str, str]:
    """Returns keys and names of the user's lesions, by name, after the empty key.

    Of more than MOST_CHOICES they are the newest ones, and with them the `chosen` one where it is the user's.
    """
    named = select(Lesion.key, Lesion.name).where(Lesion.user_id == current_user.id)
    newest = named.order_by(Lesion.created_at.desc(), Lesion.key.desc()).limit(MOST_CHOICES)
    found = dict(db.session.execute(newest).all())
    if chosen and chosen not in found:
        found |= dict(db.session.execute(named.where(Lesion.key == chosen)).all())
    own = sorted((name.casefold(), name, key) for key, name in found.items())
    return {"": "No lesion"} | {key: name for _, name, key in own}


def visits_of(lesion: Lesion) -> list[Visit]:
    """Returns a lesion's photographs, the oldest first."""
    query = (
        select(Prediction)
        .where(Prediction.lesion_id == lesion.id, Prediction.user_id == lesion.user_id)
        .order_by(Prediction.created_at.desc(), Prediction.key.desc())
        .limit(MOST_VISITS)
    )
    visits = [Visit(prediction, day_of(prediction)) for prediction in db.session.scalars(query)]
    return sorted(visits, key=lambda visit: (visit.day, visit.prediction.created_at, visit.prediction.key))


def summaries_of(lesions: Sequence[Lesion]) -> list[Summary]:
    """Returns what a list tells of each lesion, in the order given."""
    # SQLite and PostgreSQL both have date(); the day is taken in UTC by the one and in its own zone by the other.
    day = func.coalesce(Prediction.taken_on, func.date(Prediction.created_at))
    newest_first = (day.desc(), Prediction.created_at.desc(), Prediction.key.desc())
    ranked = (
        select(
            Prediction.id,
            func.row_number().over(partition_by=Prediction.lesion_id, order_by=newest_first).label("place"),
            func.count().over(partition_by=Prediction.lesion_id).label("photographs"),
        )
        .where(Prediction.lesion_id.in_([lesion.id for lesion in lesions]))
        .subquery()
    )
    query = select(Prediction, ranked.c.photographs).join(ranked, ranked.c.id == Prediction.id)
    latest = {
        row.lesion_id: (row, count) for row, count in db.session.execute(query.where(ranked.c.place == 1))
    }
    found = []
    for lesion in lesions:
        row, count = latest.get(lesion.id, (None, 0))
        found.append(Summary(lesion, count, Visit(row, day_of(row)) if row is not None else None))
    return found


def count_visits(lesion: Lesion) -> int:
    """Returns how many photographs a lesion has."""
    query = select(func.count()).select_from(Prediction).where(Prediction.lesion_id == lesion.id)
    return db.session.scalar(query) or 0


def own_predictions(keys: Collection[str]) -> list[Prediction]:
    """Returns the signed-in user's answers among those of these keys, newest first; others are left out."""
    query = select(Prediction).where(Prediction.key.in_(keys), Prediction.user_id == current_user.id)
    return list(db.session.scalars(query.order_by(Prediction.created_at.desc(), Prediction.key.desc())))


class VisitForm(FlaskForm):
    """Which lesion a photograph shows, and the day it was taken; each may be left out."""

    lesion = SelectField(
        "Lesion",
        choices={"": "No lesion"},
        default="",
        invalid_choice_message="This lesion is not there any more. Choose another, or No lesion.",
    )
    taken_on = DateField(
        "Taken on",
        validators=[Optional()],
        invalid_value_message="Enter the day as year, month and day, such as 2026-03-31, or leave it empty.",
        render_kw={"autocomplete": "off"},
    )

    def __init__(self, *arguments: Any, **values: Any) -> None:
        super().__init__(*arguments, **values)
        self.lesion.choices = lesion_choices(self.lesion.data)

    def choose(self, lesion: Lesion) -> None:
        """Chooses one of the user's lesions where nothing was sent."""
        self.lesion.choices = lesion_choices(lesion.key)
        self.lesion.data = lesion.key

    def validate_taken_on(self, field: Field) -> None:
        """Refuses a day that has not come yet, wherever on earth it is told, and one before photography was common."""
        tomorrow = now().date() + timedelta(days=1)
        if field.data and not _EARLIEST <= field.data <= tomorrow:
            raise ValidationError("Enter the day the picture was taken, not one to come, or leave it empty.")
