"""Reviewed cases as a dataset folder for retraining. Where the cases are kept is left to whoever keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core.errors import DatasetError

if TYPE_CHECKING:
    from derm_core.data.table import Dataset

_KNOWN_BY = {"histopathology": "histo", "follow-up": "follow_up", "consensus": "consensus"}
"""How a diagnosis is known, in the words of a review -> in those of the published datasets."""
_TEST, _VAL = 0.1, 0.2  # upper bounds of a lesion's number in [0, 1)


@dataclass(frozen=True)
class ReviewedCase:
    """A photograph whose diagnosis was confirmed.

    Attributes:
        image: the name of its file in the dataset.
        diagnosis: a code.
        lesion: what names its lesion; nothing that tells who the patient is.
        age: in years; None where it is not known.
        sex, site: empty where they are not known.
        confirmed_by: histopathology, follow-up or consensus; empty where that is not known.
    """

    image: str
    diagnosis: str
    lesion: str
    age: float | None
    sex: str
    site: str
    confirmed_by: str


def write_reviewed(folder: Path, cases: Sequence[ReviewedCase], photographs: Iterable[bytes]) -> Dataset:
    """Writes a dataset folder of reviewed cases.

    A lesion keeps its split from export to export, as a number made from its name decides: what a model was tested on
    is never trained on later.

    Args:
        folder: must not exist yet.
        cases: without names of people, notes or nicknames.
        photographs: the files in the order of the cases. May be lazy.

    Raises:
        DatasetError: the folder exists or cannot be written, or there is no case.
    """
    if not cases:
        raise DatasetError("No case is reviewed yet. Record a confirmed diagnosis first.")
    import pandas as pd  # here, because it is large and no page needs it

    from derm_core.data.table import write_dataset

    rows = [
        {
            "image": case.image,
            "diagnosis": case.diagnosis,
            "lesion_id": case.lesion,
            "age": case.age,
            "sex": case.sex,
            "site": case.site,
            "confirmed_by": _KNOWN_BY.get(case.confirmed_by, ""),
            "split": _split(case.lesion),
        }
        for case in cases
    ]
    provenance = {
        "source": "reviewed cases",
        "licence": "",
        "split": {"val": 0.1, "test": 0.1, "by": "lesion"},
    }
    return write_dataset(folder, pd.DataFrame(rows), photographs, provenance=provenance)


def _split(lesion: str) -> str:
    number = int(hashlib.sha256(lesion.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if number < _TEST else "val" if number < _VAL else "train"
