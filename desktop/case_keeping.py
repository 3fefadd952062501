"""What is kept of an answered picture: its answer, its heatmaps and what was known with it. Writes nothing."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import TYPE_CHECKING, Any

from desktop.case_entries import NewPhotograph
from desktop.case_pictures import HEATMAP_SIDE
from desktop.case_schema import KEY_LENGTH

if TYPE_CHECKING:
    from desktop.held_picture import HeldPicture

_MEASURED = (
    *("name", "threshold", "sensitivity", "specificity", "sensitivity_ci95", "specificity_ci95"),
    *("lesions", "photographs", "measured_on"),
)


def kept_of(held: HeldPicture, *, taken_on: date | None = None, note: str = "") -> NewPhotograph:
    """Returns what to keep of a picture with its answer; the model that gave it is asked for the heatmaps once more.

    The same file with the same model's answer has the same key, so that it is kept once.

    Raises:
        InvalidImageError: the picture cannot be read.
    """
    heatmaps = {}
    if held.is_answered:
        explained = held.predictor.explain_all(held.content, context=held.patient, max_side=HEATMAP_SIDE)
        heatmaps = dict(explained.heatmaps)
    description = held.predictor.description
    point: Any = (
        description.context_operating_point if held.prediction.context else description.operating_point
    )
    measured = {name: value for name in _MEASURED if (value := getattr(point, name, None)) is not None}
    plausible = description.conformal if held.prediction.plausible else None
    return NewPhotograph(
        picture=held.content,
        prediction=held.prediction,
        heatmaps=heatmaps,
        answered_at=held.answered_at,
        measured=measured,
        plausible_level=plausible.level if plausible else None,
        patient=held.patient,
        taken_on=taken_on,
        note=note,
        key=key_of(held),
    )


def key_of(held: HeldPicture) -> str:
    """Returns the key under which a picture with its answer is kept."""
    digest = hashlib.sha256(held.content)
    digest.update(held.prediction.model_sha256.encode())
    return digest.hexdigest()[:KEY_LENGTH]
