"""What is gained by not answering: accuracy of the surest answers against the share that is answered. Runs no network.

Photographs are ranked by how sure the answer is; the least sure are left to people first. The risk-coverage curve and
the area under it are those of Geifman and El-Yaniv ("Selective classification for deep neural networks", NeurIPS 2017,
arXiv 1705.08500), with accuracy, 1 - risk, upwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from derm_core.evaluation.intervals import (
    REPLICATES,
    bootstrap_over_lesions,
    percentile_interval,
    proportion_interval,
)
from derm_core.evaluation.weighted import ratio

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
"""Shares of the photographs that are answered, for which the accuracy is reported."""
_GRID = np.linspace(0.01, 1, 100)


@dataclass(frozen=True, eq=False)
class SelectiveCurve:
    """Accuracy against coverage.

    Attributes:
        coverage: float64 (100,), shares of the photographs that are answered, rising to 1.
        accuracy: float64 (100,), of the surest answers that make up each share.
        low, high: float64 (100,), the pointwise 95% band over lesions.
    """

    coverage: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray


def selective_figures(
    is_right: np.ndarray,
    confidence: np.ndarray,
    lesions: np.ndarray,
    *,
    is_answered: np.ndarray | None = None,
    bootstrap: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures what is gained by leaving the least sure answers to people.

    Args:
        is_right: bool (N,), whether each answer is right.
        confidence: float (N,), higher for surer, such as the probability of the most likely class.
        lesions: (N,), the lesion that each photograph shows.
        is_answered: bool (N,), False where the model itself said that it should not answer; None for all True. Those
            it did not answer rank behind all others.
        bootstrap: how many sets of lesions are drawn for the intervals.
        seed: of the draw.

    Returns:
        `coverage` (the share that the model answered) and `accuracy_of_answered`; `accuracy_at_coverage`, by coverage
        as text such as "0.90"; `risk_coverage_area`, the mean error over all coverages (0 is perfect);
        `best_risk_coverage_area`, that of an ideal ranking of the same answers; `ci95` of these by name. What is
        undefined is None.

    Raises:
        ValueError: the arrays are empty, or not of one length.
    """
    is_right, confidence, lesions = map(np.asarray, (is_right, confidence, lesions))
    answered = np.ones(len(is_right), bool) if is_answered is None else np.asarray(is_answered, bool)
    _check(is_right, confidence, lesions, answered)
    right = is_right.astype(np.float64)
    by_confidence = _ranking(right, np.where(answered, confidence, confidence.min() - 1))
    ideally = _ranking(right, right)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        covered, accuracy = _accuracies(weights, *by_confidence)
        _, best = _accuracies(weights, *ideally)
        total = weights.sum(axis=1)
        return {
            "coverage": weights @ answered / total,
            "accuracy_of_answered": ratio(weights @ (right * answered), weights @ answered.astype(float)),
            "accuracy_at_coverage": _at(covered, accuracy, np.array(COVERAGES)),
            "risk_coverage_area": _area(weights[:, by_confidence[0]], accuracy),
            "best_risk_coverage_area": _area(weights[:, ideally[0]], best),
        }

    measured = {name: values[0] for name, values in statistics(np.ones((1, len(right)))).items()}
    drawn = bootstrap_over_lesions(lesions, statistics, replicates=bootstrap, seed=seed)
    figures: dict[str, Any] = {"n": len(right), "lesions": len(np.unique(lesions))}
    intervals: dict[str, Any] = {}
    for name in ("coverage", "accuracy_of_answered"):
        value = float(measured[name])
        figures[name] = value if np.isfinite(value) else None
        seen = len(np.unique(lesions[answered] if name == "accuracy_of_answered" else lesions))
        intervals[name] = proportion_interval(drawn[name], value, seen)
    at, drawn_at = measured["accuracy_at_coverage"], drawn["accuracy_at_coverage"]
    names = [f"{coverage:.2f}" for coverage in COVERAGES]
    figures["accuracy_at_coverage"] = dict(zip(names, at.tolist(), strict=True))
    intervals["accuracy_at_coverage"] = {
        name: proportion_interval(drawn_at[:, place], float(at[place]), figures["lesions"])
        for place, name in enumerate(names)
    }
    for name in ("risk_coverage_area", "best_risk_coverage_area"):
        figures[name] = float(measured[name])
        intervals[name] = percentile_interval(drawn[name], figures[name])
    return figures | {"ci95": intervals}


def selective_curve(
    is_right: np.ndarray, confidence: np.ndarray, lesions: np.ndarray, *, bootstrap: int
) -> SelectiveCurve:
    """Returns accuracy against coverage with its band; the arguments are those of `selective_figures`."""
    is_right, confidence, lesions = map(np.asarray, (is_right, confidence, lesions))
    _check(is_right, confidence, lesions, is_right)
    ranking = _ranking(is_right.astype(np.float64), confidence)

    def heights(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"accuracy": _at(*_accuracies(weights, *ranking), _GRID)}

    accuracy = heights(np.ones((1, len(is_right))))["accuracy"][0]
    drawn = bootstrap_over_lesions(lesions, heights, replicates=bootstrap)["accuracy"]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    # The curve as measured lies in its own band.
    return SelectiveCurve(_GRID, accuracy, np.minimum(low, accuracy), np.maximum(high, accuracy))


def _check(*arrays: np.ndarray) -> None:
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"Got arrays of lengths {sorted(lengths)}; wanted one length, of one or more.")


def _ranking(right: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the order from sure to unsure, int (N,), and in it how right each answer is, float (N,).

    Answers of equal confidence share what they have right, so that the order in which they came does not count.
    """
    order = np.argsort(-confidence, kind="stable")
    _, group = np.unique(-confidence[order], return_inverse=True)
    shares = np.bincount(group, right[order]) / np.bincount(group)
    return order, shares[group]


def _accuracies(weights: np.ndarray, order: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns, for weights (B, N), the coverage and the accuracy after each photograph in order, both (B, N)."""
    ranked = weights[:, order]
    covered = np.cumsum(ranked, axis=1)
    # Those that lead but are not in a redrawn set have answered nothing yet: they count nowhere.
    return covered / covered[:, -1:], ratio(np.cumsum(ranked * right, axis=1), covered)


def _at(covered: np.ndarray, accuracy: np.ndarray, coverages: np.ndarray) -> np.ndarray:
    """Returns the accuracy (B, len(coverages)) of the fewest photographs that make up each coverage."""
    slack = 1e-9  # Of shares that are sums of fractions.
    return np.stack(
        [
            row[np.searchsorted(cover, coverages - slack).clip(max=len(row) - 1)]
            for cover, row in zip(covered, accuracy, strict=True)
        ]
    )


def _area(ranked: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Returns (B,): the mean of 1 - accuracy over coverages, each photograph of the ranked weights a step."""
    return np.asarray((ranked * np.nan_to_num(1 - accuracy)).sum(axis=1) / ranked.sum(axis=1))
