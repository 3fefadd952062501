"""Between a picture and the network: what goes in, prepared ahead where there are many, and the heatmap's way back."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derm_core.ahead import run_ahead
from derm_core.data.transforms import Preprocessing
from derm_core.errors import InvalidImageError
from derm_core.serving.decoding import Picture, decode
from derm_core.serving.prediction import QualityFlag
from derm_core.serving.quality import QualityLimits, check_quality

DECODERS = 2
"""Threads that prepare pictures while the network runs; each holds one decoded picture at a time."""


@dataclass(frozen=True, eq=False)
class PreparedPicture:
    """A picture made ready for the network; its decoded pixels are let go.

    Attributes:
        pixels: uint8 (S, S, 3), the network's input before it is normalised.
        size: (width, height) of the picture given.
        quality: what is wrong with it.
        seconds: wall time spent so far.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    quality: tuple[QualityFlag, ...]
    seconds: float


def prepare(picture: Picture, preprocessing: Preprocessing, limits: QualityLimits) -> PreparedPicture:
    """Decodes, checks and crops a picture; raises InvalidImageError for a file that cannot be read."""
    started = time.perf_counter()
    decoded = decode(picture, min_side=preprocessing.decoding_side)
    flags = check_quality(decoded.image, size=decoded.size, limits=limits)
    pixels = preprocessing.pixels(decoded.image)
    return PreparedPicture(pixels, decoded.size, flags, time.perf_counter() - started)


def prepare_ahead(
    pictures: Iterable[Picture], preprocessing: Preprocessing, limits: QualityLimits, *, ahead: int
) -> Generator[PreparedPicture | InvalidImageError, None, None]:
    """Prepares pictures in threads of its own, at most `ahead` of them before they are asked for.

    Gives them in order, and the InvalidImageError of a file that cannot be read in its place. The threads end with
    the iterator, also where it is closed early.
    """

    def attempt(picture: Picture) -> PreparedPicture | InvalidImageError:
        try:
            return prepare(picture, preprocessing, limits)
        except InvalidImageError as err:
            return err

    return run_ahead(attempt, pictures, workers=DECODERS, ahead=ahead)


def place(
    heatmap: NDArray[np.float32], preprocessing: Preprocessing, size: tuple[int, int], max_side: int | None
) -> NDArray[np.float32]:
    """Divides a map (h, w), not negative, by its peak and lays it over the picture it came from.

    Returns:
        float32 (H, W) in [0, 1], at the picture's `size` (width, height) or, where its longer side exceeds `max_side`,
        at that of the picture reduced to it. All zeros stay zeros.
    """
    peak = float(heatmap.max())
    shares = heatmap / peak if peak > 0 else heatmap
    width, height = size
    if max_side is not None and max(size) > max_side:
        scale = max_side / max(size)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    return preprocessing.place_heatmap(shares, width, height)
