"""What a picture's file tells before a pixel is decoded: size, camera, compression. Reads headers only."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, JpegImagePlugin

from derm_core.errors import InvalidImageError
from derm_core.images import FORMAT_NAMES, open_header

_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
_LUMINANCE = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
     51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121,
     120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip
"""The luminance table of ITU-T T.81, annex K.1, row by row: quality 50 of the IJG library."""


@dataclass(frozen=True)
class FileProperties:
    """Plain values from the head of a picture's file; empty, or None, where the file says nothing.

    `width` and `height` are in pixels, as stored; `size` is the file's length in bytes. `quality` is that of the IJG
    library whose luminance table comes nearest, 1 to 100, and `tables` the first digits of a digest over all
    quantisation tables. `density` is the resolution that the header claims, such as "72 x 72"; `camera` is EXIF's make
    and model.
    """

    width: int
    height: int
    size: int
    format: str
    mode: str
    quality: int | None = None
    tables: str = ""
    subsampling: str = ""
    progressive: bool = False
    density: str = ""
    exif: bool = False
    camera: str = ""
    colour_profile: bool = False

    @property
    def bytes_per_pixel(self) -> float:
        """The file's length over its number of pixels."""
        return self.size / (self.width * self.height)


BYTES_PER_PIXEL = "bytes per pixel"
"""The one property that also depends on what a picture shows: fine detail needs more bytes."""


def _compression(file: FileProperties) -> str:
    if file.quality is None:
        return "no JPEG"
    kind = "progressive JPEG" if file.progressive else "JPEG"
    return f"{kind} of quality {file.quality}, {file.subsampling}, tables {file.tables}"


PROPERTIES: Mapping[str, Callable[[FileProperties], str]] = {
    "size in pixels": lambda file: f"{file.width} x {file.height}",
    BYTES_PER_PIXEL: lambda file: f"{file.bytes_per_pixel:.1f}",
    "compression": _compression,
    "camera named in the file": lambda file: (
        file.camera or ("EXIF that names no camera" if file.exif else "no EXIF")
    ),
    "resolution claimed in the header": lambda file: file.density or "none",
    "file format": lambda file: file.format,
    "colour mode": lambda file: file.mode + (" with a colour profile" if file.colour_profile else ""),
}
"""What can be said about a file, and each file's value in words."""
NUMBERS: Mapping[str, Callable[[FileProperties], tuple[float, ...]]] = {
    "size in pixels": lambda file: (file.width, file.height, file.width / file.height),
    BYTES_PER_PIXEL: lambda file: (file.bytes_per_pixel,),
    "compression": lambda file: (file.quality or 0,),
}
"""Those of `PROPERTIES` that have an order, in numbers."""


def read_file_properties(content: bytes) -> FileProperties:
    """Reads the head of a picture's file, given whole.

    Raises:
        InvalidImageError: no picture of an accepted format.
    """
    try:
        # What Pillow has to say about damaged metadata decides nothing here.
        with (
            warnings.catch_warnings(action="ignore"),
            open_header(content) as opened,
        ):
            return _of_header(opened, len(content))
    except Exception as err:
        # As in load_image: what Pillow raises over bytes of strangers is no closed list.
        raise InvalidImageError(
            f"The head of the file cannot be read ({err}). Wanted: {FORMAT_NAMES}."
        ) from err


def jpeg_quality(luminance: np.ndarray) -> int:
    """Returns the quality, 1 to 100, at which the IJG library's luminance table comes nearest.

    Args:
        luminance: int (64,), in any order: only the sum is compared.
    """
    qualities = np.arange(1, 101)
    scale = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    sums = np.clip((_LUMINANCE * scale[:, None] + 50) // 100, 1, 255).sum(axis=1)
    return int(qualities[np.abs(sums - int(luminance.sum())).argmin()])


def _of_header(opened: Image.Image, size: int) -> FileProperties:
    exif = _exif(opened)
    density = opened.info.get("jfif_density") or opened.info.get("dpi")
    named = [str(exif[tag]).strip("\0 ") for tag in (ExifTags.Base.Make, ExifTags.Base.Model) if tag in exif]
    jpeg = opened if isinstance(opened, JpegImagePlugin.JpegImageFile) and opened.quantization else None
    tables = [list(table) for _, table in sorted(jpeg.quantization.items())] if jpeg else []
    return FileProperties(
        width=opened.width,
        height=opened.height,
        size=size,
        format=opened.format or "",
        mode=opened.mode,
        quality=jpeg_quality(np.array(tables[0])) if tables else None,
        tables=hashlib.sha256(repr(tables).encode()).hexdigest()[:8] if tables else "",
        subsampling=_SUBSAMPLING.get(JpegImagePlugin.get_sampling(jpeg), "other") if jpeg else "",
        progressive=bool(opened.info.get("progressive")),
        density=f"{density[0]:g} x {density[1]:g}" if density else "",
        exif=bool(exif),
        camera=" ".join(filter(None, named)),
        colour_profile=bool(opened.info.get("icc_profile")),
    )


def _exif(opened: Image.Image) -> dict[int, object]:
    try:
        return dict(opened.getexif())
    except Exception:
        # Damaged metadata is metadata nobody can use; the picture may still be good.
        return {}
