"""A heatmap as it is kept and carried: a small PNG of 16-bit greys. Colours are left to the overlay."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from derm_core.errors import InvalidImageError
from derm_core.explanation.overlay_png import grey_to_png

_MOST_SIDE = 1024
_DEEP = 65535


def pack_heatmap(heatmap: NDArray[np.float32]) -> bytes:
    """Returns a heatmap, float32 (H, W) in [0, 1], as a PNG of 16-bit greys."""
    return grey_to_png((heatmap * _DEEP).round().astype(np.uint16))


def unpack_heatmap(kept: bytes) -> NDArray[np.float32]:
    """Returns the heatmap that `pack_heatmap` packed: float32 (H, W) in [0, 1].

    Raises:
        InvalidImageError: it is no such PNG, or has more than 1024 pixels on a side.
    """
    try:
        with Image.open(io.BytesIO(kept), formats=["PNG"]) as image:
            if image.mode != "I;16" or max(image.size) > _MOST_SIDE:
                raise InvalidImageError(
                    f"A kept heatmap is {image.width} x {image.height} pixels of kind {image.mode}; wanted: 16-bit "
                    f"greys, at most {_MOST_SIDE} pixels on a side."
                )
            return np.asarray(image, dtype=np.float32) / np.float32(_DEEP)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as err:
        if isinstance(err, InvalidImageError):
            raise
        raise InvalidImageError(
            f"A kept heatmap cannot be read ({len(kept):,} bytes). Answer its picture again."
        ) from err
