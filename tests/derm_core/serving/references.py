"""A reference of three features, small enough for hand arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from derm_core.serving.outliers import Reference, Rule, encoded


def rule(*weights: float, bias: float = 0.0, least: float = 0.0) -> Rule:
    return Rule(encoded(np.array(weights)), bias, least)


def reference(**changes: Any) -> Reference:
    """The known differ along the first feature alone, and no rule refuses anything."""
    values: dict[str, Any] = {
        "centre": encoded(np.zeros(3)),
        "axes": encoded(np.array([[1.0, 0.0, 0.0]])),
        "farthest": 0.75,
        "not_other": rule(0, 0, 0),
        "not_skin": rule(0, 0, 0),
        "measured": {"training photographs": 3},
    }
    return Reference(**values | changes)
