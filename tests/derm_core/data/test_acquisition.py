"""Dark corners are told from dark lesions, hair and shadows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from derm_core.data.acquisition import FULL_FRAME, ROUND_FIELD, acquisition_of

SKIN = (220, 170, 150)


def photograph(size: tuple[int, int] = (200, 150)) -> Image.Image:
    """Skin with a dark lesion in the middle."""
    picture = Image.new("RGB", size, SKIN)
    width, height = size
    box = (0.35 * width, 0.35 * height, 0.65 * width, 0.65 * height)
    ImageDraw.Draw(picture).ellipse(box, fill=(70, 40, 30))
    return picture


def in_round_field(picture: Image.Image, share: float = 1.05) -> Image.Image:
    """The same through a tube whose field is this share of the picture's width."""
    width, height = picture.size
    mask = Image.new("L", picture.size, 0)
    radius = share * width / 2
    ImageDraw.Draw(mask).ellipse(
        (width / 2 - radius, height / 2 - radius, width / 2 + radius, height / 2 + radius), fill=255
    )
    return Image.composite(picture, Image.new("RGB", picture.size, (8, 6, 10)), mask)


@pytest.mark.parametrize("size", [(200, 150), (600, 450), (224, 224), (450, 600)])
def test_a_round_field_is_told_from_a_full_frame(size: tuple[int, int]) -> None:
    assert acquisition_of(photograph(size)) == FULL_FRAME
    assert acquisition_of(in_round_field(photograph(size))) == ROUND_FIELD


def test_one_or_two_dark_corners_are_hair_or_shadow() -> None:
    picture = photograph()
    ImageDraw.Draw(picture).rectangle((0, 0, 200, 30), fill=(10, 10, 10))
    assert acquisition_of(picture) == FULL_FRAME


def test_light_and_mode_do_not_matter() -> None:
    dark = Image.fromarray((np.asarray(in_round_field(photograph())) * 0.4).astype(np.uint8))
    assert acquisition_of(dark) == ROUND_FIELD
    assert acquisition_of(dark.convert("L")) == ROUND_FIELD
    assert acquisition_of(Image.new("RGB", (50, 40))) == FULL_FRAME
