"""Figures of what answers say beside their probabilities: thresholds, plausible diagnoses, silence, fairness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from derm_core.evaluation.conformal import measure_sets
from derm_core.evaluation.group_differences import group_differences
from derm_core.evaluation.malignancy import Figures, measure_operating_point
from derm_core.evaluation.selective import selective_figures

if TYPE_CHECKING:
    from derm_core.serving.description import BundleDescription
    from derm_core.serving.prediction import Prediction

ADDED = ("operating_points", "plausible", "selective", "group_differences", "prevalence")
"""The keys that `figures_of_answers` returns."""


def figures_of_answers(
    description: BundleDescription,
    answers: Sequence[Prediction],
    *,
    is_malignant: np.ndarray,
    labels: np.ndarray | None,
    lesions: np.ndarray,
    groups: Mapping[str, Mapping[str, np.ndarray]],
    with_context: bool,
    bootstrap: int,
    seed: int,
) -> Figures:
    """Measures answers against the truth, as plain values.

    Args:
        description: of the model that answered, at the prevalence it answered for.
        answers: N of them.
        is_malignant: bool (N,).
        labels: int64 (N,), index into the bundle's classes; None where no more than `is_malignant` is known.
        lesions: (N,), the lesion that each photograph shows.
        groups: as `derm_core.evaluation.subgroups.subgroups_of` gives them.
        with_context: whether anything was known of the patients: those thresholds are measured.
        bootstrap, seed: as in `evaluate_probabilities`.

    Returns:
        `ADDED`: `operating_points`, each with its name and what `measure_operating_point` gives, the default first;
        `plausible`, what `measure_sets` gives and the level, None where the model has no sets or the classes are not
        known; `selective`, what `selective_figures` gives, None likewise; `group_differences`; and `prevalence`
        {holds_at, data, stated}, None where the model does not know it.
    """
    draw: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
    risk = np.array([answer.malignant_probability for answer in answers])
    points = (with_context and description.context_operating_points) or description.operating_points
    default = description.default_operating_point
    measured = [
        {"name": point.name} | measure_operating_point(risk, is_malignant, lesions, point.threshold, **draw)
        for point in sorted(points, key=lambda point: point.name != default)
    ]
    referred = risk >= measured[0]["threshold"]
    outcomes = {
        "sensitivity": np.where(is_malignant, referred, np.nan),
        "specificity": np.where(is_malignant, np.nan, ~referred),
    }
    figures: Figures = dict.fromkeys(ADDED)
    figures["operating_points"] = measured
    if labels is not None:
        right = np.array([answer.top for answer in answers]) == np.array(description.classes)[labels]
        outcomes["accuracy"] = right.astype(np.float64)
        figures["selective"] = selective_figures(
            right,
            np.array([max(answer.probabilities.values()) for answer in answers]),
            lesions,
            is_answered=np.array([answer.advice != "unsure" for answer in answers]),
            **draw,
        )
        if description.conformal is not None:
            in_set = np.array(
                [[code in answer.plausible for code in description.classes] for answer in answers]
            )
            sets = measure_sets(in_set, labels, lesions, description.classes, **draw)
            figures["plausible"] = {"level": description.conformal.level} | sets
    figures["group_differences"] = group_differences(outcomes, groups, lesions, seed=seed)
    if description.prevalence is not None:
        figures["prevalence"] = asdict(description.prevalence)
    return figures
