"""A context model small enough for hand arithmetic."""

from __future__ import annotations

import math
from typing import Any

from derm_core.serving.context import ContextModel

KNOTS = (20.0, 40.0, 80.0)


def face_model(**changes: Any) -> ContextModel:
    """Two classes, a fifth of the first; on the face four fifths are of the first, and nothing else matters."""
    values: dict[str, Any] = {
        "knots": KNOTS,
        "sexes": ("female",),
        "sites": ("face",),
        # The features are: age missing, two of the age, female, face.
        "coefficients": ((0.0, 0.0, 0.0, 0.0, math.log(16)), (0.0,) * 5),
        "intercepts": (math.log(0.2), math.log(0.8)),
        "log_prior": (math.log(0.2), math.log(0.8)),
        "weight": 1.0,
        "temperature": 1.0,
    }
    return ContextModel(**values | changes)
