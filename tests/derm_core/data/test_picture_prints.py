"""A print holds what the audit needs of a picture, however it is stored, in how many processes it is taken."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from derm_core.data.picture_prints import SIDE, take_prints
from derm_core.data.source import list_files
from tests.derm_core.data.drawn import encoded, lesion
from tests.derm_core.data.sources import write_files, write_zip


def test_a_print_is_grey_small_and_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    sideways = lesion(1).transpose(Image.Transpose.ROTATE_90)
    files = {"1.jpg": encoded(lesion(1), quality=95), "2.jpg": encoded(sideways, quality=95, exif=exif)}
    upright, turned = take_prints(list_files(write_files(tmp_path, files)))
    assert (turned.width, turned.height) == (upright.width, upright.height) == (120, 90)
    for found in (upright, turned):
        assert found.pixels is not None
        assert (found.pixels.shape, found.pixels.dtype) == ((SIDE, SIDE), np.uint8)
    assert np.abs(upright.pixels.astype(int) - turned.pixels.astype(int)).mean() < 3  # type: ignore[union-attr]
    assert upright.digest == hashlib.sha256(files["1.jpg"]).hexdigest()
    assert turned.properties is not None
    assert turned.properties.width == 90


def test_what_cannot_be_read_has_a_reason_and_ends_nothing(tmp_path: Path) -> None:
    cut = encoded(lesion(1, size=(400, 300)))[:3000]
    files = {"cut.jpg": cut, "empty.jpg": b"", "fine.jpg": encoded(lesion(2)), "text.jpg": b"text"}
    prints = list(take_prints(list_files(write_files(tmp_path, files))))
    assert [bool(found.error) for found in prints] == [True, True, False, True]
    assert prints[0].pixels is None
    assert "cut short" in prints[0].error
    assert prints[3].digest == hashlib.sha256(b"text").hexdigest()


def test_several_processes_take_the_same_prints_as_one(tmp_path: Path) -> None:
    files = {f"{number:03d}.png": encoded(lesion(number, size=(12, 9)), "PNG") for number in range(260)}
    listed = list_files(write_zip(tmp_path / "set.zip", files))
    alone, shared = (list(take_prints(listed, workers=workers)) for workers in (1, 2))
    assert [found.digest for found in shared] == [
        hashlib.sha256(files[name]).hexdigest() for name in sorted(files)
    ]
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
