"""Photographs and heatmaps as `data:` addresses for the page: in memory only, without metadata, of bounded size."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from derm_core import heatmap_to_rgba

PHOTO_SIDE = 1600
"""Long side in pixels at which a photograph is shown, at most."""
HEATMAP_SIDE = 800
"""The same for its heatmaps: they are smooth, and there is one for each class."""
_PHOTO_QUALITY = 90
_OVERLAY_QUALITY = 85


def bounded(image: Image.Image, side: int) -> Image.Image:
    """Returns the picture reduced to `side` pixels on its longer side, or as it is where it has no more."""
    scale = min(1.0, side / max(image.size))
    if scale == 1.0:
        return image
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def photo_address(image: Image.Image) -> str:
    """Returns an RGB picture as a JPEG address."""
    buffer = io.BytesIO()
    bounded(image, PHOTO_SIDE).save(buffer, "JPEG", quality=_PHOTO_QUALITY, subsampling=0)
    return _address("image/jpeg", buffer)


def heatmap_address(heatmap: NDArray[np.float32]) -> str:
    """Returns a heatmap, float32 (H, W) in [0, 1], in colours: a WebP address, clear where there is little weight."""
    buffer = io.BytesIO()
    overlay = Image.fromarray(heatmap_to_rgba(heatmap))
    # The colours may lose a little, the cover nothing: bands would show in it.
    overlay.save(buffer, "WEBP", quality=_OVERLAY_QUALITY, alpha_quality=100, method=0)
    return _address("image/webp", buffer)


def _address(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
