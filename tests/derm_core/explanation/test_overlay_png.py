"""overlay_png.py: another program reads the very pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from derm_core.explanation.overlay_png import grey_to_png, rgba_to_png

SIZES = [(1, 1), (5, 1), (1, 7), (60, 45)]


@pytest.mark.parametrize("size", SIZES)
def test_a_png_holds_every_pixel(size: tuple[int, int]) -> None:
    width, height = size
    rgba = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    with Image.open(io.BytesIO(rgba_to_png(rgba))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", size)
        image.verify()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(rgba_to_png(rgba)))), rgba)


@pytest.mark.parametrize("size", SIZES)
def test_a_png_of_greys_holds_all_sixteen_bits(size: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).integers(0, 65536, size[::-1], dtype=np.uint16)
    with Image.open(io.BytesIO(grey_to_png(grey))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "I;16", size)
        assert np.array_equal(np.asarray(image), grey)


def test_a_smooth_map_takes_less_room_than_pillow_gives_it() -> None:
    rows, columns = np.mgrid[:240, :320]
    grey = (65535 * np.exp(-((rows - 90) ** 2 + (columns - 200) ** 2) / 9000)).astype(np.uint16)
    usual = io.BytesIO()
    Image.fromarray(grey).save(usual, "PNG", compress_level=1)
    assert len(grey_to_png(grey)) < len(usual.getvalue())
