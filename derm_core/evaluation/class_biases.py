"""A bias for each class that makes probabilities truer, where cross-validation over lesions shows that it does.

"Bias-corrected" temperature scaling (Alexandari, Kundaje and Shrikumar, ICML 2020, arXiv 1901.06852) has one parameter
more for each class than temperature scaling. Some diagnoses have a handful of lesions to fit theirs on, so the biases
are held near 0 by a penalty, whose strength is chosen on lesions that the fit has not seen, and left out altogether
unless they clearly help there. Classes count by the square root of their number, as in training: by plain numbers the
biases would give every doubtful lesion to the naevi.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import GroupKFold

STRENGTHS = (0.003, 0.01, 0.03, 0.1)
"""Of the penalty on the sum of the squared biases, beside the mean log-loss."""
_FOLDS = 5


def fit_class_biases(scores: np.ndarray, labels: np.ndarray, lesions: np.ndarray) -> np.ndarray:
    """Returns float64 (C,): what to add to the scores before the softmax; zeros where that does not clearly help.

    It helps clearly where the held-out log-loss falls, on average over lesions, by more than one standard error.

    Args:
        scores: float (N, C), such as logits divided by their temperature, of photographs that no weight of the network
            was trained on.
        labels: int64 (N,) in [0, C).
        lesions: (N,), the lesion that each photograph shows; each is fitted on or held out whole.
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    shares = 1 / np.sqrt(np.bincount(labels, minlength=scores.shape[1])[labels])
    shares /= shares.sum()
    nothing = np.zeros(scores.shape[1])
    if len(np.unique(lesions)) < _FOLDS:
        return nothing
    gains = {strength: np.zeros(len(labels)) for strength in STRENGTHS}
    for seen, held_out in _folds(labels, lesions):
        before = _losses(scores[held_out], labels[held_out], nothing)
        for strength, gain in gains.items():
            biases = _fit(scores[seen], labels[seen], shares[seen] / shares[seen].sum(), strength)
            gain[held_out] = before - _losses(scores[held_out], labels[held_out], biases)
    strength = max(gains, key=lambda one: float(shares @ gains[one]))
    of_lesion = np.bincount(np.unique(lesions, return_inverse=True)[1], weights=shares * gains[strength])
    error = np.sqrt(len(of_lesion)) * of_lesion.std(ddof=1)
    return _fit(scores, labels, shares, strength) if of_lesion.sum() > error else nothing


def _fit(scores: np.ndarray, labels: np.ndarray, shares: np.ndarray, strength: float) -> np.ndarray:
    truth = np.eye(scores.shape[1])[labels]

    def loss(biases: np.ndarray) -> tuple[float, np.ndarray]:
        value = float(shares @ _losses(scores, labels, biases)) + strength * float(biases @ biases)
        return value, shares @ (softmax(scores + biases, axis=1) - truth) + 2 * strength * biases

    found: np.ndarray = minimize(loss, np.zeros(scores.shape[1]), jac=True, method="L-BFGS-B").x
    return found


def _losses(scores: np.ndarray, labels: np.ndarray, biases: np.ndarray) -> np.ndarray:
    losses: np.ndarray = -log_softmax(scores + biases, axis=1)[np.arange(len(labels)), labels]
    return losses


def _folds(labels: np.ndarray, lesions: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return GroupKFold(_FOLDS).split(labels, groups=lesions)
