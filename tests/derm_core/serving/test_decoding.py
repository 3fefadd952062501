"""decoding.py: what a predictor may be given, and what it says to anything else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from derm_core.errors import InvalidImageError
from derm_core.serving.decoding import decode


@pytest.mark.parametrize("given", [None, 3, ["a.jpg"]])
def test_what_is_neither_a_picture_nor_a_file_is_refused_with_what_was_wanted(given: Any) -> None:
    with pytest.raises(InvalidImageError, match=r"Wanted: a path, bytes or an open binary file"):
        decode(given, min_side=100)


def test_a_path_its_bytes_and_an_open_file_are_the_same_picture(tmp_path: Path) -> None:
    file = tmp_path / "skin.png"
    Image.effect_noise((40, 30), 60).convert("RGB").save(file)
    content = file.read_bytes()
    found = [decode(given, min_side=100) for given in (file, str(file), content, io.BytesIO(content))]
    assert {picture.size for picture in found} == {(40, 30)}
    assert len({picture.image.tobytes() for picture in found}) == 1


def test_a_picture_that_is_decoded_is_used_as_it_is() -> None:
    image = Image.new("RGB", (9, 5))
    assert decode(image, min_side=100).image is image
    assert decode(image.convert("L"), min_side=100).image.mode == "RGB"
