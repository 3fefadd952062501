"""How a photograph was taken, as far as it shows: the dark corners of a dermatoscope's round field. Learns nothing.

Dark corners move the answers of networks (Sies et al., "Dark corner artefact and diagnostic performance of a
market-approved neural network", JEADV 35:842, 2021), and come with the instrument, not with the disease.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

ROUND_FIELD, FULL_FRAME = "round field", "full frame"
_SIDE = 64  # pixels of the reduced picture
_CORNER = 5  # pixels of that; a field as wide as the picture is high leaves some 9
_DARK = 0.45  # of the brightness of the middle, below which a corner is outside the field
_CORNERS = 3  # dark ones of four: hair, ink or the lesion itself may darken one or two


def acquisition_of(image: Image.Image) -> str:
    """Returns "round field" where at least three corners of a photograph are dark beside its middle, or "full frame".

    The middle of a dermoscopic photograph is the lesion, so the brightness there is that of its lightest quarter.

    Args:
        image: of any mode and size.
    """
    grey = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64)
    middle = np.percentile(grey[_SIDE // 4 : -_SIDE // 4, _SIDE // 4 : -_SIDE // 4], 75)
    ends = (slice(None, _CORNER), slice(-_CORNER, None))
    dark = sum(bool(grey[rows, columns].mean() < _DARK * middle) for rows in ends for columns in ends)
    return ROUND_FIELD if dark >= _CORNERS else FULL_FRAME
