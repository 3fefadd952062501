"""The picture whose answer is shown: kept in memory for what may still be asked of it, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from derm_core import (
    PatientContext,
    ReportedAnswer,
    answer_report,
    explained_code,
    load_image,
)
from desktop.figures import measured_sentence
from desktop.pictures import HEATMAP_SIDE, PHOTO_SIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from derm_core import Prediction, Predictor, SimilarCase
    from desktop.desk import Desk

SIMILAR = 4
"""How many similar cases are shown."""


@dataclass(frozen=True, eq=False)
class HeldPicture:
    """A picture with its answer.

    Attributes:
        content: the bytes of its file.
        name: what the file was called.
        patient: what was known with it.
        prediction: the answer.
        predictor: what gave it; asked again for whatever is shown beside it.
        answered_at: when, in this machine's zone.
    """

    content: bytes = field(repr=False)
    name: str
    patient: PatientContext
    prediction: Prediction
    predictor: Predictor
    answered_at: datetime

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer to explain."""
        return self.prediction.advice != "unsure"

    def photograph(self) -> Image.Image:
        """Returns the picture, reduced as for the page."""
        return load_image(self.content, min_side=PHOTO_SIDE)

    def explained_by(self, method: str, code: str) -> tuple[str, NDArray[np.float32]]:
        """Returns the class and its heatmap by another method; raises ConfigError where there is no such."""
        # Here, because it brings PyTorch: without it the app says at once what it has to say of its arguments.
        from derm_core import explain_by

        shown = code if code in self.prediction.probabilities else explained_code(self.prediction)
        explanation = explain_by(
            self.predictor, self.content, shown, method=method, context=self.patient, max_side=HEATMAP_SIDE
        )
        return shown, explanation.heatmap

    def similar_cases(self, desk: Desk) -> list[SimilarCase]:
        """Returns the confirmed cases of the desk's index that are most like it; none where there is no index."""
        index = desk.similar_cases
        if index is None or index.model.get("sha256") != self.prediction.model_sha256:
            return []
        return index.query(self.predictor.features(self.content), k=SIMILAR)

    def report(self) -> bytes:
        """Returns the answer as a PDF; raises ConfigError where the library for it is missing."""
        code = explained_code(self.prediction)
        heatmap = None
        if self.is_answered:
            heatmap = self.predictor.explain(
                self.content, code, context=self.patient, max_side=HEATMAP_SIDE
            ).heatmap
        description = self.predictor.description
        point = (
            description.context_operating_point if self.prediction.context else description.operating_point
        )
        return answer_report(
            ReportedAnswer(
                prediction=self.prediction,
                photograph=self.content,
                answered_at=self.answered_at,
                heatmap=heatmap,
                explained=code if heatmap is not None else "",
                patient=self.patient,
                measured=measured_sentence(self.prediction, point) or "" if self.is_answered else "",
                record=self.name,
                plausible_level=description.conformal.level if description.conformal else None,
            ),
            title=self.name,
        )
