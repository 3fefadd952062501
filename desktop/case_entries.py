"""What is put into the case list: what a lesion is called, a photograph with its answer, what became known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from derm_core import CaseReview, PatientContext, Prediction
from desktop.case_pictures import new_key


@dataclass(frozen=True)
class Named:
    """What a lesion is called: the patient's code and its own name, of which one may be empty; its site, and notes."""

    patient: str = ""
    name: str = ""
    site: str = ""
    notes: str = ""


@dataclass(frozen=True, eq=False)
class NewPhotograph:
    """A photograph to be kept.

    Attributes:
        picture: its file, of any accepted format.
        heatmaps: code to float32 (H, W) in [0, 1]; empty without an answer.
        measured: what the model's bundle says of the operating point.
        key: 32 hexadecimal digits, where it has some already.
        is_imported: whether another machine answered it.
    """

    picture: bytes = field(repr=False)
    prediction: Prediction
    heatmaps: Mapping[str, NDArray[np.float32]]
    answered_at: datetime
    measured: Mapping[str, object] = field(default_factory=dict)
    plausible_level: float | None = None
    patient: PatientContext = field(default_factory=PatientContext)
    taken_on: date | None = None
    note: str = ""
    key: str = field(default_factory=new_key)
    is_imported: bool = False


def noted(verdict: str, diagnosis: str = "", confirmed_by: str = "", comment: str = "") -> CaseReview:
    """Returns what became known of a photograph here and now; `withdrawn` for a verdict takes back what was noted."""
    return CaseReview(verdict, diagnosis, confirmed_by, comment, "", datetime.now(UTC))
