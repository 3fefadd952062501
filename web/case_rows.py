"""Lesions and their answers as a case file carries them, read from rows and files. Decides nothing about who may."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import select

from derm_core import CaseLesion, CasePhotograph, CaseReview, PatientContext
from web.answering import store
from web.database import db
from web.lesion_forms import place_of
from web.models import Lesion, Prediction, Review
from web.pictures import PHOTO, heatmap_name
from web.reports import answer_of


def case_lesions(user_id: int, keys: Sequence[str] | None = None) -> Iterator[CaseLesion]:
    """Yields a user's lesions, one at a time; samples are left out.

    Args:
        user_id: whose.
        keys: of the lesions; None for all. Another's counts as one that never was.
    """
    query = select(Lesion.id).where(Lesion.user_id == user_id).order_by(Lesion.id)
    if keys is not None:
        query = query.where(Lesion.key.in_(keys))
    for number in db.session.scalars(query).all():
        lesion = db.session.get(Lesion, number)
        if lesion is not None:
            yield _case_lesion(lesion)
        # A slow reader holds no transaction, and no more than one lesion in memory.
        db.session.rollback()


def newest_review(prediction: Prediction) -> Review | None:
    """Returns the last step of an answer's review; None where there is none."""
    query = select(Review).where(Review.prediction_id == prediction.id).order_by(Review.id.desc())
    return db.session.scalar(query.limit(1))


def _case_lesion(lesion: Lesion) -> CaseLesion:
    query = select(Prediction).where(
        Prediction.lesion_id == lesion.id,
        Prediction.user_id == lesion.user_id,
        Prediction.is_sample.is_(False),
    )
    place = place_of(lesion)
    return CaseLesion(
        id=lesion.origin or lesion.key,
        name=lesion.name,
        patient="",
        site=lesion.site,
        body=(place.view, place.x, place.y) if place else None,
        notes=lesion.notes,
        created_at=lesion.created_at,
        photographs=tuple(_case_photograph(row) for row in db.session.scalars(query.order_by(Prediction.id))),
    )


def _case_photograph(row: Prediction) -> CasePhotograph:
    codes = row.probabilities if row.advice != "unsure" else ()
    return CasePhotograph(
        id=row.origin or row.key,
        prediction=answer_of(row),
        measured=row.operating_point_measured,
        plausible_level=row.plausible_level,
        answered_at=row.created_at,
        patient=PatientContext(row.age, row.sex, row.site),
        taken_on=row.taken_on,
        note=row.note,
        review=_case_review(row),
        picture=partial(_read, store().folder(row.key) / PHOTO),
        heatmaps={code: partial(_read, store().folder(row.key) / heatmap_name(code)) for code in codes},
    )


def _case_review(row: Prediction) -> CaseReview | None:
    review = newest_review(row) if row.review else None
    if review is None or review.verdict == "withdrawn":
        return None
    return CaseReview(
        review.verdict,
        review.diagnosis,
        review.confirmed_by,
        review.comment,
        review.reviewer_name,
        review.created_at,
    )


def _read(path: Path) -> bytes:
    return path.read_bytes()
