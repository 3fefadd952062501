"""Cheap and certain reasons not to answer a picture: too small, too dark, too bright, nothing in it. Runs no network.

Only what no reader could use is caught here; whether a picture is like those that the network was trained on is another
question. Of 8,012 pictures of HAM10000 and 2,229 of the ISIC benign/malignant set none is flagged: measured as below,
their 98th percentile of luma is never under 105, their median never over 241, and their spread never under 39.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from PIL import Image

from derm_core.errors import ConfigError
from derm_core.serving.prediction import QualityFlag

_SIDE = 32
"""Pictures are averaged down to this many pixels a side first, so that noise and hairs do not count."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class QualityLimits:
    """From where on a picture is refused an answer; travels inside the bundle. Levels run from 0 to 255.

    Attributes:
        min_side: the shorter side must have at least this many pixels.
        darkest: too dark where even the 98th percentile of luma is under this level.
        brightest: too bright where the median of luma is over this level.
        least_spread: empty where the darkest and brightest half percent are closer than this in every colour channel.
    """

    min_side: int = 100
    darkest: float = 60.0
    brightest: float = 245.0
    least_spread: float = 16.0

    def to_dict(self) -> dict[str, float]:
        """Returns plain values for a model.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QualityLimits:
        """Rebuilds what to_dict gave; raises ConfigError for a key that is missing, unknown or no number."""
        expected = [field.name for field in fields(cls)]
        if sorted(values) != sorted(expected):
            raise ConfigError(
                f"Quality limits need exactly the keys {', '.join(expected)}; got {', '.join(values)}."
            )
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"The quality limit {name} is {value!r}; it must be a number.")
        return cls(**values)


def check_quality(
    image: Image.Image, *, size: tuple[int, int] | None = None, limits: QualityLimits | None = None
) -> tuple[QualityFlag, ...]:
    """Returns what is wrong with a picture: one flag a reason, empty where nothing is.

    Args:
        image: RGB; may be a reduced version of the picture.
        size: (width, height) of the picture itself, where `image` is reduced.
        limits: default: those of this module.
    """
    limits = limits or QualityLimits()
    flags = []
    width, height = size or image.size
    if min(width, height) < limits.min_side:
        flags.append(
            QualityFlag(
                "too-small",
                f"The picture has only {width} × {height} pixels: send the original, or take it again from closer.",
            )
        )
    small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0), dtype=np.float32)
    luma = small @ _LUMA
    if np.percentile(luma, 98) < limits.darkest:
        flags.append(QualityFlag("too-dark", "The picture is almost black: take it again in more light."))
    elif np.median(luma) > limits.brightest:
        flags.append(
            QualityFlag(
                "too-bright",
                "The picture is almost white: take it again with less light and without reflections.",
            )
        )
    elif _spread(small) < limits.least_spread:
        flags.append(
            QualityFlag(
                "uniform",
                "No lesion can be seen: take the picture again with the lesion sharp and in the middle.",
            )
        )
    return tuple(flags)


def _spread(pixels: np.ndarray) -> float:
    """The largest distance, over the channels, between the 0.5th and 99.5th percentiles of float32 (H, W, 3)."""
    low, high = np.percentile(pixels.reshape(-1, 3), [0.5, 99.5], axis=0)
    return float((high - low).max())
