"""How true probabilities are, the temperature that makes them so, and thresholds on them. Runs no network.

Temperature scaling and the calibration error are those of Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern
Neural Networks", ICML 2017 (arXiv 1706.04599).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit, logsumexp

BINS = 15
TEMPERATURES = (0.05, 20.0)
_SURE = 1e-9  # how near to 0 and 1 a risk may come before its odds are of no use
_FAR = 40.0  # log-odds that move every risk from one of these ends to the other


def fit_temperature(logits: np.ndarray, labels: np.ndarray, *, bias: np.ndarray | float = 0.0) -> float:
    """Returns the temperature T that minimises the mean negative log-likelihood of softmax(logits / T + bias).

    It changes no ranking of classes, only how sure the answers are: above 1 softens them. Fit it on data that no
    weight was trained on. Searched on log T within `TEMPERATURES`; logits that are right every time have no minimum
    inside and give the lower end.

    Args:
        logits: float (N, C), before softmax.
        labels: int64 (N,) in [0, C).
        bias: float, to be broadcast to (N, C): what else the scores hold.

    Raises:
        ValueError: nothing to fit on, shapes that do not belong together, or values that are not finite.
    """
    logits, labels = _checked(np.asarray(logits, dtype=np.float64), np.asarray(labels))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logits * math.exp(-log_temperature) + bias
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


def equal_mass_calibration_error(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = BINS) -> float:
    """Returns the same with bins that hold as many photographs each, by rank of confidence.

    Most answers are sure, so of bins of equal width some hold a handful of photographs and add mostly noise (Nixon et
    al., "Measuring Calibration in Deep Learning", arXiv 1904.01685). The arguments are the same.
    """
    probabilities, labels = _checked(np.asarray(probabilities, dtype=np.float64), np.asarray(labels))
    table = calibration_bins(probabilities, labels, bins=bins, equal_mass=True)
    return float(np.abs(table.sum(axis=0)).sum() / len(labels))


def calibration_error_by_chance(probabilities: np.ndarray, lesions: np.ndarray, *, bins: int = BINS) -> float:
    """Returns the error (of equal width bins) that answers whose probabilities are all true would show on average.

    It is above 0 because few photographs never split as their probabilities say; a measured error near it is no sign
    of bad calibration. The sum of a bin is taken to be normal, and photographs of one lesion to be right together.

    Args:
        probabilities: float (N, C), rows sum to 1.
        lesions: (N,), the lesion that each photograph shows.
        bins: as in `expected_calibration_error`.
    """
    confidence = np.asarray(probabilities, dtype=np.float64).max(axis=1)
    spread = np.sqrt(confidence * (1 - confidence))
    lesion = np.unique(lesions, return_inverse=True)[1]
    cells = np.zeros((lesion.max() + 1, bins))
    np.add.at(cells, (lesion, _bin_of(confidence, bins)), spread)
    # The mean size of a normal variable is sqrt(2 / pi) of its standard deviation.
    return float(math.sqrt(2 / math.pi) * np.sqrt((cells**2).sum(axis=0)).sum() / len(confidence))


def calibration_bins(
    probabilities: np.ndarray, labels: np.ndarray, *, bins: int = BINS, equal_mass: bool = False
) -> np.ndarray:
    """Returns (N, bins): in the column of a photograph's bin, 1 where it is right minus its confidence; else 0."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    rows = np.arange(len(labels))
    if equal_mass:
        column = np.empty(len(labels), dtype=np.int64)
        column[np.argsort(confidence, kind="stable")] = rows * bins // len(labels)
    else:
        column = _bin_of(confidence, bins)
    table = np.zeros((len(labels), bins))
    table[rows, column] = right - confidence
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


def prevalence_of_risks(malignant_probability: np.ndarray, is_malignant: np.ndarray) -> float:
    """Returns the prevalence at which risks are true on average: moved from it to that of the pictures, they are.

    Risks whose mean is the share of malignant pictures give just that share. A network that was trained with more
    weight on rare malignant diagnoses states the risks of a place where they are less rare. Moving is multiplying the
    odds (see `derm_core.serving.prevalence`).

    Args:
        malignant_probability: float (N,) in [0, 1].
        is_malignant: bool (N,); some must be and some not.

    Raises:
        ValueError: all pictures are malignant, or none.
    """
    risk = np.clip(np.asarray(malignant_probability, dtype=np.float64), _SURE, 1 - _SURE)
    share = float(np.mean(np.asarray(is_malignant, dtype=bool)))
    if not 0 < share < 1:
        raise ValueError("Either all pictures are malignant or none is. Give some of both.")
    shift = brentq(lambda by: float(expit(logit(risk) + by).mean()) - share, -_FAR, _FAR)
    return float(expit(logit(share) - shift))


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


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    column: np.ndarray = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return column


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
