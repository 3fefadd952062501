"""A scale is found by its line and its ticks, and nothing else that is thin, dark or regular."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from derm_core.serving.quality import QualityLimits
from derm_core.serving.ruler_marks import ruler_evidence

LIMIT = QualityLimits().most_ruler
Line = tuple[float, float, float, float]


def evidence(lines: list[Line], *, size: tuple[int, int] = (200, 150), noise: float = 2.0) -> float:
    """Of dark lines, one pixel wide, on skin."""
    image = Image.new("L", (size[0] * 4, size[1] * 4), 180)
    for line in lines:
        ImageDraw.Draw(image).line([4 * place for place in line], fill=60, width=4)
    luma = np.asarray(image.resize(size, Image.Resampling.BOX), np.float32)
    return ruler_evidence(luma + np.random.default_rng(0).normal(0, noise, luma.shape).astype(np.float32))


def scale(x: float, y: float, *, angle: float = 0.0, gap: float = 6.0, ticks: int = 11) -> list[Line]:
    """A bar with ticks on one side, beginning at (x, y)."""
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([np.sin(angle), -np.cos(angle)])
    begin = np.array([x, y])
    feet = [begin + along * gap * number for number in range(ticks)]
    marks = [(*foot, *(foot + across * 5)) for foot in feet]
    return [tuple(map(float, line)) for line in ((*begin, *feet[-1]), *marks)]  # type: ignore[misc]


@pytest.mark.parametrize(
    "lines",
    [
        scale(60, 135),
        scale(110, 138, gap=4.5, ticks=16),
        scale(20, 90, angle=0.6),
        scale(180, 40, angle=np.pi / 2),
        scale(60, 20, gap=8),
    ],
    ids=["below", "fine", "slanted", "upright", "above"],
)
def test_a_scale_is_found_wherever_it_lies_beside_the_middle(lines: list[Line]) -> None:
    assert evidence(lines) > LIMIT


def test_skin_alone_has_no_scale() -> None:
    assert evidence([]) < LIMIT / 2


def test_a_line_without_ticks_is_a_hair() -> None:
    assert evidence([(20.0, 130.0, 180.0, 120.0)]) < LIMIT


def test_hairs_all_over_are_no_scale() -> None:
    random = np.random.default_rng(1)
    ends = random.uniform([0, 0, 0, 0], [200, 150, 200, 150], (25, 4))
    assert evidence([(float(a), float(b), float(c), float(d)) for a, b, c, d in ends]) < LIMIT


def test_ticks_at_odd_distances_are_no_scale() -> None:
    bar, *ticks = scale(40, 135, gap=1.0, ticks=100)
    odd = [ticks[place] for place in (0, 3, 11, 16, 30, 33, 47, 50, 68, 74, 91)]
    assert evidence([bar, *odd]) < LIMIT


def test_what_lies_in_the_middle_is_the_lesion() -> None:
    assert evidence(scale(70, 75)) < LIMIT


@pytest.mark.parametrize("size", [(49, 300), (300, 49), (1, 1)])
def test_a_picture_too_small_to_show_a_scale_shows_none(size: tuple[int, int]) -> None:
    assert ruler_evidence(np.zeros((size[1], size[0]), np.float32)) == 0.0


@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_colour_shows_none(level: int) -> None:
    assert ruler_evidence(np.full((150, 200), level, np.float32)) == 0.0
