"""Heatmaps as pictures to lay over the photograph: colour, cover and contour. Computes no heatmap.

The ramp, the clear range and the contour are those of the product's design tokens (`--heat-0` to `--heat-6`): green,
because blue, grey, red, brown, black, white and yellow all mean something in dermoscopy.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

RAMP_STOPS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Shares of the peak at which the colours of `RAMP` stand; between them colours are interpolated."""
RAMP = ("#12264a", "#105066", "#117c7a", "#1d937e", "#29aa80", "#8ad07b", "#d6f46c")
CLEAR_BELOW = 0.12
"""Below this share of the peak a pixel is transparent."""
FULL_FROM = 0.62
"""From this share of the peak on a pixel has the full cover."""
COVER = 0.88
CONTOUR_AT = 0.5
CONTOUR, CONTOUR_COVER = "#ffffff", 0.92
EDGE, EDGE_COVER = "#0a1e28", 0.59

_LEVELS = 1024


def heatmap_to_rgba(heatmap: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours a heatmap.

    Args:
        heatmap: float (H, W), finite and not negative, of any scale: shares are taken of its own peak.

    Returns:
        uint8 (H, W, 4), straight (not premultiplied) RGBA: clear under 12% of the peak, rising to a cover of 88%, with
        a white contour, dark on its outer side, at half of the peak. Fully transparent where the heatmap is all zeros.
        The contour's width follows the size of the picture (2 pixels at 900 pixels of the short side).
    """
    heat = np.asarray(heatmap, dtype=np.float32)
    if heat.ndim != 2 or not heat.size:
        raise ValueError(f"A heatmap has the shape (H, W), height and width of at least 1; got {heat.shape}.")
    peak = float(heat.max())
    if not np.isfinite(peak) or float(heat.min()) < 0:
        raise ValueError(f"A heatmap is finite and not negative; got values from {heat.min()} to {peak}.")
    if peak == 0:
        return np.zeros((*heat.shape, 4), np.uint8)
    share = heat / peak
    levels = (share * np.float32(_LEVELS - 1) + np.float32(0.5)).astype(np.uint16)
    # A pixel's four bytes are looked up as one number: a third of the time of looking up rows.
    packed: NDArray[np.uint32] = np.take(_PACKED_RAMP, levels)
    rgba = packed.view(np.uint8).reshape(*share.shape, 4)
    _draw_contour(rgba, share)
    return rgba


def _ramp_table() -> NDArray[np.uint8]:
    """The colour and cover of each of 1,024 shares of the peak: uint8 (1024, 4)."""
    share = np.linspace(0, 1, _LEVELS)
    colours = np.array([_rgb(colour) for colour in RAMP])
    channels = [np.interp(share, RAMP_STOPS, colours[:, channel]) for channel in range(3)]
    rise = np.clip((share - CLEAR_BELOW) / (FULL_FROM - CLEAR_BELOW), 0, 1)
    cover = 255 * COVER * rise * rise * (3 - 2 * rise)
    return np.stack([*channels, cover], axis=-1).round().astype(np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


_PACKED_RAMP = _ramp_table().view(np.uint32)[:, 0]


def _draw_contour(rgba: NDArray[np.uint8], share: NDArray[np.float32]) -> None:
    """Lays the smooth contour into `rgba`: white inside the half-peak line, a thin dark edge outside."""
    height, width = share.shape
    if min(height, width) < 2:
        return
    white = max(1.0, min(height, width) / 450)
    dark = max(1.0, white / 2)
    near = _near_the_line(share, white + 1.0)
    above = share[near] - np.float32(CONTOUR_AT)
    # To first order, how many pixels each pixel lies inside (positive) or outside the line.
    slope: NDArray[np.float32] = np.hypot(_slope(share, near, 0), _slope(share, near, 1))
    distance: NDArray[np.float32] = np.divide(above, np.maximum(slope, np.float32(1e-6)))
    pixels = rgba[near]
    _blend(pixels, EDGE, EDGE_COVER * _band(distance, -dark, 0.0))
    _blend(pixels, CONTOUR, CONTOUR_COVER * _band(distance, 0.0, white))
    rgba[near] = pixels


def _near_the_line(share: NDArray[np.float32], reach: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Returns (rows, columns) of every pixel that may lie within `reach` pixels of the line, and of few others.

    The steepest step between neighbours bounds the slope, and with it how far from half of the peak a pixel near the
    line can be: the contour is then computed on a few pixels in a hundred.
    """
    down, right = (float(np.abs(np.diff(share, axis=axis)).max()) for axis in (0, 1))
    steepest = math.hypot(down, right)
    # Some slack for rounding; more pixels than needed change nothing.
    margin = np.float32(1.01 * reach * max(steepest, 1e-6))
    rows, columns = np.nonzero(np.abs(share - np.float32(CONTOUR_AT)) <= margin)
    return rows, columns


def _slope(
    share: NDArray[np.float32], near: tuple[NDArray[np.intp], NDArray[np.intp]], axis: int
) -> NDArray[np.float32]:
    """Returns the gradient along an axis at some pixels: central differences, one-sided ones at the borders."""
    last = share.shape[axis] - 1
    before, after = list(near), list(near)
    before[axis], after[axis] = np.maximum(near[axis] - 1, 0), np.minimum(near[axis] + 1, last)
    slope: NDArray[np.float32] = share[tuple(after)] - share[tuple(before)]
    inside = (near[axis] > 0) & (near[axis] < last)
    slope[inside] /= 2
    return slope


def _band(distance: NDArray[np.float32], start: float, end: float) -> NDArray[np.float32]:
    """How much of each pixel lies in the band from `start` to `end`: the overlap of two intervals, in [0, 1]."""
    return np.clip(np.minimum(distance + 0.5, end) - np.maximum(distance - 0.5, start), 0, 1)


def _blend(rgba: NDArray[np.uint8], colour: str, cover: NDArray[np.float32]) -> None:
    """Lays a colour over the pixels, uint8 (N, 4), where `cover` (N,) in [0, 1] is above zero (source over)."""
    touched = cover > 0
    top = cover[touched][:, None]
    under = rgba[touched].astype(np.float32)
    under_cover = under[:, 3:] / 255
    alpha = top + under_cover * (1 - top)
    mixed = (top * np.array(_rgb(colour), np.float32) + under_cover * (1 - top) * under[:, :3]) / alpha
    rgba[touched] = np.concatenate([mixed, 255 * alpha], axis=1).round().astype(np.uint8)
