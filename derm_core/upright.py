"""A decoded picture becomes RGB as it was meant to be seen: upright, on white, without metadata. Opens no file."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture of each EXIF orientation upright."""


def upright_rgb(image: Image.Image) -> Image.Image:
    """Returns a picture as RGB, turned by its EXIF orientation; transparency lies on white, and no metadata is left."""
    seen = _to_rgb(_upright(image))
    seen.info = {}
    return seen


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # The pixels are good; damaged metadata only means that nobody knows which way is up.
        return image
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT or image.mode == "I":
        # Pillow clips 16-bit greys at 255, which turns almost everything white.
        array = np.asarray(image).astype(np.uint32)
        return Image.fromarray((array >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")
