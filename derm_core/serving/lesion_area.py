"""How much of a picture the lesion covers: its outline by colour, and no answer where that cannot be told.

No network: skin is the colour near the edges of the view, the lesion what differs from it, parted by Otsu's threshold
(IEEE Trans. SMC 9:62, 1979) and then lowered, because experts draw an outline outside the fading border. Hairs and
black corners are taken out first. What the share is compared with is left to the caller.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

_SIDE = 160  # pixels; neither 128 nor 192 came nearer to the experts
_HAIR = 7  # pixels; thinner dark lines are no part of an outline
_BLUR = 1.5  # pixels
_BLACK = 30.0  # CIE L* of the corners beside a round view
_EDGE = 0.12  # share of the shorter side in which skin is looked for
_MOST_DISTANT = (
    60.0  # colour distances above it count as this: a single black dot must not move the threshold
)
_LOWERED = 0.5
_LEAST_PARTED = 0.65  # share of the colour distances' variance that the threshold explains
_LEAST_CONTRAST = 12.0  # in CIE L*a*b*
_MOST_CUT = 0.05  # share of the picture's edges that the lesion may touch
_BESIDE = 0.25  # weight of a second part against the heaviest, from which on it belongs to the lesion


def lesion_share(image: Image.Image) -> float | None:
    """Returns the part of a dermoscopic picture, in (0, 1), that the lesion covers; None where it cannot be told.

    It is None where the lesion reaches over the edge of the picture, hardly differs from the skin around it, or fades
    into it. A share is of this picture alone: two are comparable only where both were taken with the same lens at the
    same distance, and it is no measure of length or area.

    Beside experts' outlines of 200 photographs of HAM10000 that it was not tuned on, 129 were given a share: half of
    those lay within 1.1 percentage points of the experts', nine in ten within 6.1, all within 13 (rank correlation
    0.98). No part of it is an outline to plan an excision by.

    Args:
        image: RGB, of any size; it is reduced first.
    """
    lab = _smooth_lab(image)
    view = _view(lab[..., 0])
    distances = _distance_from_skin(lab, view)
    if distances is None:
        return None
    threshold, parted = _otsu(distances[view])
    outline = _heaviest_parts((distances > _LOWERED * threshold) & view, distances)
    if parted < _LEAST_PARTED or not outline.any() or not (view & ~outline).any():
        return None
    contrast = np.median(distances[outline]) - np.median(distances[view & ~outline])
    edges = np.concatenate([outline[0], outline[-1], outline[:, 0], outline[:, -1]])
    if contrast < _LEAST_CONTRAST or edges.mean() > _MOST_CUT:
        return None
    return float(outline.mean())


def _smooth_lab(image: Image.Image) -> NDArray[np.float32]:
    """Returns CIE L*a*b* under D65, float32 (H, W, 3), reduced, without hairs and smoothed."""
    scale = _SIDE / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    lab = _lab(np.asarray(image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)))
    lab[..., 0] = ndimage.grey_closing(lab[..., 0], _HAIR)
    return np.asarray(ndimage.gaussian_filter(lab, (_BLUR, _BLUR, 0)))


def _lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = rgb.astype(np.float32) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T / _WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], dtype=np.float32
)
_WHITE = np.array([0.9505, 1.0, 1.089], dtype=np.float32)


def _view(lightness: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Returns where skin can be seen: bool (H, W), false in black corners and a little inside them."""
    labels, _ = ndimage.label(lightness < _BLACK)
    corners = {int(labels[row, column]) for row, column in product((0, -1), repeat=2)} - {0}
    view = ~np.isin(labels, list(corners))
    return view if view.all() else ndimage.binary_erosion(view, iterations=4, border_value=1)


def _distance_from_skin(lab: NDArray[np.float32], view: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """Returns how far each pixel's colour is from the skin's, lighter ones aside; None where no skin is in view."""
    height, width = view.shape
    rows, columns = np.mgrid[:height, :width]
    to_edge = np.minimum.reduce([rows, columns, height - 1 - rows, width - 1 - columns])
    rim = view & (to_edge < _EDGE * min(height, width))
    if view.mean() < 0.9:  # a round view: its rim is not the picture's
        rim = view & (_radius(view.shape) > 0.75)
    if rim.sum() < 0.01 * rim.size:
        return None
    lightness, red, yellow = np.moveaxis(lab - np.median(lab[rim], axis=0), -1, 0)
    distances = np.sqrt(np.maximum(-lightness, 0) ** 2 + red**2 + (yellow / 2) ** 2)
    return np.minimum(distances, _MOST_DISTANT).astype(np.float32)


def _radius(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns the distance from the middle: 1 at the middle of each edge."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width]
    return np.hypot((rows + 0.5) / (height / 2) - 1, (columns + 0.5) / (width / 2) - 1)


def _otsu(values: NDArray[np.float32]) -> tuple[float, float]:
    """Returns the threshold that parts the values best, and the share of their variance that it explains."""
    counts, edges = np.histogram(values, 128)
    centres = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * centres)[:-1]
    total, whole = counts.sum(), (counts * centres).sum()
    above = total - below
    between = below * above * (sums / np.maximum(below, 1) - (whole - sums) / np.maximum(above, 1)) ** 2
    best = int(between.argmax())
    variance = (counts * (centres - whole / total) ** 2).sum() * total
    return float(edges[best + 1]), float(between[best] / variance) if variance > 0 else 0.0


def _heaviest_parts(differs: NDArray[np.bool_], distances: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Returns the connected parts that make the lesion, filled: by size, colour and nearness to the middle."""
    labels, count = ndimage.label(ndimage.binary_opening(differs))
    if count == 0:
        return np.zeros_like(differs)
    weights = np.exp(-2 * _radius(differs.shape) ** 2) * distances
    heaviness = ndimage.sum_labels(weights, labels, np.arange(1, count + 1))
    chosen = 1 + np.flatnonzero(heaviness >= _BESIDE * heaviness.max())
    filled = ndimage.binary_fill_holes(np.isin(labels, chosen))
    return filled | ndimage.binary_closing(filled, iterations=3)
