"""The one rule by which whatever a predictor is given becomes pixels. Leaves the decoding itself to derm_core.images.

A file (its path, its bytes or an open stream) is decoded with `min_side` = the preprocessing's `decoding_side`, so a
large JPEG is read at a half, a quarter or an eighth of its size, in a fraction of the time. Every answer to a file
goes through this rule, one at a time or in bulk, with a heatmap or without, so all of them see the same pixels. An
image that is already decoded is used as it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, cast

from PIL import ExifTags, Image

from derm_core.images import load_image, open_header

Picture = Image.Image | str | os.PathLike[str] | bytes | BinaryIO
"""What a predictor answers: a decoded image, or a file."""
_LYING = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """Pixels, and the size of the picture they stand for.

    Attributes:
        image: RGB, upright; reduced where the file is a large JPEG.
        size: (width, height) of the picture itself, upright.
    """

    image: Image.Image
    size: tuple[int, int]


def decode(picture: Picture, *, min_side: int) -> DecodedPicture:
    """Returns the pixels of a picture; raises InvalidImageError for a file that cannot be read."""
    if isinstance(picture, Image.Image):
        image = picture if picture.mode == "RGB" else picture.convert("RGB")
        return DecodedPicture(image, image.size)
    # What is no file either, load_image refuses in a sentence.
    if isinstance(picture, str | os.PathLike | bytes) or not hasattr(picture, "read"):
        source = cast("str | os.PathLike[str] | bytes", picture)
    else:
        picture.seek(0)
        source = picture.read()
    image = load_image(source, min_side=min_side)
    return DecodedPicture(image, _full_size(source, image))


def _full_size(source: str | os.PathLike[str] | bytes, image: Image.Image) -> tuple[int, int]:
    """(width, height), upright, of a file whose pixels are `image`, perhaps reduced; from the file's header alone."""
    with open_header(source) as opened:
        width, height = opened.size
        if image.size in ((width, height), (height, width)):
            return image.size
        # Only a JPEG can have been reduced, and its EXIF stands before its pixels.
        return (height, width) if _lies(opened) else (width, height)


def _lies(opened: Image.Image) -> bool:
    """Whether the EXIF orientation swaps width and height; damaged metadata say nothing."""
    try:
        return opened.getexif().get(ExifTags.Base.Orientation) in _LYING
    except Exception:
        return False
