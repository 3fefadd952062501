"""Sets of diagnoses that hold the truth with a stated share, of each diagnosis: their thresholds, and what they give.

Class-conditional split conformal prediction (Vovk, "Conditional validity of inductive conformal predictors", Machine
Learning 92:349, 2013) on the probability of the class (Sadinle, Lei and Wasserman, JASA 114:223, 2019). Photographs of
one lesion are not independent, so lesions are what is counted: each weighs the same, shared among its photographs, and
one lesion more, worse than all, stands for the next one (Lee, Barber and Willett, "Distribution-free inference with
hierarchical data", arXiv 2306.06342). A photograph of a new lesion of a diagnosis then has the truth in its set with at
least the stated probability. A diagnosis with too few lesions for that shares a threshold with the other rare ones
(clustered conformal prediction: Ding, Angelopoulos, Bates, Jordan and Tibshirani, NeurIPS 2023, arXiv 2306.09335): the
promise then holds for these together, and what each got is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from derm_core.evaluation.intervals import (
    REPLICATES,
    bootstrap_over_lesions,
    percentile_interval,
    proportion_interval,
)
from derm_core.evaluation.malignancy import Figures, number_of, plain
from derm_core.evaluation.weighted import ratio

LEVEL = 0.95


@dataclass(frozen=True)
class ClassThresholds:
    """Thresholds on the probability of each class: float (C,), 0 for a class that is in every set.

    `lesions` is the number that each was set on; `pooled` are the places of the classes that share one threshold.
    """

    thresholds: tuple[float, ...]
    lesions: tuple[int, ...]
    pooled: tuple[int, ...]


def fit_thresholds(
    probabilities: np.ndarray, labels: np.ndarray, lesions: np.ndarray, *, level: float = LEVEL
) -> ClassThresholds:
    """Returns the thresholds at which the sets hold the truth for this share of the lesions of each class.

    Args:
        probabilities: float (N, C), calibrated, of photographs that no weight was trained on.
        labels: int64 (N,).
        lesions: (N,), the lesion that each photograph shows.
        level: wanted, in (0, 1).
    """
    probabilities, labels, lesions = np.asarray(probabilities), np.asarray(labels), np.asarray(lesions)
    if not 0 < level < 1 or not probabilities.shape[:1] == labels.shape == lesions.shape:
        raise ValueError(
            f"Got probabilities {probabilities.shape}, labels {labels.shape}, lesions {lesions.shape} and a level of "
            f"{level}; wanted (N, C), (N,), (N,) and a level between 0 and 1."
        )
    true_probability = probabilities[np.arange(len(labels)), labels]
    classes = range(probabilities.shape[1])
    counts = [number_of(lesions[labels == column]) for column in classes]
    pooled = tuple(column for column in classes if counts[column] < lesions_needed(level))
    shared = np.isin(labels, _pool(counts, pooled, level))
    common = _threshold(true_probability[shared], lesions[shared], level)
    thresholds = [
        common
        if column in pooled
        else _threshold(true_probability[labels == column], lesions[labels == column], level)
        for column in classes
    ]
    used = [number_of(lesions[shared]) if column in pooled else counts[column] for column in classes]
    return ClassThresholds(tuple(thresholds), tuple(used), pooled)


def lesions_needed(level: float) -> int:
    """Returns the fewest lesions that can promise the level without a threshold of 0; 19 for 0.95."""
    return math.ceil(level / (1 - level) - 1e-9)


def measure_sets(
    in_set: np.ndarray,
    labels: np.ndarray,
    lesions: np.ndarray,
    classes: Sequence[str],
    *,
    bootstrap: int = REPLICATES,
    seed: int = 0,
) -> Figures:
    """Returns how often the sets hold the truth and how large they are, as plain values.

    The keys are coverage and mean_size, overall and in `per_class` for each code, each with its `_ci95` over lesions,
    `single` (the share of sets of one diagnosis), lesions and photographs. Every lesion counts the same. What is of no
    photograph is None.

    Args:
        in_set: bool (N, C).
        labels: int64 (N,).
        lesions: (N,).
        classes: C codes.
        bootstrap: how many sets of lesions are drawn for the intervals.
        seed: of the draw.
    """
    in_set, labels, lesions = np.asarray(in_set, dtype=bool), np.asarray(labels), np.asarray(lesions)
    covered = in_set[np.arange(len(labels)), labels].astype(np.float64)
    sizes = in_set.sum(axis=1).astype(np.float64)
    share = _share_of_lesion(lesions)

    def means(of: np.ndarray) -> Figures:
        return _means(covered[of], sizes[of], lesions[of], share[of], bootstrap=bootstrap, seed=seed)

    figures = means(np.ones(len(labels), dtype=bool))
    figures["single"] = plain(float(np.average(sizes == 1, weights=share)))
    figures["per_class"] = {
        code: means(labels == column) for column, code in enumerate(classes) if (labels == column).any()
    }
    return figures


def _means(
    covered: np.ndarray,
    sizes: np.ndarray,
    lesions: np.ndarray,
    share: np.ndarray,
    *,
    bootstrap: int,
    seed: int,
) -> Figures:
    parts = np.stack([share * covered, share * sizes, share], axis=1)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        hits, size, all_of_them = (weights @ parts).T
        return {"coverage": ratio(hits, all_of_them), "mean_size": ratio(size, all_of_them)}

    measured = {name: float(found[0]) for name, found in statistics(np.ones((1, len(share)))).items()}
    drawn = bootstrap_over_lesions(lesions, statistics, replicates=bootstrap, seed=seed)
    count = number_of(lesions)
    return {
        "coverage": plain(measured["coverage"]),
        "coverage_ci95": proportion_interval(drawn["coverage"], measured["coverage"], count),
        "mean_size": plain(measured["mean_size"]),
        "mean_size_ci95": percentile_interval(drawn["mean_size"], measured["mean_size"]),
        "lesions": count,
        "photographs": len(lesions),
    }


def _pool(counts: Sequence[int], rare: Sequence[int], level: float) -> list[int]:
    """Returns the classes whose lesions set the shared threshold: the rare ones and, if need be, the next rarest."""
    pool = list(rare)
    others = sorted((column for column in range(len(counts)) if column not in rare), key=counts.__getitem__)
    while others and sum(counts[column] for column in pool) < lesions_needed(level):
        pool.append(others.pop(0))
    return pool


def _threshold(true_probability: np.ndarray, lesions: np.ndarray, level: float) -> float:
    """Returns the largest t for which lesions of this share, one worse than all included, have p >= t; 0 for none."""
    order = np.argsort(-true_probability, kind="stable")
    reached = np.cumsum(_share_of_lesion(lesions)[order]) / (number_of(lesions) + 1)
    enough = np.flatnonzero(reached >= level - 1e-9)
    return float(true_probability[order][enough[0]]) if len(enough) else 0.0


def _share_of_lesion(lesions: np.ndarray) -> np.ndarray:
    """Returns float64 (N,): one over the number of photographs of the same lesion."""
    _, place, number = np.unique(lesions, return_inverse=True, return_counts=True)
    share: np.ndarray = 1.0 / number[place]
    return share
