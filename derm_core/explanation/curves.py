"""Deletion and insertion curves: what becomes of an answer as a heatmap's best pixels go, or come, first.

Petsiuk, Das, Saenko: "RISE: Randomized Input Sampling for Explanation of Black-box Models" (arXiv 1806.07421),
section 4.2. As there, pixels are deleted by the picture's mean colour and inserted into the blurred picture. Here both
act on the network's square input, in steps of a tenth of its pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

STEPS = 10
BLUR = 1 / 16
"""Standard deviation of the blurred picture that insertion starts from, as a share of the side."""

Pixels = NDArray[np.uint8]
Probability = Callable[[Pixels], NDArray[np.float64]]
"""Takes uint8 (N, S, S, 3) and gives the probability of the class that is explained: float64 (N,)."""


@dataclass(frozen=True)
class Areas:
    """Areas under the two curves, in [0, 1].

    Attributes:
        deletion: low where the pixels that go first carried the answer.
        insertion: high where the pixels that come first are enough for it.
    """

    deletion: float
    insertion: float


def curve_areas(
    pixels: Pixels, heatmap: NDArray[np.float32], probability: Probability, *, seed: int = 0
) -> Areas:
    """Returns the areas under the deletion and the insertion curve of one heatmap.

    Args:
        pixels: uint8 (S, S, 3), the network's input.
        heatmap: float32 (S, S), over that input; pixels of one value come in a random order.
        probability: asks the network.
        seed: of that order.
    """
    ranks = _ranks(heatmap, seed)
    mean = np.empty_like(pixels)
    mean[:] = pixels.mean(axis=(0, 1)).round()
    blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR * pixels.shape[0])))
    shares = np.linspace(0, 1, STEPS + 1)
    chosen = [(ranks < share * ranks.size)[..., None] for share in shares]
    deleted = np.stack([np.where(first, mean, pixels) for first in chosen])
    inserted = np.stack([np.where(first, pixels, blurred) for first in chosen])
    return Areas(_area(probability(deleted), shares), _area(probability(inserted), shares))


def _ranks(heatmap: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """int64 (S, S): 0 for the highest pixel."""
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(heatmap.size)
    order = shuffled[np.argsort(-heatmap.ravel()[shuffled], kind="stable")]
    ranks = np.empty(heatmap.size, np.int64)
    ranks[order] = np.arange(heatmap.size)
    return ranks.reshape(heatmap.shape)


def _area(values: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    return float(np.trapezoid(values, shares))
