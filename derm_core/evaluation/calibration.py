"""Calibration of probabilities, and the threshold that a wanted sensitivity asks for. Runs no network.

Temperature scaling and the calibration error are those of Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern
Neural Networks", ICML 2017 (arXiv 1706.04599).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

BINS = 15
TEMPERATURES = (0.05, 20.0)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature T that minimises the mean negative log-likelihood of softmax(logits / T).

    It changes no ranking of classes, only how sure the answers are: above 1 softens them. Fit it on data that no
    weight was trained on. Searched on log T within `TEMPERATURES`; logits that are right every time have no minimum
    inside and give the lower end.

    Args:
        logits: float (N, C), before softmax.
        labels: int64 (N,) in [0, C).

    Raises:
        ValueError: nothing to fit on, shapes that do not belong together, or values that are not finite.
    """
    logits, labels = _checked(np.asarray(logits, dtype=np.float64), np.asarray(labels))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logits * math.exp(-log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - scaled[rows, labels]))

    bounds = tuple(math.log(end) for end in TEMPERATURES)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return math.exp(found.x)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = BINS) -> float:
    """Returns how far stated confidence lies from the share that is right, in [0, 1].

    Photographs are sorted into bins of equal width by the probability of their top class, a bin being open below and
    closed above; in each, |share right - mean probability| counts by the share of photographs in it.

    Args:
        probabilities: float (N, C), rows sum to 1.
        labels: int64 (N,) in [0, C).
        bins: how many bins divide [0, 1].
    """
    probabilities, labels = _checked(np.asarray(probabilities, dtype=np.float64), np.asarray(labels))
    return float(np.abs(calibration_bins(probabilities, labels, bins=bins).sum(axis=0)).sum() / len(labels))


def calibration_bins(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = BINS) -> np.ndarray:
    """Returns (N, bins): in the column of a photograph's bin, 1 where it is right minus its confidence; else 0."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    column = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    table = np.zeros((len(labels), bins))
    table[np.arange(len(labels)), column] = right - confidence
    return table


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean over photographs of the squared error summed over classes, in [0, 2].

    Args:
        probabilities: float (N, C), rows sum to 1.
        labels: int64 (N,) in [0, C).
    """
    probabilities, labels = _checked(np.asarray(probabilities, dtype=np.float64), np.asarray(labels))
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def operating_threshold(
    malignant_probability: np.ndarray, is_malignant: np.ndarray, sensitivity: float
) -> float:
    """Returns the highest threshold t at which `probability >= t` finds at least this share of malignant pictures.

    Args:
        malignant_probability: float (N,) in [0, 1].
        is_malignant: bool (N,); at least one must be.
        sensitivity: wanted, in (0, 1].

    Raises:
        ValueError: no malignant picture, or a sensitivity outside (0, 1].
    """
    found = np.sort(
        np.asarray(malignant_probability, dtype=np.float64)[np.asarray(is_malignant, dtype=bool)]
    )[::-1]
    if not len(found):
        raise ValueError("No picture is malignant, so no threshold has a sensitivity. Give some that are.")
    if not 0 < sensitivity <= 1:
        raise ValueError(f"Got a sensitivity of {sensitivity}; wanted one above 0 and at most 1.")
    # 0.55 * 20 is 11.000000000000002: a hair above a whole number asks for no picture more.
    wanted = max(1, math.ceil(sensitivity * len(found) - 1e-9))
    return float(found[wanted - 1])


def _checked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ValueError(
            f"Got scores {scores.shape} and labels {labels.shape}; wanted (N, C) and (N,), N above 0."
        )
    if not np.isfinite(scores).all():
        raise ValueError(
            "Some scores are NaN or infinite. Look for the picture or the weights that cause it."
        )
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(
            f"Labels run from {labels.min()} to {labels.max()}; wanted 0 to {scores.shape[1] - 1}."
        )
    return scores, labels.astype(np.int64)
