"""Descriptors turn as pictures do, and correlation is the plain formula at every shift."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from derm_core.data.picture_detail import (
    LARGEST_SHIFT,
    TURNS,
    ZOOMS,
    centre_squares,
    correlate,
    correlate_zoomed,
    describe,
    describe_turned,
    detail_maps,
    turned,
)
from derm_core.data.picture_prints import SIDE
from tests.derm_core.data.drawn import lesion


def prints(*seeds: int) -> np.ndarray:
    return np.stack([np.asarray(lesion(seed).convert("L").resize((SIDE, SIDE))) for seed in seeds])


@pytest.mark.parametrize("turn", range(8))
def test_the_descriptor_of_a_turned_picture_is_the_turned_descriptor(turn: int) -> None:
    pictures = prints(1, 2)
    expected = describe(detail_maps(np.ascontiguousarray(turned(pictures, turn))))
    np.testing.assert_allclose(describe_turned(describe(detail_maps(pictures)), turn), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "transpose"),
    [
        ("mirrored", Image.Transpose.FLIP_LEFT_RIGHT),
        ("turned by 180°", Image.Transpose.ROTATE_180),
        ("mirrored and turned by 180°", Image.Transpose.FLIP_TOP_BOTTOM),
        ("turned by 90°", Image.Transpose.ROTATE_270),
        ("turned by 270°", Image.Transpose.ROTATE_90),
        ("mirrored and turned by 90°", Image.Transpose.TRANSPOSE),
        ("mirrored and turned by 270°", Image.Transpose.TRANSVERSE),
    ],
)
def test_turns_have_their_right_names(name: str, transpose: Image.Transpose) -> None:
    picture = prints(1)[0]
    expected = np.asarray(Image.fromarray(picture).transpose(transpose))
    np.testing.assert_array_equal(turned(picture, TURNS.index(name)), expected)


def test_descriptors_have_length_one_and_a_blank_picture_has_none() -> None:
    blank = np.full((1, SIDE, SIDE), 120, dtype=np.uint8)
    lengths = np.linalg.norm(describe(detail_maps(np.concatenate([prints(1, 2), blank]))), axis=(1, 2))
    np.testing.assert_allclose(lengths, [1, 1, 0], atol=0.01)


def test_detail_does_not_depend_on_brightness_and_hardly_on_contrast() -> None:
    grey = prints(1).astype(np.float32)
    np.testing.assert_allclose(detail_maps(grey + 20), detail_maps(grey), atol=1e-3)
    assert correlate(detail_maps(0.7 * grey), detail_maps(grey))[0] > 0.99


def test_correlation_is_the_largest_over_all_shifts() -> None:
    first, second = detail_maps(prints(1, 3)), detail_maps(prints(2, 4))
    margin = LARGEST_SHIFT
    for place in range(2):
        middle = first[place, margin:-margin, margin:-margin].ravel()
        inner = SIDE - 2 * margin
        parts = [
            second[place, top : top + inner, left : left + inner].ravel()
            for top in range(2 * margin + 1)
            for left in range(2 * margin + 1)
        ]
        expected = max(np.corrcoef(middle, part)[0, 1] for part in parts)
        assert correlate(first, second)[place] == pytest.approx(expected, abs=1e-4)


def test_a_shifted_picture_agrees_wholly_up_to_the_largest_shift() -> None:
    detail = detail_maps(prints(1, 2))
    assert correlate(detail, np.roll(detail, (LARGEST_SHIFT, -3), axis=(1, 2))) == pytest.approx(
        [1, 1], abs=1e-3
    )
    assert correlate(detail, np.roll(detail, 12, axis=1)).max() < 0.5


def test_a_picture_without_detail_agrees_with_nothing() -> None:
    blank = np.zeros((1, SIDE, SIDE), dtype=np.float32)
    assert correlate(blank, detail_maps(prints(1))) == pytest.approx([0])
    assert correlate(detail_maps(prints(1)), blank) == pytest.approx([0])


def test_zooming_tells_which_of_the_two_was_cropped() -> None:
    whole = lesion(1, size=(400, 400))
    edge = round(200 * (1 - ZOOMS[1]))
    cropped = whole.crop((edge, edge, 400 - edge, 400 - edge))
    maps = [detail_maps(np.asarray(one.convert("L").resize((SIDE, SIDE)))[None]) for one in (whole, cropped)]
    for first, second, expected in ((0, 1, -ZOOMS[1]), (1, 0, ZOOMS[1])):
        score, shown = correlate_zoomed(maps[first], maps[second])
        assert score[0] > 0.75 > correlate(maps[first], maps[second])[0]
        assert shown[0] == expected


@pytest.mark.parametrize("size", [(160, 120), (90, 120), (100, 100)])
def test_the_centre_square_is_cut_from_the_squeezed_picture(size: tuple[int, int]) -> None:
    picture = lesion(1, size=(4 * size[0], 4 * size[1])).convert("L")
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    expected = np.asarray(picture.crop((left, top, left + short, top + short)).resize((SIDE, SIDE)))
    whole = np.asarray(picture.resize((SIDE, SIDE)))
    (square,) = centre_squares(whole[None], np.array([picture.width]), np.array([picture.height]))
    assert np.abs(square.astype(int) - expected.astype(int)).mean() < 4
    assert size[0] != size[1] or np.array_equal(square, whole)
