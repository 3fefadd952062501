"""How often an answer flips where the lesion stays the same: photographs turned, mirrored, recompressed, lit anew.

How far the heatmaps of each method stay where they are under the same changes is left to map_stability.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from derm_core.evaluation.intervals import REPLICATES, bootstrap_over_lesions, proportion_interval
from derm_core.images import load_image

if TYPE_CHECKING:
    from derm_core.data.table import Dataset
    from derm_core.serving.predictor import Predictor

JPEG_QUALITY = 50
LIGHT = 0.15
"""By which share a picture is made brighter or darker."""


def _as_it_is(heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
    return heatmap


@dataclass(frozen=True)
class Change:
    """One change of a photograph that leaves the lesion as it is.

    Attributes:
        apply: changes a picture.
        undo: moves the heatmap (H, W) of a changed square picture to where it was before.
    """

    apply: Callable[[Image.Image], Image.Image]
    undo: Callable[[NDArray[np.float32]], NDArray[np.float32]] = _as_it_is


def _recompressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG_QUALITY)
    return load_image(stream.getvalue())


def _turned(quarters: int) -> Change:
    how = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)[quarters - 1]
    return Change(lambda image: image.transpose(how), lambda heatmap: np.rot90(heatmap, -quarters))


def _lit(factor: float) -> Change:
    return Change(lambda image: ImageEnhance.Brightness(image).enhance(factor))


CHANGES: dict[str, tuple[Change, ...]] = {
    "rotated": tuple(_turned(quarters) for quarters in (1, 2, 3)),
    "mirrored": (
        Change(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), np.fliplr),
        Change(lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), np.flipud),
    ),
    "recompressed": (Change(_recompressed),),
    "brightened or darkened": (_lit(1 + LIGHT), _lit(1 - LIGHT)),
}
"""What is done to a photograph: quarter and half turns, both mirrors, one more JPEG at quality 50, 15% of light."""


def measure_stability(
    predictor: Predictor,
    dataset: Dataset,
    *,
    bootstrap: int = REPLICATES,
    seed: int = 0,
    progress: Callable[[Iterable[int], int], Iterable[int]] | None = None,
) -> dict[str, Any]:
    """Asks for every photograph as it is and in each change of it, and counts how often the answer is another.

    Args:
        predictor: answers.
        dataset: the photographs to ask about.
        bootstrap: how many sets of lesions are drawn for the intervals.
        seed: of the draw.
        progress: wraps the indices of the photographs, of which it is told the number.

    Returns:
        For each of CHANGES: `top` and `advice`, the share of changed photographs whose most probable diagnosis or
        advice differs from that of the photograph itself, and `ci95` of both, by bootstrap over lesions.

    Raises:
        InvalidImageError: a photograph cannot be read.
    """
    flips: dict[str, list[tuple[float, float]]] = {name: [] for name in CHANGES}
    indices = range(len(dataset))
    for index in progress(indices, len(dataset)) if progress else indices:
        image = load_image(dataset.image_path(index))
        plain = predictor.predict(image)
        for name, changes in CHANGES.items():
            answers = [predictor.predict(change.apply(image)) for change in changes]
            flips[name].append(
                (
                    float(np.mean([answer.top != plain.top for answer in answers])),
                    float(np.mean([answer.advice != plain.advice for answer in answers])),
                )
            )
    return {
        name: _shares(np.array(rows), dataset.lesions, bootstrap=bootstrap, seed=seed)
        for name, rows in flips.items()
    }


def _shares(rows: np.ndarray, lesions: np.ndarray, *, bootstrap: int, seed: int) -> dict[str, Any]:
    """The mean of each column of (N, 2), and its interval."""

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        means = weights @ rows / weights.sum(axis=1, keepdims=True)
        return {"top": means[:, 0], "advice": means[:, 1]}

    drawn = bootstrap_over_lesions(lesions, statistics, replicates=bootstrap, seed=seed)
    values = dict(zip(("top", "advice"), rows.mean(axis=0).tolist(), strict=True))
    count = len(set(lesions))
    return values | {
        "ci95": {name: proportion_interval(drawn[name], value, count) for name, value in values.items()}
    }
