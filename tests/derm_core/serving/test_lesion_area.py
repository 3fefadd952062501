"""The part of a picture that a lesion covers: right on drawn ones, and withheld where it cannot be told."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from derm_core import lesion_share

SKIN, BROWN = (224, 180, 160), (110, 66, 50)
SIZE = (600, 450)


def drawn(
    radius: float, *, place: tuple[float, float] = (300, 225), colour: tuple[int, ...] = BROWN
) -> Image.Image:
    """A disc of one colour on skin with a little noise; the radius in pixels."""
    image = Image.new("RGB", SIZE, SKIN)
    x, y = place
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    noise = np.random.default_rng(0).normal(0, 3, (SIZE[1], SIZE[0], 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def share_of(radius: float) -> float:
    return math.pi * radius**2 / (SIZE[0] * SIZE[1])


@pytest.mark.parametrize("radius", [40, 80, 130, 180])
def test_the_share_of_a_drawn_lesion_is_right_within_two_points(radius: float) -> None:
    assert lesion_share(drawn(radius)) == pytest.approx(share_of(radius), abs=0.02)


@pytest.mark.parametrize("scale", [0.5, 3])
def test_the_share_does_not_depend_on_the_size_of_the_file(scale: float) -> None:
    image = drawn(100)
    other = image.resize((round(SIZE[0] * scale), round(SIZE[1] * scale)))
    assert lesion_share(other) == pytest.approx(lesion_share(image), abs=0.01)


def test_a_red_lesion_counts_like_a_brown_one() -> None:
    assert lesion_share(drawn(100, colour=(200, 70, 80))) == pytest.approx(share_of(100), abs=0.02)


def test_hairs_are_no_part_of_it() -> None:
    image = drawn(90)
    draw = ImageDraw.Draw(image)
    for x in range(0, 600, 60):
        draw.line((x, 0, x + 90, 450), fill=(40, 25, 20), width=4)
    assert lesion_share(image) == pytest.approx(share_of(90), abs=0.03)


def test_black_corners_of_a_round_view_are_no_lesion() -> None:
    view = Image.new("L", SIZE, 0)
    ImageDraw.Draw(view).ellipse((10, -65, 590, 515), fill=255)
    image = Image.composite(drawn(90), Image.new("RGB", SIZE, "black"), view)
    assert lesion_share(image) == pytest.approx(share_of(90), abs=0.03)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", SIZE, SKIN),
        drawn(0.1),
        drawn(90, colour=(214, 171, 152)),
        drawn(260, place=(150, 225)),
        Image.new("RGB", SIZE, "black"),
        Image.new("RGB", (1, 1), SKIN),
        Image.fromarray(np.random.default_rng(1).integers(0, 256, (450, 600, 3), dtype=np.uint8)),
    ],
    ids=["skin alone", "noise", "hardly darker", "over the edge", "black", "one pixel", "confetti"],
)
def test_nothing_is_told_where_no_outline_can_be_made_out(image: Image.Image) -> None:
    assert lesion_share(image) is None


def test_the_same_picture_gives_the_same_share() -> None:
    assert lesion_share(drawn(77)) == lesion_share(drawn(77))
