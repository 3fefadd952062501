"""Reviewed cases as a dataset folder for retraining. Decides nothing about who may have it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, select

from derm_core import DatasetError
from web.answering import store
from web.audit import record
from web.database import db
from web.models import Lesion, Prediction, Review
from web.pictures import PHOTO

if TYPE_CHECKING:
    from derm_core import Dataset

CONFIRMED_BY = {"histopathology": "histo", "follow-up": "follow_up", "consensus": "consensus"}
"""How a diagnosis is known, in the words of the website -> in those of the published datasets."""
_TEST, _VAL = 0.1, 0.2  # upper bounds of a lesion's number in [0, 1)


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

    A lesion keeps its split from export to export, as a number made from its name decides: what a model was tested on
    is never trained on later. Names of people, notes and lesions' nicknames stay behind.

    Raises DatasetError where the folder exists, or there is no case yet.
    """
    import pandas as pd  # here, because it is large and no page needs it

    from derm_core import write_dataset

    cases = [
        (prediction, lesion, _confirmed_by(prediction)) for prediction, lesion in db.session.execute(_cases())
    ]
    if not cases:
        raise DatasetError("No case is reviewed yet. Record a confirmed diagnosis first.")
    rows = [_row(prediction, lesion or prediction.key, known_by) for prediction, lesion, known_by in cases]
    dataset = write_dataset(
        folder,
        pd.DataFrame(rows),
        _photographs([prediction.key for prediction, _, _ in cases]),
        provenance={
            "source": "reviewed cases",
            "licence": "",
            "split": {"val": 0.1, "test": 0.1, "by": "lesion"},
        },
    )
    record("cases.exported", "dataset", folder.name, cases=len(rows))
    db.session.commit()
    return dataset


def _cases() -> Select[Prediction, str]:
    return (
        select(Prediction, Lesion.key)
        .outerjoin(Lesion, Lesion.id == Prediction.lesion_id)
        .where(Prediction.review == "confirmed", Prediction.is_sample.is_(False))
        .order_by(Prediction.id)
    )


def _confirmed_by(prediction: Prediction) -> str:
    query = (
        select(Review.confirmed_by).where(Review.prediction_id == prediction.id).order_by(Review.id.desc())
    )
    return CONFIRMED_BY.get(db.session.scalar(query.limit(1)) or "", "")


def _row(prediction: Prediction, lesion: str, known_by: str) -> dict[str, Any]:
    return {
        "image": f"{prediction.key}.jpg",
        "diagnosis": prediction.confirmed,
        "lesion_id": lesion,
        "age": prediction.age,
        "sex": prediction.sex,
        "site": prediction.site,
        "confirmed_by": known_by,
        "split": _split(lesion),
    }


def _split(lesion: str) -> str:
    number = int(hashlib.sha256(lesion.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if number < _TEST else "val" if number < _VAL else "train"


def _photographs(keys: list[str]) -> Iterator[bytes]:
    return (store().path(key, PHOTO).read_bytes() for key in keys)
