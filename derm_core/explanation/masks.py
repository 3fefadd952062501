"""Experts' outlines of lesions, from a folder or a zip archive: one 8-bit picture for each photograph.

HAM10000's (Tschandl et al., Nat Med 26:1229, 2020) are named after the photograph, as `ISIC_0024306_segmentation.png`;
`ISIC_0024306.png` will do as well. Above 127 is inside. A dataset folder may hold them as `masks/` beside `images/`.
"""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from derm_core.data.source import SourceFile, is_picture, list_files
from derm_core.errors import DatasetError, DermError

MASKS_NAME = "masks"
"""The folder of a dataset that may hold them."""
_SUFFIX = "_segmentation"
_INSIDE_ABOVE = 127
_ASPECT_SLACK = 0.02


class LesionMasks:
    """The outlines found in one place.

    Args:
        place: a folder, with folders below it, or a zip archive.

    Raises:
        DatasetError: there is no such place, or no picture in it.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._files: dict[str, SourceFile] = {
            file.path.stem.removesuffix(_SUFFIX): file for file in list_files(place) if is_picture(file.path)
        }
        if not self._files:
            raise DatasetError(f"{place} holds no masks. Wanted: pictures such as ISIC_0024306{_SUFFIX}.png.")

    def __contains__(self, image: str) -> bool:
        return PurePosixPath(image).stem in self._files

    def mask(self, image: str, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Returns the outline of one photograph, resized to it: bool (H, W), true inside.

        Args:
            image: the photograph's file name.
            size: its (width, height).

        Raises:
            DatasetError: there is no outline for it, or the outline cannot be read or is of another shape.
        """
        if image not in self:
            raise DatasetError(f"{self.place} has no mask for {image}. Leave the photograph out.")
        file = self._files[PurePosixPath(image).stem]
        try:
            with Image.open(io.BytesIO(file.read_bytes()), formats=("PNG", "JPEG", "BMP", "TIFF")) as opened:
                drawn = opened.convert("L")
        except (OSError, SyntaxError, ValueError, DermError) as err:
            raise DatasetError(f"The mask {file.member} in {self.place} cannot be read ({err}).") from err
        width, height = size
        if abs(drawn.width * height / (drawn.height * width) - 1) > _ASPECT_SLACK:
            raise DatasetError(
                f"The mask {file.member} has {drawn.width} x {drawn.height} pixels and {image} {width} x {height}: "
                "they are not of one shape. Use the masks that belong to these photographs."
            )
        if drawn.size != size:
            drawn = drawn.resize(size, Image.Resampling.NEAREST)
        return np.asarray(drawn) > _INSIDE_ABOVE


def find_masks(dataset: Path, place: Path | None = None) -> LesionMasks:
    """Returns the outlines in `place` or, without one, in the dataset's own `masks/`.

    Raises:
        DatasetError: there are none.
    """
    if place is None and not (dataset / MASKS_NAME).is_dir():
        raise DatasetError(
            f"{dataset} holds no {MASKS_NAME}/. Name a folder or a zip archive of masks, such as "
            "HAM10000_segmentations_lesion_tschandl.zip."
        )
    return LesionMasks(place or dataset / MASKS_NAME)
