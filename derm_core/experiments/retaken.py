"""A photograph as another camera might have taken it: closer, brighter, sharper, in other colours. Reads no files."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance

_CLOSEST = 0.5
"""Share of the width that the closest view keeps."""
_SQUEEZE = 1.25
"""How much longer than the other one side may become: sets of square pictures are squeezed from 4:3."""
_COLOURS = 0.3
"""How far brightness, contrast and saturation move, as a share of what they are."""
_SHARPEST = 4.0
"""Of Pillow's sharpness, 1 for the picture as it is and 0 for a blurred one."""


def retaken(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Returns an RGB image of about the same size: the middle of the picture, with other colours and sharpness.

    Args:
        image: RGB, a dermoscopic photograph with its lesion about the middle.
        generator: where its chance comes from.
    """
    wide = generator.uniform(_CLOSEST, 1.0)
    tall = min(1.0, wide * _SQUEEZE ** generator.uniform(-1.0, 1.0))
    left, top = generator.uniform(0.25, 0.75, 2) * (1 - np.array([wide, tall]))
    box = np.array([left, top, left + wide, top + tall]) * np.tile(image.size, 2)
    view = image.resize(image.size, Image.Resampling.BICUBIC, box=tuple(box.tolist()))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        view = enhancer(view).enhance(float(generator.uniform(1 - _COLOURS, 1 + _COLOURS)))
    return ImageEnhance.Sharpness(view).enhance(float(_SHARPEST ** generator.uniform(-0.25, 1.0)))
