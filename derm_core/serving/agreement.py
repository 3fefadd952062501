"""How near a runtime comes to the reference, over pictures. Decides by stated limits; runs nothing but the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derm_core.serving.runtimes import FullyExplainedPass, Pixels, Runtime

LEAST_SAME_TOP = 0.999
"""Share of pictures whose top class must be the same."""
MOST_DIFFERENCE = 0.01
"""By how much any probability may differ."""
LEAST_CORRELATION = 0.999
"""Of the heatmap of each class that a picture speaks for."""
_SPEAKS = 0.1
"""A class whose heatmap stays under this share of the picture's highest peak has nothing to show."""


@dataclass(frozen=True)
class Agreement:
    """How near a runtime comes to the reference.

    Attributes:
        pictures: on how many this was measured.
        same_top: the share of them with the same top class.
        difference: the most that any probability differs at the differences of these logits, however sure the network
            is of the picture: few pictures then tell of many.
        correlation: the smallest of any heatmap that has something to show.
    """

    pictures: int
    same_top: float
    difference: float
    correlation: float

    def within(self, share: float) -> bool:
        """Whether nothing differs by more than this share of what it may; 1 if one's answers may stand for the other's.

        Few pictures tell of many only where they stay well inside the limits.
        """
        return (
            1 - self.same_top <= share * (1 - LEAST_SAME_TOP)
            and self.difference <= share * MOST_DIFFERENCE
            and 1 - self.correlation <= share * (1 - LEAST_CORRELATION)
        )


def compare_runtimes(
    runtime: Runtime,
    pictures: Sequence[Pixels],
    reference: Sequence[FullyExplainedPass],
    temperature: float,
) -> Agreement:
    """Runs a runtime on pictures, each uint8 (1, S, S, 3), one at a time.

    Args:
        reference: what it gave for each of these pictures, so that it need not answer again for every runtime.
        temperature: logits are divided by it before the softmax; the smaller, the more a difference counts.
    """
    same, differences, correlations = [], [], [1.0]
    for picture, wanted in zip(pictures, reference, strict=True):
        found = runtime.explain_all(picture)
        same.append(found.logits[0].argmax() == wanted.logits[0].argmax())
        differences.append(_most_difference((found.logits[0] - wanted.logits[0]) / temperature))
        correlations += _correlations(found, wanted)
    # What is not a number compares as false everywhere, and so agrees with nothing.
    return Agreement(len(same), float(np.mean(same)), float(np.max(differences)), float(np.min(correlations)))


def _correlations(found: FullyExplainedPass, wanted: FullyExplainedPass) -> list[float]:
    maps, expected = found.heatmaps[0], wanted.heatmaps[0]
    least = _SPEAKS * float(expected.max())
    return [
        _correlation(one, other) for one, other in zip(maps, expected, strict=True) if other.max() > least
    ]


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of two maps, around their means; 0 where one of them is flat."""
    first, second = (item.astype(np.float64).ravel() - item.mean() for item in (one, other))
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / length if length else 0.0


def _most_difference(moved: NDArray[np.float32]) -> float:
    """The most that a softmax moves where its scores move so: a logistic function's slope is a quarter at most."""
    return float(np.ptp(moved)) / 4
