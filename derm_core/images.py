"""The only door for pixels: any picture file becomes an upright RGB image of bounded size, or one clear sentence."""

from __future__ import annotations

import functools
import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from derm_core.errors import InvalidImageError
from derm_core.heic import HeicError, coded_pixels, is_heic
from derm_core.upright import upright_rgb

ImageSource = str | os.PathLike[str] | bytes | BinaryIO

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
"""The only decoders that are ever tried, whatever a file is called; and the one of HEIC, where pillow-heif is there."""
FORMAT_NAMES = "JPEG, PNG, WebP, TIFF, BMP or HEIC"
_HEIF = "HEIF"
MAX_PIXELS = 64_000_000
"""Larger pictures are refused before a pixel is decoded."""
MAX_SCANS = 40
"""A JPEG may be drawn in several scans; cameras and editors use up to about twenty. Each costs as much as the whole
picture however few bytes it has, so that a small file of many thousands would keep a processor busy for hours."""
_SCAN_MARKER = b"\xff\xda"
_CHUNK_BYTES = 1 << 20
_HEIC_THREADS = 2


def load_image(
    source: ImageSource, *, max_pixels: int = MAX_PIXELS, min_side: int | None = None
) -> Image.Image:
    """Decodes a picture.

    Args:
        source: a path, the bytes of a file, or an open binary file, which is read from its beginning and left open.
            HEIC pictures are read where pillow-heif is installed.
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
        with _without_warnings(), open_header(source, max_pixels=max_pixels) as opened:
            _check_size(opened, name, max_pixels)
            _check_scans(opened, name)
            if min_side is not None and opened.format in ("JPEG", "MPO"):
                # A picture that is already small stays whole: draft() never goes below the size it is given.
                opened.draft("RGB", _draft_size(opened.size, min_side))
            opened.load()
            return upright_rgb(opened)
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
            f"{_name_of(source, unnamed='The file')} is not a picture that can be read ({_length_of(source)}). "
            f"Wanted: {FORMAT_NAMES}."
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
def open_header(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> Iterator[ImageFile.ImageFile]:
    """Gives a picture of which the header alone is read: its size as it is stored, format and metadata.

    Raises InvalidImageError for a HEIC file that cannot be read or asks for too much work, and else what Pillow raises.
    """
    with _opened(source) as stream, _image(stream, _name_of(source), max_pixels) as opened:
        yield opened


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


@contextmanager
def _opened(source: ImageSource) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        with open(source, "rb") as stream:
            yield stream
    elif not hasattr(source, "read"):
        raise InvalidImageError(
            f"A picture was given as {type(source).__name__}. Wanted: a path, bytes or an open binary file."
        )
    elif source.seekable():
        source.seek(0)
        yield source
    else:
        yield io.BytesIO(source.read())


def _image(stream: BinaryIO, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Returns a picture whose header is read."""
    header = stream.read(12)
    stream.seek(0)
    if not is_heic(header):
        return Image.open(stream, formats=FORMATS)
    if not _can_read_heic():
        raise InvalidImageError(
            f"{name} is a HEIC picture, which this installation cannot read. Save it as JPEG, or install pillow-heif."
        )
    try:
        pixels = coded_pixels(stream)
    except HeicError as err:
        raise InvalidImageError(
            f"{name} is no HEIC picture that can be read ({err}). Save it as JPEG, or copy it again from the camera."
        ) from err
    # Tiles may overhang the picture that they make up, and an alpha plane comes on top; no camera doubles it.
    if pixels > 2 * max_pixels:
        raise InvalidImageError(
            f"{name} is made up of {pixels / 1e6:.0f} megapixels in tiles; at most {2 * max_pixels / 1e6:.0f} "
            "are decoded. Save it anew as JPEG."
        )
    stream.seek(0)
    return Image.open(stream, formats=(_HEIF,))


@functools.cache
def _can_read_heic() -> bool:
    """Gives Pillow its decoder of HEIC on first use, and says whether there is one."""
    try:
        import pillow_heif
    except ImportError:
        return False
    # What lies beside the picture is not looked at: depth, mattes, gain maps; nor is a small copy taken for it.
    pillow_heif.register_heif_opener(
        thumbnails=False, depth_images=False, aux_images=False, decode_threads=_HEIC_THREADS
    )
    return True


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


def _name_of(source: ImageSource, unnamed: str = "The picture") -> str:
    return Path(source).name or repr(str(source)) if isinstance(source, str | os.PathLike) else unnamed


def _length_of(source: ImageSource) -> str:
    if isinstance(source, bytes):
        return f"{len(source):,} bytes"
    if isinstance(source, str | os.PathLike):
        return f"{Path(source).stat().st_size:,} bytes"
    return "unknown content"
