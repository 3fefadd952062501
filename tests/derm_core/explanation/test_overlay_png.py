"""overlay_png.py: another program reads the very pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from derm_core.explanation.overlay_png import rgba_to_png


@pytest.mark.parametrize("size", [(1, 1), (5, 1), (1, 7), (60, 45)])
def test_a_png_holds_every_pixel(size: tuple[int, int]) -> None:
    width, height = size
    rgba = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    with Image.open(io.BytesIO(rgba_to_png(rgba))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", size)
        image.verify()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(rgba_to_png(rgba)))), rgba)
