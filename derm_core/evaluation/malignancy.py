"""Figures of the risk of malignancy, for all pictures and for subgroups. Knows no class but malignant or not.

The 95% intervals are by bootstrap over lesions (see `intervals`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from derm_core.evaluation.intervals import (
    REPLICATES,
    bootstrap_over_lesions,
    percentile_interval,
    proportion_interval,
)
from derm_core.evaluation.weighted import answer_statistics, malignancy_statistics

Figures = dict[str, Any]

SMALLEST_GROUP = 20
"""Groups of fewer lesions are counted, not measured."""


def measure_operating_point(
    malignant_probability: np.ndarray,
    is_malignant: np.ndarray,
    lesions: np.ndarray,
    threshold: float,
    *,
    bootstrap: int = REPLICATES,
    seed: int = 0,
) -> Figures:
    """Returns what referring where `probability >= threshold` achieves, as plain values.

    The keys are threshold, sensitivity, specificity, sensitivity_ci95 and specificity_ci95 ([low, high]), lesions and
    photographs (counts). A share of no picture, and its interval, is None.

    Args:
        malignant_probability: float (N,) in [0, 1].
        is_malignant: bool (N,).
        lesions: (N,), the lesion that each picture shows.
        threshold: in [0, 1].
        bootstrap: how many sets of lesions are drawn for the intervals.
        seed: of the draw.
    """
    probability, malignant = np.asarray(malignant_probability), np.asarray(is_malignant, dtype=bool)
    lesions = np.asarray(lesions)
    values, ci95 = malignancy_values(
        malignant, probability, lesions, threshold, bootstrap=bootstrap, seed=seed
    )
    measured: Figures = {"threshold": float(threshold)}
    measured |= {name: plain(values[name]) for name in ("sensitivity", "specificity")}
    measured |= {f"{name}_ci95": ci95[name] for name in ("sensitivity", "specificity")}
    return measured | {"lesions": number_of(lesions), "photographs": len(lesions)}


def malignancy_values(
    is_malignant: np.ndarray,
    probability: np.ndarray,
    lesions: np.ndarray,
    threshold: float | None,
    *,
    bootstrap: int,
    seed: int,
) -> tuple[dict[str, float], dict[str, list[float] | None]]:
    """Returns malignant_auc, malignant_average_precision, sensitivity and specificity, and their 95% intervals.

    Undefined figures are NaN, and their intervals None. The arguments are those of `measure_operating_point`; without
    a threshold both shares are undefined.
    """
    statistics = malignancy_statistics(is_malignant, probability, threshold)
    drawn = bootstrap_over_lesions(lesions, statistics, replicates=bootstrap, seed=seed)
    auc, average_precision = rank_values(is_malignant, probability)
    values = {"malignant_auc": auc, "malignant_average_precision": average_precision}
    ci95 = {name: percentile_interval(drawn[name], value) for name, value in values.items()}
    referred = probability >= (math.inf if threshold is None else threshold)
    for name, of, right in (
        ("sensitivity", is_malignant, referred),
        ("specificity", ~is_malignant, ~referred),
    ):
        values[name] = float(right[of].mean()) if of.any() and threshold is not None else math.nan
        ci95[name] = proportion_interval(drawn[name], values[name], number_of(lesions[of]))
    return values, ci95


def subgroup_figures(
    mask: np.ndarray,
    is_malignant: np.ndarray,
    probability: np.ndarray,
    lesions: np.ndarray,
    threshold: float | None,
    answers: tuple[np.ndarray, np.ndarray] | None,
    *,
    bootstrap: int,
    seed: int,
) -> Figures:
    """Returns the figures of the pictures where `mask`, bool (N,), is true, as plain values; few lesions are counted.

    Args:
        answers: labels and predicted classes, both int64 (N,), where they are known; accuracies are None otherwise.

    The other arguments are those of `malignancy_values`.
    """
    is_malignant, probability, lesions = is_malignant[mask], probability[mask], lesions[mask]
    counts = counts_of(is_malignant, lesions)
    if counts["lesions"] < SMALLEST_GROUP:
        return {"n": counts["n"], "lesions": counts["lesions"]}
    draw = {"bootstrap": bootstrap, "seed": seed}
    values, ci95 = malignancy_values(is_malignant, probability, lesions, threshold, **draw)
    del values["malignant_average_precision"], ci95["malignant_average_precision"]
    overall: dict[str, float] = {"accuracy": math.nan, "balanced_accuracy": math.nan}
    intervals: dict[str, list[float] | None] = dict.fromkeys(overall)
    if answers is not None:
        statistics = answer_statistics(answers[0][mask], answers[1][mask])
        once = statistics(np.ones((1, len(lesions))))
        overall = {name: float(value[0]) for name, value in once.items()}
        drawn = bootstrap_over_lesions(lesions, statistics, replicates=bootstrap, seed=seed)
        intervals = {
            name: proportion_interval(drawn[name], overall[name], counts["lesions"]) for name in overall
        }
    figures = {name: plain(value) for name, value in (overall | values).items()}
    return counts | figures | {"ci95": intervals | ci95}


def rank_values(is_positive: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """Returns the area under the ROC curve and average precision; NaN where one of the two labels does not occur."""
    if is_positive.all() or not is_positive.any():
        return math.nan, math.nan
    return float(roc_auc_score(is_positive, score)), float(average_precision_score(is_positive, score))


def counts_of(is_malignant: np.ndarray, lesions: np.ndarray) -> dict[str, int]:
    """Returns how many pictures and lesions there are, and how many of them malignant."""
    return {
        "n": len(lesions),
        "lesions": number_of(lesions),
        "malignant": int(is_malignant.sum()),
        "malignant_lesions": number_of(lesions[is_malignant]),
    }


def number_of(lesions: np.ndarray) -> int:
    """Returns how many different lesions there are."""
    return len(np.unique(lesions))


def plain(value: float | None) -> float | None:
    """Returns a float for JSON, or None for what is undefined."""
    return None if value is None or not math.isfinite(value) else float(value)
