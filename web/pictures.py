"""What is stored of a photograph: a copy without metadata, a thumbnail, heatmaps. Writes no file."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from derm_core import heatmap_to_rgba, load_image, unpack_heatmap
from web.scanning import scan_upload

SAMPLE = Path(__file__).parent / "static" / "sample.jpg"
"""The sample picture, as `web.sample` draws it."""
PHOTO = "photo.jpg"
THUMBNAIL = "thumbnail.jpg"
PHOTO_SIDE = 2400
THUMBNAIL_SIDE = 264
HEATMAP_SIDE = 320
"""Long side in pixels at which heatmaps are kept: they are smooth, and there is one for each class."""
OVERLAY_SIDE = 960
_JPEG_QUALITY = 92
_THUMBNAIL_QUALITY = 82
_OVERLAY_QUALITY = 85


def read_photograph(data: bytes) -> Image.Image:
    """Decodes an upload: RGB, upright, without metadata, its long side at most PHOTO_SIDE.

    Raises InvalidImageError with a sentence for the user.
    """
    scan_upload(data)
    image = load_image(data, min_side=PHOTO_SIDE)
    return _bounded(image, PHOTO_SIDE)


@cache
def sample_photograph() -> bytes:
    """Returns the file of the sample picture."""
    return SAMPLE.read_bytes()


def photo_jpeg(image: Image.Image) -> bytes:
    """Returns the photograph as it is kept: JPEG with full colour resolution, no metadata."""
    return _jpeg(image, _JPEG_QUALITY, subsampling=0)


def thumbnail_jpeg(image: Image.Image) -> bytes:
    """Returns a small copy for lists."""
    return _jpeg(_bounded(image, THUMBNAIL_SIDE), _THUMBNAIL_QUALITY, subsampling=2)


def heatmap_name(code: str) -> str:
    """Returns the file name of a class's heatmap."""
    return f"heatmap-{code}.png"


def overlay_webp(kept: bytes, width: int, height: int) -> bytes:
    """Returns a kept heatmap in colours, to be laid over its photograph: WebP, clear where there is little weight.

    Args:
        kept: what pack_heatmap returned.
        width, height: of the photograph, in pixels; the overlay's long side is at most OVERLAY_SIDE.
    """
    buffer = io.BytesIO()
    # The colours may lose a little, the cover nothing: bands would show in it.
    _overlay(kept, width, height).save(buffer, "WEBP", quality=_OVERLAY_QUALITY, alpha_quality=100, method=0)
    return buffer.getvalue()


def overlay_png(kept: bytes, width: int, height: int) -> bytes:
    """Returns what overlay_webp does, as a PNG, which loses nothing."""
    buffer = io.BytesIO()
    _overlay(kept, width, height).save(buffer, "PNG")
    return buffer.getvalue()


def _overlay(kept: bytes, width: int, height: int) -> Image.Image:
    shares = unpack_heatmap(kept)
    size = _bounded_size((width, height), OVERLAY_SIDE)
    smooth = Image.fromarray(shares).resize(size, Image.Resampling.BICUBIC)
    return Image.fromarray(heatmap_to_rgba(np.asarray(smooth).clip(0.0, 1.0)))


def _bounded_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _bounded(image: Image.Image, side: int) -> Image.Image:
    size = _bounded_size(image.size, side)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _jpeg(image: Image.Image, quality: int, *, subsampling: int) -> bytes:
    buffer = io.BytesIO()
    # Not optimized: Pillow would write the file through one buffer, which a photograph full of detail overflows.
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()
