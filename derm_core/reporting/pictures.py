"""Photographs as they are printed: alone, and under their heatmap. Places nothing on a page."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from derm_core.explanation.overlay import heatmap_to_rgba
from derm_core.images import ImageSource, load_image

PRINTED_SIDE = 1100
"""Long side in pixels of a large print: 300 dots an inch at the width of half a page."""
SMALL_SIDE = 260
_QUALITY = 88


@dataclass(frozen=True)
class Print:
    """A JPEG and its size in pixels."""

    jpeg: bytes
    width: int
    height: int

    def fitted(self, width: float, height: float) -> tuple[float, float]:
        """Returns its size where it fills a frame without being cut."""
        scale = min(width / self.width, height / self.height)
        return self.width * scale, self.height * scale


def open_photograph(source: ImageSource, side: int = PRINTED_SIDE) -> Image.Image:
    """Returns a photograph, RGB, its long side at most `side`; raises InvalidImageError."""
    image = load_image(source, min_side=side)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def print_of(image: Image.Image) -> Print:
    """Returns the picture as it is laid on a page."""
    buffer = io.BytesIO()
    # Not optimized: Pillow would write the file through one buffer, which a photograph full of detail overflows.
    image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return Print(buffer.getvalue(), image.width, image.height)


def under_heatmap(image: Image.Image, heatmap: NDArray[np.float32]) -> Image.Image:
    """Returns the photograph with a heatmap, float (H, W) in [0, 1] of any size, laid over it."""
    smooth = Image.fromarray(np.asarray(heatmap, dtype=np.float32)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    layer = Image.fromarray(heatmap_to_rgba(np.asarray(smooth).clip(0.0, 1.0)))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")
