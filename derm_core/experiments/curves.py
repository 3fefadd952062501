"""ROC, precision-recall and reliability curves with 95% bands by bootstrap over lesions. Draws nothing.

The curves are scikit-learn's. A band is pointwise: at each place of a fixed grid it holds the middle 95% of the curves
of redrawn sets of lesions (vertical averaging: Fawcett, Pattern Recognition Letters 27:861, 2006).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from derm_core.evaluation.calibration import BINS
from derm_core.evaluation.intervals import bootstrap_over_lesions, proportion_interval
from derm_core.evaluation.weighted import ratio

GRID = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve and its band.

    Attributes:
        x, y: float64 (M,), the corners of the curve, x rising.
        low, high: float64 (101,), the band at the places GRID of x.
    """

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class ReliabilityBin:
    """The photographs whose stated probability lies in one bin: how many, what was stated, what held true.

    `stated` and `true` are means in [0, 1], `share` is that of all photographs, and `low` and `high` are the 95%
    interval of `true` over lesions.
    """

    photographs: int
    lesions: int
    share: float
    stated: float
    true: float
    low: float
    high: float


def roc(is_positive: np.ndarray, score: np.ndarray, lesions: np.ndarray, *, bootstrap: int) -> Curve | None:
    """Returns sensitivity (y) over 1 - specificity (x); None where all photographs are of one kind.

    Args:
        is_positive: bool (N,).
        score: float (N,), higher for positive.
        lesions: (N,), the lesion that each photograph shows.
        bootstrap: how many sets of lesions are drawn.
    """
    if is_positive.all() or not is_positive.any():
        return None
    x, y, _ = roc_curve(is_positive, score)

    def at_grid(found: np.ndarray, alarms: np.ndarray) -> np.ndarray:
        return np.interp(GRID, alarms / alarms[-1], found / found[-1])

    return _with_band(x, y, at_grid, is_positive, score, lesions, bootstrap)


def precision_recall(
    is_positive: np.ndarray, score: np.ndarray, lesions: np.ndarray, *, bootstrap: int
) -> Curve | None:
    """Returns precision (y) over recall (x), a step between corners; None where all photographs are of one kind.

    The arguments are those of `roc`. Between two corners the precision is that of the right one, as the average
    precision counts it.
    """
    if is_positive.all() or not is_positive.any():
        return None
    precision, recall, _ = precision_recall_curve(is_positive, score, drop_intermediate=True)

    def at_grid(found: np.ndarray, alarms: np.ndarray) -> np.ndarray:
        corner = np.searchsorted(found / found[-1], GRID[1:])
        first = found[corner] / (found[corner] + alarms[corner])
        # Nothing is answered at a recall of 0; scikit-learn puts the curve's end at a precision of 1.
        return np.concatenate([[1.0], first])

    return _with_band(recall[::-1], precision[::-1], at_grid, is_positive, score, lesions, bootstrap)


def reliability(
    stated: np.ndarray, holds: np.ndarray, lesions: np.ndarray, *, bootstrap: int, bins: int = BINS
) -> list[ReliabilityBin]:
    """Compares stated probabilities with how often they held true, in the bins of the calibration error.

    Args:
        stated: float (N,) in [0, 1].
        holds: bool (N,), whether what was stated is so.
        lesions: (N,), the lesion that each photograph shows.
        bootstrap: how many sets of lesions are drawn.
        bins: of equal width, each open below and closed above.

    Returns:
        The bins that hold a photograph, from low to high.
    """
    column = np.clip(np.ceil(stated * bins).astype(np.int64) - 1, 0, bins - 1)
    member = np.eye(bins)[column]
    true = member * holds[:, None]

    def shares(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"true": ratio(weights @ true, weights @ member)}

    drawn = bootstrap_over_lesions(lesions, shares, replicates=bootstrap)["true"]
    found = []
    for index in np.unique(column):
        inside = column == index
        value, seen = float(holds[inside].mean()), len(np.unique(lesions[inside]))
        low, high = proportion_interval(drawn[:, index], value, seen) or (value, value)
        found.append(
            ReliabilityBin(
                photographs=int(inside.sum()),
                lesions=seen,
                share=float(inside.mean()),
                stated=float(stated[inside].mean()),
                true=value,
                low=low,
                high=high,
            )
        )
    return found


def _with_band(
    x: np.ndarray,
    y: np.ndarray,
    at_grid: Callable[[np.ndarray, np.ndarray], np.ndarray],
    is_positive: np.ndarray,
    score: np.ndarray,
    lesions: np.ndarray,
    bootstrap: int,
) -> Curve:
    """Returns the curve with the band of its redrawn heights.

    `at_grid` makes them of how many positives and negatives are found (T + 1,) as the threshold falls, from none on.
    """
    order = np.argsort(-score, kind="stable")
    # Photographs of one score are found together.
    steps = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)

    def heights(weights: np.ndarray) -> dict[str, np.ndarray]:
        rows = np.full((len(weights), len(GRID)), np.nan)
        found, alarms = (
            np.pad(np.cumsum(weights[:, order] * of[order], axis=1)[:, steps], ((0, 0), (1, 0)))
            for of in (is_positive, ~is_positive)
        )
        for place in np.flatnonzero((found[:, -1] > 0) & (alarms[:, -1] > 0)):
            rows[place] = at_grid(found[place], alarms[place])
        return {"height": rows}

    height = heights(np.ones((1, len(score))))["height"][0]
    drawn = bootstrap_over_lesions(lesions, heights, replicates=bootstrap)["height"]
    defined = drawn[np.isfinite(drawn).all(axis=1)]
    low, high = np.percentile(defined, [2.5, 97.5], axis=0) if len(defined) else (height, height)
    # The curve as measured lies in its own band.
    return Curve(x, y, np.minimum(low, height), np.maximum(high, height))
