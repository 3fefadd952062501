"""Whether an export answers as the model does, on pictures. Writes and converts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derm_core.serving.agreement import Agreement
from derm_core.serving.answer import make_prediction
from derm_core.serving.bundle import Bundle
from derm_core.serving.decoding import Picture
from derm_core.serving.eager import EagerRuntime
from derm_core.serving.preparation import PreparedPicture, prepare
from derm_core.serving.runtimes import Pixels

TOLERANCE = 1e-3
"""By how much any probability may differ."""
LEAST_CORRELATION = 0.999
"""Of each class's heatmap with the reference's."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """What an exported graph gives for N pictures, all float32; in the order of export_graph.OUTPUTS.

    Attributes:
        logits, probabilities: (N, C).
        heatmaps: (N, C, h, w).
        features: (N, K).
    """

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    heatmaps: NDArray[np.float32]
    features: NDArray[np.float32]


Run = Callable[[Pixels], Outputs]
"""Runs a written export on uint8 (N, S, S, 3)."""


class Disagreement(RuntimeError):
    """An export does not answer as the model does; nothing of it is kept."""


def check_agreement(bundle: Bundle, run: Run, pictures: Iterable[Picture]) -> Agreement:
    """Compares an export with the eager model on pictures, one at a time and the first few together.

    Raises:
        Disagreement: another class comes first, or a probability, heatmap or feature differs by more than TOLERANCE
            and LEAST_CORRELATION allow.
        InvalidImageError: a picture cannot be read.
    """
    reference, description = EagerRuntime(bundle), bundle.description
    difference, correlation, checked = 0.0, 1.0, []
    for number, picture in enumerate(pictures, 1):
        prepared = prepare(picture, description.preprocessing, description.quality)
        wanted = reference.explain_all(prepared.pixels[None])
        answer = make_prediction(description, wanted.logits[0], wanted.features[0], prepared, None, 0.0)
        found = run(prepared.pixels[None])
        top = description.classes[int(found.probabilities[0].argmax())]
        if top != answer.top:
            raise Disagreement(
                f"On picture {number} the export answers {top}, and the model {answer.top}. Nothing was written."
            )
        apart = np.abs(found.probabilities[0] - np.array(list(answer.probabilities.values()))).max()
        difference = max(difference, float(apart))
        alike = [_correlation(*maps) for maps in zip(found.heatmaps[0], wanted.heatmaps[0], strict=True)]
        correlation = min(correlation, *alike, _correlation(found.features[0], wanted.features[0]))
        if not (difference <= TOLERANCE and correlation >= LEAST_CORRELATION):
            raise Disagreement(
                f"On picture {number} a probability differs by {difference:.2g} (allowed: {TOLERANCE:g}) and a heatmap "
                f"or the features correlate by {correlation:.4f} (wanted: {LEAST_CORRELATION:g}). Nothing was written."
            )
        checked.append((prepared, found))
    _check_batch(run, checked[:3])
    return Agreement(len(checked), 1.0, difference, correlation)


def _check_batch(run: Run, checked: Sequence[tuple[PreparedPicture, Outputs]]) -> None:
    together = run(np.stack([prepared.pixels for prepared, _ in checked]))
    alone = np.concatenate([found.probabilities for _, found in checked])
    if together.probabilities.shape != alone.shape or not np.allclose(
        together.probabilities, alone, rtol=0, atol=TOLERANCE
    ):
        raise Disagreement(
            f"{len(checked)} pictures together are not answered as each alone. Nothing was written."
        )


def _correlation(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Pearson's, in float64; of two arrays without any spread 1 where they are equal to a millionth, otherwise 0."""
    first, second = (np.asarray(values, np.float64).ravel() for values in (found, wanted))
    if first.size != second.size or not np.isfinite(first).all():
        return 0.0
    first_apart, second_apart = first - first.mean(), second - second.mean()
    lengths = np.linalg.norm(first_apart) * np.linalg.norm(second_apart)
    if lengths < 1e-12:
        return float(np.allclose(first, second, rtol=1e-3, atol=1e-6))
    return float(first_apart @ second_apart / lengths)
