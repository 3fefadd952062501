"""How far answers lean to rare classes: what is gained in balanced accuracy, and what it costs in accuracy.

Post-hoc logit adjustment (Menon et al., ICLR 2021, arXiv 2007.07314, equation 9): a multiple of the logarithm of each
class's share is taken from its logit. A strength of 0 leaves answers as they are, and 1 would answer as if all classes
were equally common, were the answers true of the shares before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from derm_core.evaluation.calibration import expected_calibration_error

STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Those that are tried."""
MOST_LOST = 0.01
"""How much accuracy may be given for balanced accuracy where the strength is chosen."""


@dataclass(frozen=True)
class Adjusted:
    """What the answers of one strength are worth.

    Attributes:
        strength: not negative.
        accuracy, balanced_accuracy: in [0, 1].
        ece: the expected calibration error, in [0, 1].
    """

    strength: float
    accuracy: float
    balanced_accuracy: float
    ece: float


def class_adjustment(counts: np.ndarray, strength: float) -> np.ndarray:
    """Returns float64 (C,): what to add to the logits, with a mean of 0; `counts` int (C,) are pictures of each class.

    Raises:
        ValueError: a class has no picture, or the strength is negative.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if strength < 0:
        raise ValueError(f"the strength is {strength}; it must be 0 or more")
    if not (counts > 0).all():
        raise ValueError("each class needs a picture: the share of one that has none is not known")
    logs = np.log(counts)
    moved: np.ndarray = strength * (logs.mean() - logs)
    return moved


def try_adjustments(
    scores: np.ndarray, labels: np.ndarray, counts: np.ndarray, strengths: Sequence[float] = STRENGTHS
) -> list[Adjusted]:
    """Returns what each strength gives.

    Args:
        scores: float (N, C), calibrated logits of photographs that were not trained on.
        labels: int64 (N,) in [0, C); a class that none has does not count.
        counts: int (C,), how many photographs of each class the network was trained on.
        strengths: those to try.
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    found = []
    for strength in strengths:
        probabilities = softmax(scores + class_adjustment(counts, strength), axis=1)
        right = probabilities.argmax(axis=1) == labels
        recalls = [right[labels == index].mean() for index in np.unique(labels)]
        found.append(
            Adjusted(
                strength,
                float(right.mean()),
                float(np.mean(recalls)),
                expected_calibration_error(probabilities, labels),
            )
        )
    return found


def choose_strength(tried: Sequence[Adjusted]) -> float:
    """Returns the strength with the best balanced accuracy that costs at most MOST_LOST of the first one's accuracy.

    Of equals the smallest.
    """
    least = tried[0].accuracy - MOST_LOST
    affordable = [one for one in tried if one.accuracy >= least - 1e-12]
    return max(affordable, key=lambda one: (one.balanced_accuracy, -one.strength)).strength
