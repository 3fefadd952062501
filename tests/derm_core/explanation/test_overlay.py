"""The colours, the cover and the contour of heatmaps."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from derm_core.explanation import overlay
from derm_core.explanation.overlay import heatmap_to_rgba

FULL_COVER = round(255 * 0.88)


def ramp(width: int = 1001) -> np.ndarray:
    """A heatmap that rises from 0 to its peak from left to right, too flat for its contour to be wide."""
    return np.tile(np.linspace(0, 1, width, dtype=np.float32), (4, 1))


def test_the_overlay_is_rgba_bytes_of_the_same_size() -> None:
    rgba = heatmap_to_rgba(np.random.default_rng(0).random((30, 40), dtype=np.float32))
    assert rgba.shape == (30, 40, 4)
    assert rgba.dtype == np.uint8


def test_a_pixel_below_12_percent_of_the_peak_is_transparent() -> None:
    cover = heatmap_to_rgba(ramp())[0, :, 3]
    assert not cover[:121].any()
    assert cover[160] > 0


def test_cover_rises_to_88_percent_and_never_falls_but_at_the_contour() -> None:
    cover = heatmap_to_rgba(ramp())[0, :, 3].astype(int)
    assert cover[-1] == FULL_COVER
    away = np.r_[cover[:495], cover[505:]]
    assert (np.diff(away) >= 0).all()
    assert away.max() == FULL_COVER


@pytest.mark.parametrize(
    ("share", "colour"), [(0.2, "105066"), (0.4, "117c7a"), (0.6, "29aa80"), (0.8, "8ad07b"), (1.0, "d6f46c")]
)
def test_the_colours_are_those_of_the_design(share: float, colour: str) -> None:
    found = heatmap_to_rgba(ramp())[0, round(1000 * share), :3].astype(int)
    assert np.abs(found - [int(colour[i : i + 2], 16) for i in (0, 2, 4)]).max() <= 1


def test_a_white_contour_with_a_dark_outer_edge_stands_at_half_of_the_peak() -> None:
    rows, columns = np.mgrid[:900, :900]
    distance = np.hypot(rows - 450, columns - 450)
    rgba = heatmap_to_rgba(np.clip(1 - distance / 401, 0, 1).astype(np.float32))
    line = rgba[450, 450:].astype(int)
    white = np.flatnonzero((line[:, :3] > 235).all(axis=1))
    # Half of the peak lies 200.5 pixels from the centre; the contour is 2 pixels wide there, on the inner side.
    assert white.tolist() == [199, 200]
    assert line[201, :3].sum() < line[205, :3].sum() / 1.5  # the edge, beside the ramp
    assert (line[white, 3] > 225).all()


def test_only_shares_of_the_peak_count() -> None:
    heatmap = np.random.default_rng(1).random((40, 50), dtype=np.float32)
    assert np.array_equal(heatmap_to_rgba(heatmap * 4), heatmap_to_rgba(heatmap))


def test_a_heatmap_of_zeros_is_fully_transparent() -> None:
    assert not heatmap_to_rgba(np.zeros((5, 6), np.float32)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2)])
def test_the_smallest_heatmaps_have_an_overlay(shape: tuple[int, int]) -> None:
    assert heatmap_to_rgba(np.ones(shape, np.float32))[0, 0, 3] == FULL_COVER


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 2, 2), np.float32),
        np.zeros((0, 4), np.float32),
        np.full((2, 2), np.nan, np.float32),
        np.full((2, 2), np.inf, np.float32),
        np.full((2, 2), -1, np.float32),
    ],
)
def test_what_is_no_heatmap_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="A heatmap"):
        heatmap_to_rgba(wrong)


def test_the_heatmap_itself_is_not_changed() -> None:
    heatmap = ramp()
    before = heatmap.copy()
    heatmap_to_rgba(heatmap)
    assert np.array_equal(heatmap, before)


def plainly_drawn(heatmap: np.ndarray) -> np.ndarray:
    """The overlay with its contour computed at every pixel, as the definition reads."""
    share = heatmap / heatmap.max()
    rgba = overlay._ramp_table()[(share * 1023 + 0.5).astype(np.intp)]
    height, width = share.shape
    white = max(1.0, min(height, width) / 450)
    dark = max(1.0, white / 2)
    down, right = np.gradient(share)
    distance = (share - 0.5) / np.maximum(np.hypot(down, right), 1e-6)
    for colour, cover, start, end in (
        (overlay.EDGE, overlay.EDGE_COVER, -dark, 0.0),
        (overlay.CONTOUR, overlay.CONTOUR_COVER, 0.0, white),
    ):
        band = np.clip(np.minimum(distance + 0.5, end) - np.maximum(distance - 0.5, start), 0, 1)
        touched = (cover * band) > 0
        top = (cover * band)[touched][:, None]
        under = rgba[touched].astype(np.float32)
        under_cover = under[:, 3:] / 255
        alpha = top + under_cover * (1 - top)
        rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], np.float32)
        mixed = (top * rgb + under_cover * (1 - top) * under[:, :3]) / alpha
        rgba[touched] = np.concatenate([mixed, 255 * alpha], axis=1).round().astype(np.uint8)
    return rgba


@pytest.mark.parametrize("size", [(224, 224), (600, 450), (1024, 768), (2, 9), (31, 2), (480, 1100)])
@pytest.mark.parametrize("cells", [(7, 7), (2, 3), (14, 14)])
def test_only_pixels_near_the_line_are_drawn_and_every_byte_is_that_of_all(
    size: tuple[int, int], cells: tuple[int, int]
) -> None:
    coarse = np.random.default_rng(sum(size)).random(cells, dtype=np.float32) ** 2
    heatmap = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR))
    assert np.array_equal(heatmap_to_rgba(heatmap), plainly_drawn(heatmap))


def test_every_byte_is_the_same_on_plateaus_and_noise() -> None:
    steps = np.repeat(np.repeat(np.float32([[0, 0.5, 1], [0.5, 0.5, 0.25], [1, 0, 0.5]]), 20, 0), 30, 1)
    noise = np.random.default_rng(3).random((90, 70), dtype=np.float32)
    for heatmap in (steps, noise, np.ones((6, 8), np.float32), ramp()):
        assert np.array_equal(heatmap_to_rgba(heatmap), plainly_drawn(heatmap))
