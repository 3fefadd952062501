"""How often an answer flips where the lesion stays the same: photographs turned, mirrored, recompressed, lit anew."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageEnhance

from derm_core.evaluation.intervals import REPLICATES, bootstrap_over_lesions, proportion_interval
from derm_core.images import load_image

if TYPE_CHECKING:
    from derm_core.data.table import Dataset
    from derm_core.serving.predictor import Predictor

Change = Callable[[Image.Image], Image.Image]
JPEG_QUALITY = 50
LIGHT = 0.15
"""By which share a picture is made brighter or darker."""


def _recompressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG_QUALITY)
    return load_image(stream.getvalue())


def _transposed(how: Image.Transpose) -> Change:
    return lambda image: image.transpose(how)


def _lit(factor: float) -> Change:
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


CHANGES: dict[str, tuple[Change, ...]] = {
    "rotated": tuple(
        _transposed(turn)
        for turn in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    ),
    "mirrored": tuple(
        _transposed(flip) for flip in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
    ),
    "recompressed": (_recompressed,),
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
            answers = [predictor.predict(change(image)) for change in changes]
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
