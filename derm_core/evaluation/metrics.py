"""Every figure that an evaluation reports, as plain values for JSON. Runs no network; scikit-learn does the measuring.

Figures with 95% intervals by bootstrap over lesions (see `intervals`). What is undefined, such as the AUC of a class
that does not occur, is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from derm_core.evaluation.calibration import (
    brier_score,
    calibration_error_by_chance,
    equal_mass_calibration_error,
    expected_calibration_error,
)
from derm_core.evaluation.intervals import (
    REPLICATES,
    bootstrap_over_lesions,
    percentile_interval,
    proportion_interval,
)
from derm_core.evaluation.malignancy import (
    Figures,
    counts_of,
    malignancy_values,
    number_of,
    plain,
    rank_values,
    subgroup_figures,
)
from derm_core.evaluation.weighted import class_statistics, mean_of_defined

Groups = Mapping[str, Mapping[str, np.ndarray]]
"""Kind of group (such as "sex") -> group -> bool (N,), the pictures in it."""

CLASS_FIGURES = ("precision", "recall", "f1", "auc", "average_precision")
_OVER_CLASSES = (
    *("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc"),
    *("ece", "ece_equal_mass", "brier"),
)
_OVER_MALIGNANCY = {
    "malignant_auc": "malignant_auc",
    "malignant_average_precision": "malignant_average_precision",
    "sensitivity": "sensitivity_at_operating_point",
    "specificity": "specificity_at_operating_point",
}
_COUNTS = ("n", "lesions", "malignant", "malignant_lesions")
_TABLES = ("confusion_matrix", "per_class", "ci95", "subgroups")
KEYS = (
    *_COUNTS,
    "classes",
    "mean_risk",
    *_OVER_CLASSES,
    "ece_by_chance",
    *_OVER_MALIGNANCY.values(),
    "operating_point",
    *_TABLES,
    "bootstrap",
)
"""Every key of an evaluation."""


def evaluate_probabilities(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    classes: Sequence[str],
    malignant: Sequence[bool],
    lesions: np.ndarray,
    operating_threshold: float | None,
    operating_name: str | None = None,
    malignant_probability: np.ndarray | None = None,
    groups: Groups | None = None,
    bootstrap: int = REPLICATES,
    seed: int = 0,
) -> Figures:
    """Measures probabilities over classes against the truth.

    Args:
        labels: int64 (N,), index into `classes`.
        probabilities: float (N, C), rows sum to 1, columns in the order of `classes`.
        classes: C codes.
        malignant: C flags.
        lesions: (N,), the lesion that each picture shows.
        operating_threshold: a picture is referred where its probability of malignancy is at least this; None leaves
            sensitivity and specificity None.
        operating_name: what the threshold is called.
        malignant_probability: float (N,), where it was computed before; else the sum over the malignant classes.
        groups: subgroups to measure.
        bootstrap: how many sets of lesions are drawn for the intervals.
        seed: of the draw; the same seed gives the same figures to the last digit.

    Returns:
        `KEYS`. `macro_f1` and `balanced_accuracy` are means over the classes that occur, `macro_auc` that of the
        one-versus-rest areas of classes with both labels. `ece` has 15 equal-width bins over the top class's
        probability; `brier` is summed over classes and averaged over pictures. `confusion_matrix` has the truth in
        rows. `ece_equal_mass` has bins of equal number instead, and `ece_by_chance` is the `ece` that perfectly
        calibrated answers would show for want of photographs. `mean_risk` is the mean probability of malignancy.
        `ci95` is {figure: [low, high]}; each class and each subgroup carries its own.

    Raises:
        ValueError: arrays that do not belong together, or probabilities that are none.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    lesions = np.asarray(lesions)
    _check_classes(labels, probabilities, classes, malignant)
    flags = np.asarray(malignant, dtype=bool)
    if malignant_probability is None:
        malignant_probability = probabilities[:, flags].sum(axis=1)
    answers = probabilities.argmax(axis=1)
    figures = evaluate_malignancy(
        flags[labels],
        malignant_probability,
        classes=classes,
        lesions=lesions,
        operating_threshold=operating_threshold,
        operating_name=operating_name,
        groups=groups,
        bootstrap=bootstrap,
        seed=seed,
        answers=(labels, answers),
    )
    values, per_class = _class_values(labels, probabilities)
    drawn = bootstrap_over_lesions(
        lesions, class_statistics(labels, probabilities), replicates=bootstrap, seed=seed
    )
    for name in _OVER_CLASSES:
        figures[name] = plain(values[name])
        figures["ci95"][name] = percentile_interval(drawn[name], values[name])
    figures["ci95"]["accuracy"] = proportion_interval(
        drawn["accuracy"], values["accuracy"], figures["lesions"]
    )
    figures["ece_by_chance"] = calibration_error_by_chance(probabilities, lesions)
    figures["confusion_matrix"] = confusion_matrix(labels, answers, labels=range(len(classes))).tolist()
    figures["per_class"] = {
        code: _one_class(column, per_class, drawn, labels, answers, lesions)
        for column, code in enumerate(classes)
    }
    return figures


