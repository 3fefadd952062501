"""The metrics under many weightings of the photographs at once, for the bootstrap. Draws nothing itself.

Each function prepares what does not depend on the weights (orders, cells, bins) and returns a function from weights,
float64 (B, N), to figures; an undefined figure is NaN. With weights of one they equal scikit-learn's, and with any
weights scikit-learn's with `sample_weight`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from derm_core.evaluation.calibration import calibration_bins

Weighted = Callable[[np.ndarray], np.ndarray]


def ranking(is_positive: np.ndarray, score: np.ndarray) -> Weighted:
    """Returns weights (B, N) -> (B, 2): area under the ROC curve, and average precision.

    The area is that of Mann and Whitney, ties counting half; average precision is the step-wise sum that scikit-learn
    uses, equal scores being one step.

    Args:
        is_positive: bool (N,).
        score: float (N,), higher for positive.
    """
    positives, negatives = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)
    positives = positives[np.argsort(score[positives], kind="stable")]
    negatives = negatives[np.argsort(score[negatives], kind="stable")]
    at = score[positives]
    first_equal, first_above = (
        np.searchsorted(score[negatives], at, side=side) for side in ("left", "right")
    )
    first_equal_positive = np.searchsorted(at, at, side="left")

    def figures(weights: np.ndarray) -> np.ndarray:
        positive = weights[:, positives]
        positives_below = _running_sum(positive)
        negatives_below = _running_sum(weights[:, negatives])
        all_positives, all_negatives = positives_below[:, -1], negatives_below[:, -1]
        beaten = (negatives_below[:, first_equal] + negatives_below[:, first_above]) / 2
        auc = ratio((positive * beaten).sum(axis=1), all_positives * all_negatives)
        true_alarms = all_positives[:, None] - positives_below[:, first_equal_positive]
        false_alarms = all_negatives[:, None] - negatives_below[:, first_equal]
        precision = ratio(true_alarms, true_alarms + false_alarms)
        found = np.where(positive > 0, positive * precision, 0.0).sum(axis=1)
        return np.stack([auc, ratio(found, all_positives)], axis=1)

    return figures


def class_statistics(
    labels: np.ndarray, probabilities: np.ndarray, *, ranked: bool = True
) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    """Returns weights (B, N) -> every figure over classes, each (B,), or (B, C) where it is one a class.

    Args:
        labels: int64 (N,) in [0, C).
        probabilities: float (N, C), rows sum to 1.
        ranked: with the areas under curves, which take most of the time.
    """
    count, classes = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    cells = np.zeros((count, classes * classes))
    cells[np.arange(count), labels * classes + predicted] = 1.0
    error = calibration_bins(probabilities, labels)
    equal_mass_error = calibration_bins(probabilities, labels, equal_mass=True)
    truth = np.eye(classes)[labels]
    squares = ((probabilities - truth) ** 2).sum(axis=1)
    rankings = [ranking(labels == column, probabilities[:, column]) for column in range(classes) if ranked]

    def figures(weights: np.ndarray) -> dict[str, np.ndarray]:
        total = weights.sum(axis=1)
        confusion = (weights @ cells).reshape(-1, classes, classes)
        right = np.diagonal(confusion, axis1=1, axis2=2)
        of_class, as_class = confusion.sum(axis=2), confusion.sum(axis=1)
        recall, f1 = ratio(right, of_class), ratio(2 * right, of_class + as_class)
        found = {
            "accuracy": ratio(right.sum(axis=1), total),
            "balanced_accuracy": mean_of_defined(recall),
            "macro_f1": mean_of_defined(f1),
            "weighted_f1": ratio((np.nan_to_num(f1) * of_class).sum(axis=1), total),
            "ece": np.abs(weights @ error).sum(axis=1) / total,
            "ece_equal_mass": np.abs(weights @ equal_mass_error).sum(axis=1) / total,
            "brier": weights @ squares / total,
            "precision": ratio(right, as_class),
            "recall": recall,
            "f1": f1,
        }
        if rankings:
            auc, average_precision = np.stack([one(weights) for one in rankings], axis=-1).transpose(1, 0, 2)
            found |= {
                "macro_auc": mean_of_defined(auc),
                "auc": auc,
                "average_precision": average_precision,
            }
        return found

    return figures


def answer_statistics(
    labels: np.ndarray, predicted: np.ndarray
) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    """Returns weights (B, N) -> accuracy (B,) and balanced accuracy (B,) over the classes that occur.

    Args:
        labels: int64 (N,).
        predicted: int64 (N,).
    """
    right = labels == predicted
    occurring = np.unique(labels)
    of_class = (labels[:, None] == occurring).astype(np.float64)
    right_of_class = of_class * right[:, None]

    def figures(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = weights @ right_of_class
        return {
            "accuracy": ratio(found.sum(axis=1), weights.sum(axis=1)),
            "balanced_accuracy": mean_of_defined(ratio(found, weights @ of_class)),
        }

    return figures


def malignancy_statistics(
    is_malignant: np.ndarray, probability: np.ndarray, threshold: float | None
) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    """Returns weights (B, N) -> AUC, average precision, and sensitivity and specificity at a threshold, each (B,).

    Args:
        is_malignant: bool (N,).
        probability: float (N,) of malignancy.
        threshold: a photograph is referred where its probability is at least this; None leaves both shares NaN.
    """
    ranked = ranking(is_malignant, probability)
    referred = probability >= (np.inf if threshold is None else threshold)
    columns = np.stack(
        [is_malignant & referred, is_malignant, ~is_malignant & ~referred, ~is_malignant], axis=1
    )
    sums = columns.astype(np.float64)

    def figures(weights: np.ndarray) -> dict[str, np.ndarray]:
        found, malignant, spared, benign = (weights @ sums).T
        undefined = np.full(len(weights), np.nan)
        auc, average_precision = ranked(weights).T
        return {
            "malignant_auc": auc,
            "malignant_average_precision": average_precision,
            "sensitivity": undefined if threshold is None else ratio(found, malignant),
            "specificity": undefined if threshold is None else ratio(spared, benign),
        }

    return figures


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Returns the mean over the last axis of the values that are not NaN; NaN where all are."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def _running_sum(weights: np.ndarray) -> np.ndarray:
    """Returns (B, N + 1): the sum of the first 0, 1, ..., N columns."""
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums
