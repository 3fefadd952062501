"""One answer with all that is printed beside it. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time

import numpy as np
from numpy.typing import NDArray

from derm_core.images import ImageSource
from derm_core.serving.context import PatientContext
from derm_core.serving.prediction import Prediction


@dataclass(frozen=True, eq=False)
class ReportedAnswer:
    """One answer with all that a report prints beside it.

    Attributes:
        prediction: the answer.
        photograph: a path, bytes or an open file, read through `load_image`.
        answered_at: aware, and written in its own zone.
        taken_on: the day of the photograph, where it was told.
        heatmap: float (H, W) in [0, 1], of any size; None for the photograph alone.
        explained: the code of the class that the heatmap explains.
        patient: what is known of the patient.
        note: what was written about it.
        measured: how the operating point did when it was measured, in a sentence.
        plausible_level: the share of lesions whose list of plausible diagnoses holds the truth; None where not known.
        review: what was confirmed afterwards, and how: "Melanoma, by histopathology".
        is_sample: whether the photograph is a drawn example.
        record: what finds the answer again: a key, or a file's name.
    """

    prediction: Prediction
    photograph: ImageSource
    answered_at: datetime
    heatmap: NDArray[np.float32] | None = None
    explained: str = ""
    patient: PatientContext = field(default_factory=PatientContext)
    note: str = ""
    measured: str = ""
    review: str = ""
    is_sample: bool = False
    record: str = ""
    taken_on: date | None = None
    plausible_level: float | None = None

    @property
    def seen_at(self) -> datetime:
        """When the lesion looked like this: noon of the day of the photograph, or else when it was answered."""
        if self.taken_on is None:
            return self.answered_at
        return datetime.combine(self.taken_on, time(12), self.answered_at.tzinfo)
