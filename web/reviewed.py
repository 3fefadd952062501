"""Reviewed cases as a dataset folder for retraining. Decides nothing about who may have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Select, func, select

from derm_core import ReviewedCase, write_reviewed
from web.answering import store
from web.audit import record
from web.database import db
from web.models import Lesion, Prediction, Review
from web.pictures import PHOTO

if TYPE_CHECKING:
    from derm_core import Dataset


@dataclass(frozen=True)
class ReviewCounts:
    """How many answers were reviewed: by verdict, and of the confirmed ones by diagnosis."""

    confirmed: int
    bad_pictures: int
    by_diagnosis: dict[str, int]


def count_reviews() -> ReviewCounts:
    """Counts what could be exported; samples are left out."""
    query = (
        select(Prediction.review, Prediction.confirmed, func.count())
        .where(Prediction.review != "", Prediction.is_sample.is_(False))
        .group_by(Prediction.review, Prediction.confirmed)
    )
    counts = [(verdict, code, count) for verdict, code, count in db.session.execute(query)]
    by_diagnosis = {code: count for verdict, code, count in counts if verdict == "confirmed"}
    bad = sum(count for verdict, _, count in counts if verdict == "bad-picture")
    return ReviewCounts(sum(by_diagnosis.values()), bad, dict(sorted(by_diagnosis.items())))


def export_reviewed(folder: Path) -> Dataset:
    """Writes every confirmed case that is no sample, its photograph as it is kept, and notes it in the audit log.

    Splits are those of `derm_core.write_reviewed`. Names of people, notes and lesions' nicknames stay behind.

    Raises DatasetError where the folder exists, or there is no case yet.
    """
    cases = [_case(prediction, lesion) for prediction, lesion in db.session.execute(_cases())]
    dataset = write_reviewed(folder, cases, _photographs(case.image.removesuffix(".jpg") for case in cases))
    record("cases.exported", "dataset", folder.name, cases=len(cases))
    db.session.commit()
    return dataset


def _cases() -> Select[Prediction, str | None]:
    return (
        select(Prediction, func.coalesce(Lesion.origin, Lesion.key))
        .outerjoin(Lesion, Lesion.id == Prediction.lesion_id)
        .where(Prediction.review == "confirmed", Prediction.is_sample.is_(False))
        .order_by(Prediction.id)
    )


def _confirmed_by(prediction: Prediction) -> str:
    query = (
        select(Review.confirmed_by).where(Review.prediction_id == prediction.id).order_by(Review.id.desc())
    )
    return db.session.scalar(query.limit(1)) or ""


def _case(prediction: Prediction, lesion: str | None) -> ReviewedCase:
    return ReviewedCase(
        image=f"{prediction.key}.jpg",
        diagnosis=prediction.confirmed,
        # As it is called where it comes from: there as here it must stay on one side of the splits.
        lesion=lesion or prediction.origin or prediction.key,
        age=prediction.age,
        sex=prediction.sex,
        site=prediction.site,
        confirmed_by=_confirmed_by(prediction),
    )


def _photographs(keys: Iterable[str]) -> Iterator[bytes]:
    return (store().path(key, PHOTO).read_bytes() for key in keys)
