"""The colours, the cover and the contour of heatmaps."""

from __future__ import annotations

import numpy as np
import pytest

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
