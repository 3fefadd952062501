"""Precision of similar cases: how many of those that were found share the diagnosis. Finds none itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derm_core.evaluation.intervals import REPLICATES, bootstrap_over_lesions, proportion_interval
from derm_core.evaluation.weighted import mean_of_defined, ratio

AT = (1, 5, 10)
"""Of how many cases found the precision is reported."""


def precision_at(
    truth: Sequence[str], found: Sequence[Sequence[str]], *, at: Sequence[int] = AT
) -> NDArray[np.float64]:
    """Returns float64 (N, len(at)): of the first k cases found for each photograph, the share that is right.

    Args:
        truth: N diagnoses.
        found: of each photograph, the diagnoses of the cases found for it, most similar first. Where there are fewer
            than k, the share is of those there are; of none it is 0.
        at: the values of k.
    """
    right = [
        np.array([code == diagnosis for code in codes]) for diagnosis, codes in zip(truth, found, strict=True)
    ]
    return np.array([[row[:k].mean() if len(row) else 0.0 for k in at] for row in right])


def chance_precision(truth: Sequence[str], cases: Mapping[str, float]) -> NDArray[np.float64]:
    """Returns float64 (N, 1): the precision that cases drawn at random would have, whatever k.

    Args:
        truth: N diagnoses.
        cases: of each diagnosis, its share of the lesions that are drawn from.
    """
    return np.array([[cases.get(diagnosis, 0.0)] for diagnosis in truth])


def precision_figures(
    precision: NDArray[np.float64],
    truth: Sequence[str],
    lesions: NDArray[np.str_],
    *,
    names: Sequence[str],
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Averages precision over photographs, over classes and for each class, with intervals over lesions.

    Args:
        precision: float (N, M) of each photograph; M columns, such as one a k.
        truth: N diagnoses.
        lesions: (N,), the lesion that each photograph shows.
        names: of the M columns.
        replicates, seed: of the bootstrap.

    Returns:
        Plain values: `overall`, `mean_over_classes`, and `per_class` {code: {`n`, `lesions`, `precision`}}. Each
        precision is {name: {"value": share, "ci95": [low, high] or None}}.
    """
    codes = sorted(set(truth))
    of_class = np.array([[diagnosis == code for code in codes] for diagnosis in truth], dtype=np.float64)
    # (N, C * M): a photograph's precision in the columns of its class.
    spread = (of_class[:, :, None] * precision[:, None, :]).reshape(len(precision), -1)

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        sums = (weights @ spread).reshape(len(weights), len(codes), -1)
        by_class = ratio(sums, np.broadcast_to((weights @ of_class)[:, :, None], sums.shape))
        return {
            "overall": sums.sum(axis=1) / weights.sum(axis=1, keepdims=True),
            "mean_over_classes": mean_of_defined(by_class.transpose(0, 2, 1)),
            "per_class": by_class,
        }

    measured = {name: values[0] for name, values in statistics(np.ones((1, len(precision)))).items()}
    redrawn = bootstrap_over_lesions(lesions, statistics, replicates=replicates, seed=seed)

    def with_intervals(
        values: NDArray[np.float64], drawn: NDArray[np.float64], among: int
    ) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "value": float(values[column]),
                "ci95": proportion_interval(drawn[:, column], float(values[column]), among),
            }
            for column, name in enumerate(names)
        }

    lesions_of = [len(set(lesions[of_class[:, place] == 1])) for place in range(len(codes))]
    return {
        "overall": with_intervals(measured["overall"], redrawn["overall"], len(set(lesions))),
        "mean_over_classes": with_intervals(
            measured["mean_over_classes"], redrawn["mean_over_classes"], len(set(lesions))
        ),
        "per_class": {
            code: {
                "n": int(of_class[:, place].sum()),
                "lesions": lesions_of[place],
                "precision": with_intervals(
                    measured["per_class"][place], redrawn["per_class"][:, place], lesions_of[place]
                ),
            }
            for place, code in enumerate(codes)
        },
    }
