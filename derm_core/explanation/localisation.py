"""How far a heatmap lies on the lesion, by an expert's outline of it; and the maps that know nothing, to compare with.

    energy_inside   the share of the heatmap's sum inside the outline
    peak_inside     the pointing game (Zhang et al., arXiv 1608.00507), without a margin around the outline

Lesions lie in the middle of their photographs: a method that does not beat `centre_map` has not shown that it looks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Heatmap = NDArray[np.float32]
Mask = NDArray[np.bool_]

CENTRE_WIDTH = 0.25
"""Standard deviation of `centre_map`, as a share of each side."""


def energy_inside(heatmap: Heatmap, mask: Mask) -> float:
    """Returns the share in [0, 1] of a heatmap's sum that lies inside the outline; NaN where it is all zeros.

    Args:
        heatmap: float (H, W), not negative.
        mask: bool (H, W), true inside.
    """
    total = float(heatmap.sum(dtype=np.float64))
    return float(heatmap[mask].sum(dtype=np.float64)) / total if total > 0 else math.nan


def peak_inside(heatmap: Heatmap, mask: Mask) -> float:
    """Returns 1 where the highest pixel lies inside the outline and 0 where not; of several, the share of them inside.

    NaN where the heatmap is all zeros. The arguments are those of `energy_inside`.
    """
    peak = heatmap.max()
    return float(mask[heatmap == peak].mean()) if peak > 0 else math.nan


def centre_map(height: int, width: int) -> Heatmap:
    """Returns float32 (H, W) in [0, 1]: a bell in the middle, the same for every picture."""
    rows = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] / CENTRE_WIDTH
    columns = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :] / CENTRE_WIDTH
    bell: Heatmap = np.exp(-(rows**2 + columns**2) / 2)
    return bell


def uniform_map(height: int, width: int) -> Heatmap:
    """Returns float32 (H, W), 1 everywhere: its energy inside an outline is the outline's share of the picture."""
    return np.ones((height, width), np.float32)
