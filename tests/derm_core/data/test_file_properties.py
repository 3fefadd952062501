"""The head of a file tells size, camera and compression, whatever the format, and never more than it holds."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ExifTags, Image

from derm_core.data.file_properties import (
    BYTES_PER_PIXEL,
    NUMBERS,
    PROPERTIES,
    jpeg_quality,
    read_file_properties,
)
from derm_core.errors import InvalidImageError
from tests.derm_core.data.drawn import encoded, lesion


@pytest.mark.parametrize("quality", [10, 35, 50, 75, 90, 98])
def test_the_quality_that_a_jpeg_was_saved_with_is_found(quality: int) -> None:
    found = read_file_properties(encoded(lesion(1), quality=quality))
    assert found.quality == quality
    assert (found.width, found.height, found.format, found.mode) == (120, 90, "JPEG", "RGB")


def test_a_table_of_ones_is_quality_100() -> None:
    assert jpeg_quality(np.ones(64, dtype=int)) == 100


@pytest.mark.parametrize(("number", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_subsampling_and_the_order_of_scans_are_told(number: int, name: str) -> None:
    found = read_file_properties(encoded(lesion(1), subsampling=number, progressive=True))
    assert (found.subsampling, found.progressive) == (name, True)
    assert not read_file_properties(encoded(lesion(1))).progressive


def test_camera_density_and_profile_are_told_where_the_file_names_them() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker "
    exif[ExifTags.Base.Model] = "D90"
    found = read_file_properties(encoded(lesion(1), exif=exif, dpi=(300, 300), icc_profile=b"profile"))
    assert (found.camera, found.exif, found.density, found.colour_profile) == (
        "Maker D90",
        True,
        "300 x 300",
        True,
    )
    plain = read_file_properties(encoded(lesion(1)))
    assert (plain.camera, plain.exif, plain.colour_profile) == ("", False, False)


def test_a_png_has_no_compression_to_tell() -> None:
    content = encoded(lesion(1, size=(8, 6)), "PNG")
    found = read_file_properties(content)
    assert (found.quality, found.tables, found.subsampling) == (None, "", "")
    assert found.bytes_per_pixel == len(content) / 48
    assert PROPERTIES["compression"](found) == "no JPEG"
    assert NUMBERS[BYTES_PER_PIXEL](found) == (len(content) / 48,)


def test_every_property_has_words() -> None:
    found = read_file_properties(encoded(lesion(1), quality=90))
    words = {name: value(found) for name, value in PROPERTIES.items()}
    assert all(words.values())
    assert words["size in pixels"] == "120 x 90"
    assert words["compression"].startswith("JPEG of quality 90, 4:2:0, tables ")
    assert words["camera named in the file"] == "no EXIF"


@pytest.mark.parametrize("content", [b"", b"text", b"GIF89a" + bytes(20)])
def test_what_is_no_picture_is_refused_with_what_is_wanted(content: bytes) -> None:
    with pytest.raises(InvalidImageError, match="Wanted: JPEG"):
        read_file_properties(content)