def evaluate_malignancy(
    is_malignant: np.ndarray,
    malignant_probability: np.ndarray,
    *,
    classes: Sequence[str],
    lesions: np.ndarray,
    operating_threshold: float | None,
    operating_name: str | None = None,
    groups: Groups | None = None,
    bootstrap: int = REPLICATES,
    seed: int = 0,
    answers: tuple[np.ndarray, np.ndarray] | None = None,
) -> Figures:
    """Measures the probability of malignancy alone, for pictures of which no more is known than that.

    Args:
        is_malignant: bool (N,).
        malignant_probability: float (N,) in [0, 1].
        classes: the codes that the probabilities were over; only named in what is returned.
        answers: labels and predicted classes, both int64 (N,), where they are known: the subgroups then have
            accuracies too.

    The other arguments are those of `evaluate_probabilities`, and so are the keys returned: figures over classes are
    None.
    """
    is_malignant = np.asarray(is_malignant, dtype=bool)
    probability, lesions = np.asarray(malignant_probability, dtype=np.float64), np.asarray(lesions)
    _check_pictures(is_malignant, probability, lesions)
    draw = {"bootstrap": bootstrap, "seed": seed}
    values, ci95 = malignancy_values(is_malignant, probability, lesions, operating_threshold, **draw)
    figures: Figures = dict.fromkeys(KEYS)
    figures |= counts_of(is_malignant, lesions) | {"classes": list(classes)}
    figures["mean_risk"] = float(probability.mean())
    figures |= {key: plain(values[name]) for name, key in _OVER_MALIGNANCY.items()}
    figures["operating_point"] = {"name": operating_name, "threshold": plain(operating_threshold)}
    figures["ci95"] = dict.fromkeys(_OVER_CLASSES) | {
        key: ci95[name] for name, key in _OVER_MALIGNANCY.items()
    }
    figures["subgroups"] = {
        kind: {
            name: subgroup_figures(
                mask, is_malignant, probability, lesions, operating_threshold, answers, **draw
            )
            for name, mask in members.items()
        }
        for kind, members in (groups or {}).items()
    }
    figures["bootstrap"] = {"unit": "lesion", "replicates": bootstrap, "seed": seed}
    return figures


def _class_values(labels: np.ndarray, probabilities: np.ndarray) -> tuple[Figures, dict[str, np.ndarray]]:
    columns, answers = range(probabilities.shape[1]), probabilities.argmax(axis=1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, answers, labels=columns, zero_division=np.nan
    )
    ranked = np.array([rank_values(labels == column, probabilities[:, column]) for column in columns])
    per_class = {"precision": precision, "recall": recall, "f1": f1, "auc": ranked[:, 0]}
    per_class["average_precision"] = ranked[:, 1]
    values = {
        "accuracy": float(np.mean(labels == answers)),
        "balanced_accuracy": float(mean_of_defined(recall)),
        "macro_f1": float(mean_of_defined(f1)),
        "weighted_f1": float(f1_score(labels, answers, average="weighted", zero_division=0.0)),
        "macro_auc": float(mean_of_defined(ranked[:, 0])),
        "ece": expected_calibration_error(probabilities, labels),
        "ece_equal_mass": equal_mass_calibration_error(probabilities, labels),
        "brier": brier_score(probabilities, labels),
    }
    return values, per_class


def _one_class(
    column: int,
    values: Mapping[str, np.ndarray],
    drawn: Mapping[str, np.ndarray],
    labels: np.ndarray,
    answers: np.ndarray,
    lesions: np.ndarray,
) -> Figures:
    ci95 = {name: percentile_interval(drawn[name][:, column], values[name][column]) for name in CLASS_FIGURES}
    count = {
        "recall": number_of(lesions[labels == column]),
        "precision": number_of(lesions[answers == column]),
    }
    for name, number in count.items():
        ci95[name] = proportion_interval(drawn[name][:, column], values[name][column], number)
    pictures = {"n": int(np.sum(labels == column)), "lesions": count["recall"]}
    return pictures | {name: plain(values[name][column]) for name in CLASS_FIGURES} | {"ci95": ci95}


def _check_pictures(is_malignant: np.ndarray, probability: np.ndarray, lesions: np.ndarray) -> None:
    if not len(lesions) or not is_malignant.shape == probability.shape == lesions.shape == (len(lesions),):
        raise ValueError(
            f"Got {is_malignant.shape} truths, {probability.shape} probabilities of malignancy and {lesions.shape} "
            "lesions; wanted one of each for every picture, and at least one picture."
        )
    if not ((probability >= -1e-6) & (probability <= 1 + 1e-6)).all():
        raise ValueError("Some probabilities of malignancy are NaN or outside 0 to 1.")


def _check_classes(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], malignant: Sequence[bool]
) -> None:
    shape = (len(labels), len(classes))
    if probabilities.shape != shape or labels.ndim != 1 or len(malignant) != len(classes) or not len(labels):
        raise ValueError(
            f"Got {labels.shape} labels, {probabilities.shape} probabilities, {len(classes)} classes and "
            f"{len(malignant)} flags; wanted (N,), (N, C), C and C, with N above 0."
        )
    if not (np.abs(probabilities.sum(axis=1) - 1) < 1e-3).all() or (probabilities < -1e-6).any():
        raise ValueError(
            "Some rows are not probabilities: they are negative, NaN or do not sum to 1. Apply softmax."
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(f"Labels run from {labels.min()} to {labels.max()}; wanted 0 to {len(classes) - 1}.")
