"""Small pictures for tables, made when they are shown and kept for a while, in memory only. Knows no page."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path

from derm_core import InvalidImageError, load_image
from desktop.pictures import bounded

SIDE = 144
"""Longer side in pixels: twice that at which they are shown."""
_KEPT = 200
_QUALITY = 80


def thumbnail(path: Path) -> bytes | None:
    """Returns a small JPEG of a picture's file; None where it cannot be read."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return None
    return _made(path, changed)


def thumbnail_address(path: Path) -> str | None:
    """Returns the same as an address for the page."""
    content = thumbnail(path)
    return None if content is None else jpeg_address(content)


def jpeg_address(content: bytes) -> str:
    """Returns a JPEG as an address for the page."""
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode('ascii')}"


@lru_cache(_KEPT)
def _made(path: Path, _changed: int) -> bytes | None:
    try:
        image = load_image(path, min_side=SIDE)
    except InvalidImageError:
        return None
    buffer = io.BytesIO()
    bounded(image, SIDE).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
