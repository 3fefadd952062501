"""The fine detail of small grey prints: short descriptors to find pictures alike, correlation to be sure of it.

All dermoscopic pictures are a dark spot on skin, so plain brightness says little about which one it is. What is left
after local contrast normalisation (Jarrett et al., ICCV 2009) does: streaks, hairs, the outline, bubbles.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft

from derm_core.data.picture_prints import SIDE

TURNS = (
    "",
    "mirrored",
    "mirrored and turned by 180°",
    "turned by 180°",
    "mirrored and turned by 90°",
    "turned by 90°",
    "turned by 270°",
    "mirrored and turned by 270°",
)
"""What `turned` does to a picture, by number: bit 4 swaps the axes first, bit 2 reverses rows, bit 1 columns."""
FREQUENCIES = 16
"""Cosine frequencies along each axis that a descriptor keeps."""
LARGEST_SHIFT = 5
"""Pixels of a print by which two pictures may be shifted against each other."""
ZOOMS = (0.94, 0.88)
"""Shares of a side that one picture may show of the other, besides all of it."""
_FINE, _COARSE = (
    2.0,
    5.0,
)  # sigma, in pixels of a print: what counts as detail, and over what its contrast is evened
_FLAT = 2.0  # grey levels: fainter detail stays faint, so that noise on smooth skin does not become a pattern

_NOTHING = 0.1  # the length of a detail map, some fifty for any photograph, below which it holds rounding errors only


def detail_maps(prints: np.ndarray) -> np.ndarray:
    """Returns float32 (N, SIDE, SIDE): local detail of even contrast and zero mean. `prints` is (N, SIDE, SIDE)."""
    grey = prints.astype(np.float32)
    detail = grey - _blur(grey, _FINE)
    detail /= np.sqrt(_blur(detail * detail, _COARSE)) + _FLAT
    return detail - detail.mean(axis=(1, 2), keepdims=True)


def describe(detail: np.ndarray) -> np.ndarray:
    """Returns float32 (N, FREQUENCIES, FREQUENCIES): the lowest cosine coefficients of detail maps, of length 1.

    The real-valued form of a perceptual hash (Zauner 2010): turning a picture swaps axes and flips signs, nothing
    else. A picture without any detail has zeros.
    """
    kept = np.ascontiguousarray(fft.dctn(detail, axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES])
    kept[:, 0, 0] = 0
    length = np.linalg.norm(kept, axis=(1, 2), keepdims=True)
    return kept / np.maximum(length, _NOTHING)


def turned(pictures: np.ndarray, turn: int) -> np.ndarray:
    """Returns square pictures (..., S, S) after one of the `TURNS`."""
    if turn & 4:
        pictures = pictures.swapaxes(-1, -2)
    if turn & 2:
        pictures = pictures[..., ::-1, :]
    if turn & 1:
        pictures = pictures[..., ::-1]
    return pictures


def describe_turned(descriptors: np.ndarray, turn: int) -> np.ndarray:
    """Returns the descriptors that the turned pictures have."""
    if turn & 4:
        descriptors = descriptors.swapaxes(-1, -2)
    signs = np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)
    if turn & 2:
        descriptors = descriptors * signs[:, None]
    if turn & 1:
        descriptors = descriptors * signs
    return descriptors


def centre_squares(prints: np.ndarray, widths: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Returns uint8 (N, SIDE, SIDE): prints of the square in the middle of each picture, cut from whole prints."""
    squares = prints.copy()
    for shape in np.unique(np.stack([widths, heights], axis=1), axis=0):
        width, height = shape.tolist()
        of_shape = np.flatnonzero((widths == width) & (heights == height))
        whole = prints[of_shape].astype(np.float32)
        if width > height:
            squares[of_shape] = np.rint(whole @ _crop(height / width).T)
        elif height > width:
            squares[of_shape] = np.rint(_crop(width / height) @ whole)
    return squares


def correlate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns float32 (N,): how far detail maps agree where they lie best on each other, at most 1.

    Normalised cross-correlation of the middle of `first` with every part of `second` that is at most LARGEST_SHIFT
    pixels away. Both are (N, SIDE, SIDE).
    """
    margin, inner = LARGEST_SHIFT, SIDE - 2 * LARGEST_SHIFT
    middle = np.zeros_like(first)
    middle[:, margin:-margin, margin:-margin] = first[:, margin:-margin, margin:-margin]
    middle[:, margin:-margin, margin:-margin] -= middle.sum(axis=(1, 2), keepdims=True) / inner**2
    product = fft.irfft2(np.conj(fft.rfft2(middle)) * fft.rfft2(second), s=(SIDE, SIDE))
    shifts = np.arange(-margin, margin + 1)
    product = product[:, shifts[:, None], shifts]
    windows = _windows(inner)
    spread = windows @ (second * second) @ windows.T - (windows @ second @ windows.T) ** 2 / inner**2
    length = np.sqrt((middle * middle).sum(axis=(1, 2)))[:, None, None] * np.sqrt(np.maximum(spread, 0))
    return (product / np.maximum(length, _NOTHING)).max(axis=(1, 2))


def correlate_zoomed(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the best of `correlate` where one picture shows the middle of the other.

    Returns:
        The correlation, float32 (N,), and the share of a side that is shown, float64 (N,): negative where it is
        `second` that was cropped, for it is `first` that is enlarged then.
    """
    scores, shares = [], []
    for share in ZOOMS:
        crop = _crop(share)
        scores += [correlate(crop @ first @ crop.T, second), correlate(crop @ second @ crop.T, first)]
        shares += [-share, share]
    best = np.argmax(scores, axis=0)
    return np.max(scores, axis=0), np.array(shares)[best]


def _blur(pictures: np.ndarray, sigma: float) -> np.ndarray:
    kernel = _gaussian(sigma)
    return kernel @ pictures @ kernel.T


@lru_cache(maxsize=64)
def _gaussian(sigma: float) -> np.ndarray:
    """A matrix (SIDE, SIDE) that blurs along one axis; what lies beyond an edge mirrors what lies before it."""
    places = np.arange(SIDE)
    mirrored = np.stack([-1 - places, places, 2 * SIDE - 1 - places])
    weights = np.exp(-0.5 * ((mirrored[:, None, :] - places[None, :, None]) / sigma) ** 2).sum(axis=0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=64)
def _crop(share: float) -> np.ndarray:
    """A matrix (SIDE, SIDE) that enlarges the middle `share` of one axis to the whole, linearly."""
    wanted = (np.arange(SIDE) + 0.5 - SIDE / 2) * share + SIDE / 2 - 0.5
    below = np.clip(np.floor(wanted).astype(int), 0, SIDE - 2)
    matrix = np.zeros((SIDE, SIDE), dtype=np.float32)
    matrix[np.arange(SIDE), below] = 1 - (wanted - below)
    matrix[np.arange(SIDE), below + 1] = wanted - below
    return matrix


@lru_cache(maxsize=64)
def _windows(inner: int) -> np.ndarray:
    """A matrix (SIDE - inner + 1, SIDE) that sums every run of `inner` places along one axis."""
    starts = np.arange(SIDE - inner + 1)[:, None]
    places = np.arange(SIDE)
    return ((places >= starts) & (places < starts + inner)).astype(np.float32)
