"""The only door for pixels: any picture file becomes an upright RGB image of bounded size, or one clear sentence."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from derm_core.errors import InvalidImageError

ImageSource = str | os.PathLike[str] | bytes | BinaryIO

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
"""The only decoders that are ever tried, whatever a file is called."""
MAX_PIXELS = 64_000_000
"""Larger pictures are refused before a pixel is decoded."""
MAX_SCANS = 40
"""A JPEG may be drawn in several scans; cameras and editors use up to about twenty. Each costs as much as the whole
picture however few bytes it has, so that a small file of many thousands would keep a processor busy for hours."""
_SCAN_MARKER = b"\xff\xda"
_CHUNK_BYTES = 1 << 20
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


def load_image(
    source: ImageSource, *, max_pixels: int = MAX_PIXELS, min_side: int | None = None
) -> Image.Image:
    """Decodes a picture.

    Args:
        source: a path, the bytes of a file, or an open binary file, which is read from its beginning and left open.
        max_pixels: pictures with more pixels than this are refused from their header alone.
        min_side: where only a small version is needed, the short side that must remain: a JPEG may then be decoded at
            1/2, 1/4 or 1/8 of its size (never below this), in a fraction of the time and memory.

    Returns:
        An RGB image, turned upright by its EXIF orientation, without metadata. Transparency lies on white; of several
        frames, the first.

    Raises:
        InvalidImageError: not a picture, not an accepted format, cut short, or too large. A path that does not exist
            raises it too, with the path.
    """
    name = _name_of(source)
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        with _without_warnings(), Image.open(stream, formats=FORMATS) as opened:
            _check_size(opened, name, max_pixels)
            _check_scans(opened, name)
            if min_side is not None and opened.format in ("JPEG", "MPO"):
                # A picture that is already small stays whole: draft() never goes below the size it is given.
                opened.draft("RGB", _draft_size(opened.size, min_side))
            opened.load()
            return _without_metadata(_to_rgb(_upright(opened)))
    except InvalidImageError:
        raise
    except FileNotFoundError as err:
        raise InvalidImageError(f"{name} does not exist. Check the path.") from err
    except IsADirectoryError as err:
        raise InvalidImageError(f"{name} is a folder, not a picture. Name the pictures in it.") from err
    except PermissionError as err:
        raise InvalidImageError(f"{name} must not be read ({err.strerror}). Change its permissions.") from err
    except UnidentifiedImageError as err:
        raise InvalidImageError(
            f"{name} is not a picture that can be read ({_length_of(source)}). Wanted: {_formats()}."
        ) from err
    except Image.DecompressionBombError as err:
        # Pillow has a limit of its own, above which it opens nothing; it knows the size, but tells it in words only.
        raise InvalidImageError(
            f"{name} has far too many pixels; at most {max_pixels / 1e6:.0f} megapixels are accepted. "
            "Save a smaller copy."
        ) from err
    except Exception as err:
        # The bytes come from strangers, and what Pillow's decoders raise over damaged ones is no closed list.
        raise InvalidImageError(
            f"{name} is damaged or cut short ({err}). Copy it again from the camera, or save it anew as JPEG or PNG."
        ) from err


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silences Pillow's warnings about damaged metadata and large pictures, which are decided here.

    The filters belong to the whole process: the first thread in sets them and the last one out puts them back.
    """
    global _threads_inside, _filters
    with _lock:
        if _threads_inside == 0:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _threads_inside += 1
    try:
        yield
    finally:
        with _lock:
            _threads_inside -= 1
            if _threads_inside == 0:
                _filters.__exit__(None, None, None)


_lock = threading.Lock()
_threads_inside = 0
_filters = warnings.catch_warnings()


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise InvalidImageError(
            f"{name} has {width} x {height} pixels ({width * height / 1e6:.0f} megapixels); "
            f"at most {max_pixels / 1e6:.0f} are accepted. Save a smaller copy."
        )


def _check_scans(image: ImageFile.ImageFile, name: str) -> None:
    """Refuses a JPEG of more than MAX_SCANS scans; within a scan's data the marker's bytes cannot stand together."""
    if image.format not in ("JPEG", "MPO") or image.fp is None:
        return
    place = image.fp.tell()
    image.fp.seek(0)
    scans, before = 0, b""
    while chunk := image.fp.read(_CHUNK_BYTES):
        scans += (before + chunk).count(_SCAN_MARKER)
        before = chunk[-1:]
    image.fp.seek(place)
    if scans > MAX_SCANS:
        raise InvalidImageError(
            f"{name} is drawn in {scans} scans; at most {MAX_SCANS} are accepted. Save it anew as JPEG or PNG."
        )


def _draft_size(size: tuple[int, int], min_side: int) -> tuple[int, int]:
    scale = min_side / min(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


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


def _without_metadata(image: Image.Image) -> Image.Image:
    image.info = {}
    return image


def _name_of(source: ImageSource) -> str:
    if isinstance(source, str | os.PathLike):
        return Path(source).name
    return "The picture"


def _length_of(source: ImageSource) -> str:
    if isinstance(source, bytes):
        return f"{len(source)} bytes"
    if isinstance(source, str | os.PathLike):
        return f"{Path(source).stat().st_size} bytes"
    return "unknown content"


def _formats() -> str:
    return f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
