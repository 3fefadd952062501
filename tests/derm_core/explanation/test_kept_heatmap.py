"""Kept heatmaps: what was packed is unpacked, and what is no kept heatmap is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from derm_core import InvalidImageError, pack_heatmap, unpack_heatmap


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_heatmap_is_kept_to_one_part_in_65535() -> None:
    heatmap = np.linspace(0, 1, 300, dtype=np.float32).reshape(15, 20)
    kept = unpack_heatmap(pack_heatmap(heatmap))
    assert (kept.dtype, kept.shape) == (np.float32, (15, 20))
    assert np.abs(kept - heatmap).max() <= 0.5 / 65535 + 1e-7
    assert pack_heatmap(kept) == pack_heatmap(heatmap)


def test_what_is_no_kept_heatmap_is_refused() -> None:
    for content in (b"", b"This is a letter.", pack_heatmap(np.zeros((8, 8), np.float32))[:-30]):
        with pytest.raises(InvalidImageError, match="cannot be read"):
            unpack_heatmap(content)
    with pytest.raises(InvalidImageError, match="8 x 8 pixels of kind RGB; wanted: 16-bit greys"):
        unpack_heatmap(png(Image.new("RGB", (8, 8))))
    jpeg = io.BytesIO()
    Image.new("L", (8, 8)).save(jpeg, "JPEG")
    with pytest.raises(InvalidImageError, match="cannot be read"):
        unpack_heatmap(jpeg.getvalue())


def test_a_heatmap_that_would_take_much_memory_is_refused_by_its_size() -> None:
    with pytest.raises(InvalidImageError, match="1025 x 1 pixels"):
        unpack_heatmap(pack_heatmap(np.zeros((1, 1025), np.float32)))
    whole = bytearray(pack_heatmap(np.zeros((8, 8), np.float32)))
    whole[16:24] = (60_000).to_bytes(4, "big") * 2
    with pytest.raises(InvalidImageError):
        unpack_heatmap(bytes(whole))
