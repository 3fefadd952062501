"""Paired tests of answers to the same pictures, lesion by lesion. Runs no network and ranks nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from derm_core.evaluation.intervals import bootstrap_over_lesions, paired_p_value, percentile_interval
from derm_core.evaluation.weighted import Weighted, class_statistics, malignancy_statistics

LEVEL = 0.05
REPLICATES = 10_000
"""Sets of lesions drawn: the smallest p-value is 2 in so many, and Holm's correction multiplies it."""

_OVER_MALIGNANCY = ("malignant_auc", "malignant_average_precision")
_RANKED = ("macro_auc",)


@dataclass(frozen=True)
class Comparison:
    """One candidate against a reference, on the same pictures.

    `difference` is the candidate's figure minus the reference's, with its 95% interval over lesions; `p` is the
    two-sided p-value of no difference, and `p_holm` the same after Holm's correction for all candidates compared.
    `lesions_better` and `lesions_worse` count the lesions of which the candidate has more, or fewer, photographs right
    than the reference; `p_mcnemar` is the exact p-value of both being as likely, uncorrected.
    """

    difference: float
    difference_ci95: tuple[float, float]
    p: float
    p_holm: float
    lesions_better: int
    lesions_worse: int
    p_mcnemar: float

    @property
    def told_apart(self) -> bool:
        """Whether the figures differ at 95%, with all candidates considered."""
        return self.p_holm < LEVEL


def compare_with(
    reference: np.ndarray,
    candidates: Sequence[np.ndarray],
    labels: np.ndarray,
    lesions: np.ndarray,
    *,
    malignant: Sequence[bool],
    metric: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[Comparison]:
    """Compares candidates with a reference by a paired bootstrap over lesions, and their answers by McNemar's test.

    Reference and candidates are measured on the same redrawn sets of lesions, so that what makes a set easy or hard
    for all of them falls out of the differences.

    Args:
        reference: float (N, C), probabilities; rows sum to 1.
        candidates: the same of each candidate.
        labels: int64 (N,) in [0, C).
        lesions: (N,), the lesion that each picture shows.
        malignant: C flags.
        metric: a figure of evaluation that needs no threshold, defined on these pictures.
        replicates: how many sets of lesions are drawn.
        seed: of the draw.
    """
    draws = [
        _draw(_figure(metric, labels, answers, malignant), lesions, replicates, seed)
        for answers in (reference, *candidates)
    ]
    differences = [(value - draws[0][0], sets - draws[0][1]) for value, sets in draws[1:]]
    p_values = [paired_p_value(sets) for _, sets in differences]
    found = []
    for (difference, sets), p, p_holm, answers in zip(
        differences, p_values, holm(p_values), candidates, strict=True
    ):
        low, high = percentile_interval(sets, difference) or (difference, difference)
        better, worse = _lesions_better_and_worse(reference, answers, labels, lesions)
        found.append(
            Comparison(difference, (low, high), p, p_holm, better, worse, exact_mcnemar(better, worse))
        )
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values corrected for their number (Holm, Scand J Stat 6:65, 1979), in the order given."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def exact_mcnemar(better: int, worse: int) -> float:
    """Returns the exact two-sided p-value of as many for better as for worse (McNemar, Psychometrika 12:153, 1947).

    Those that are neither do not matter. 1 where there are none.
    """
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def _figure(
    metric: str, labels: np.ndarray, probabilities: np.ndarray, malignant: Sequence[bool]
) -> Weighted:
    if metric in _OVER_MALIGNANCY:
        flags = np.asarray(malignant, dtype=bool)
        statistics = malignancy_statistics(flags[labels], probabilities[:, flags].sum(axis=1), None)
    else:
        statistics = class_statistics(labels, probabilities, ranked=metric in _RANKED)
    return lambda weights: statistics(weights)[metric]


def _draw(figure: Weighted, lesions: np.ndarray, replicates: int, seed: int) -> tuple[float, np.ndarray]:
    """Returns the figure as measured, and on each redrawn set, float64 (B,)."""
    (value,) = figure(np.ones((1, len(lesions))))
    drawn = bootstrap_over_lesions(
        lesions, lambda weights: {"figure": figure(weights)}, replicates=replicates, seed=seed
    )
    return float(value), drawn["figure"]


def _lesions_better_and_worse(
    reference: np.ndarray, candidate: np.ndarray, labels: np.ndarray, lesions: np.ndarray
) -> tuple[int, int]:
    # Photographs of one lesion are no independent trials, as the test wants them; lesions are.
    _, lesion_of_photograph = np.unique(lesions, return_inverse=True)
    gained = (candidate.argmax(axis=1) == labels).astype(int) - (reference.argmax(axis=1) == labels)
    of_lesion = np.bincount(lesion_of_photograph, weights=gained)
    return int((of_lesion > 0).sum()), int((of_lesion < 0).sum())
