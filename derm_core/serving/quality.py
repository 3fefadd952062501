"""Cheap and certain reasons not to answer a picture: small, dark, bright, burnt out, blurred, empty. Runs no network.

Only what no reader could use is refused here; whether a picture is like those that the network was trained on is asked
of its features (see outliers). What is worth a look but spoils no answer, such as ink, is noted. Of HAM10000's
photographs and those of the ISIC benign/malignant set, next to none is refused; tests/derm_core/serving/test_quality.py
counts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache, reduce
from typing import Any

import numpy as np
from PIL import Image

from derm_core.errors import ConfigError
from derm_core.serving.prediction import QualityFlag

_SIDE = 32
"""Pictures are averaged down to this many pixels a side to see light and content; noise and hairs do not count then."""
_DETAIL_SIDE = 200
"""Pictures are averaged down to this long side to see sharpness, ink and what is burnt out: what the network sees."""
_EDGE, _CORNERS = 0.1, 0.25
"""Shares of each side that are left out: where dermatoscopes reflect, and where their round view leaves all black."""
_BURNT_OUT, _BLACK = 250, 8
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class QualityLimits:
    """From where on a picture is refused an answer; travels inside the bundle. Levels run from 0 to 255.

    Attributes:
        min_side: the shorter side must have at least this many pixels.
        darkest: too dark where even the 98th percentile of luma is under this level.
        brightest: too bright where the median of luma is over this level.
        least_spread: empty where the darkest and brightest half percent are closer than this in every colour channel.
        least_detail: blurred where details of 1 to 2 pixels, of a picture 200 pixels long, have less than this share of
            the contrast of those of 2 to 4 pixels. A ratio does not depend on how rich in contrast a lesion is.
        most_burnt_out, most_black: over- or underexposed where a larger share of the inner pixels has lost all colour.
        most_ink: the share of the pixels near the edges from which strong blue or violet is noted as ink.
    """

    min_side: int = 100
    darkest: float = 60.0
    brightest: float = 245.0
    least_spread: float = 16.0
    least_detail: float = 0.44
    most_burnt_out: float = 0.05
    most_black: float = 0.2
    most_ink: float = 0.01

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
    """Returns what is wrong with a picture, or worth a look: one flag a reason, empty where nothing is.

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
    scale = min(1.0, _DETAIL_SIDE / max(image.size))
    seen = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    reduced = image.resize(seen, Image.Resampling.BOX, reducing_gap=2.0)
    channels = [np.asarray(channel) for channel in reduced.split()]
    small = np.asarray(reduced.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32)
    light = _light(small, limits) or _exposure(channels, limits)
    if light is not None:
        flags.append(light)
    elif _detail(_inner(np.asarray(reduced.convert("L"), dtype=np.float32))) < limits.least_detail:
        flags.append(
            QualityFlag(
                "blurred", "The picture is not sharp: hold the camera still, focus, and take it again."
            )
        )
    if light is None and _ink_share(channels) > limits.most_ink:
        flags.append(
            QualityFlag(
                "ink",
                "There are blue marks near the edge, perhaps ink: the answer is better where skin is unmarked.",
                severity="note",
            )
        )
    return tuple(flags)


def _light(small: np.ndarray, limits: QualityLimits) -> QualityFlag | None:
    luma = small @ _LUMA
    if np.percentile(luma, 98) < limits.darkest:
        return QualityFlag("too-dark", "The picture is almost black: take it again in more light.")
    if np.median(luma) > limits.brightest:
        return QualityFlag(
            "too-bright",
            "The picture is almost white: take it again with less light and without reflections.",
        )
    if _spread(small) < limits.least_spread:
        return QualityFlag(
            "uniform",
            "No lesion can be seen: take the picture again with the lesion sharp and in the middle.",
        )
    return None


def _exposure(channels: Sequence[np.ndarray], limits: QualityLimits) -> QualityFlag | None:
    darkest, lightest = reduce(np.minimum, channels), reduce(np.maximum, channels)
    if (_inner(darkest) >= _BURNT_OUT).mean() > limits.most_burnt_out:
        return QualityFlag(
            "overexposed",
            "Part of the picture is burnt out to white: take it again with less light and without reflections.",
        )
    if (_inner(lightest, _CORNERS) <= _BLACK).mean() > limits.most_black:
        return QualityFlag("underexposed", "Part of the picture is black: take it again in more light.")
    return None


def _detail(luma: np.ndarray) -> float:
    """The contrast of details of 1 to 2 pixels by that of 2 to 4; infinite where there is none of the latter."""
    once, twice, four_times = (_blurred(luma, sigma) for sigma in (1.0, 2.0, 4.0))
    coarse = float((twice - four_times).std())
    return float((once - twice).std()) / coarse if coarse > 0 else float("inf")


def _blurred(luma: np.ndarray, sigma: float) -> np.ndarray:
    rows, columns = (_gaussian(length, sigma) for length in luma.shape)
    return np.asarray(rows @ luma @ columns.T)


@lru_cache(maxsize=64)
def _gaussian(length: int, sigma: float) -> np.ndarray:
    """Returns float32 (length, length): each row the weights that make one blurred value, summing to 1."""
    place = np.arange(length, dtype=np.float32)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _ink_share(channels: Sequence[np.ndarray]) -> float:
    """The share of pixels near the edges that are of a strong blue or violet; blue lesions lie in the middle."""
    red, _, blue = channels
    darkest, lightest = reduce(np.minimum, channels), reduce(np.maximum, channels)
    strong = (lightest - darkest) > np.float32(0.35) * lightest
    ink = strong & (blue > red) & (blue - red > 25) & (lightest > 60)
    _inner(ink)[:] = False
    return float(ink.mean())


def _inner(pixels: np.ndarray, edge: float = _EDGE) -> np.ndarray:
    """A view of all but the edges of (H, W, ...)."""
    down, across = (round(length * edge) for length in pixels.shape[:2])
    return pixels[down : pixels.shape[0] - down, across : pixels.shape[1] - across]


def _spread(pixels: np.ndarray) -> float:
    """The largest distance, over the channels, between the 0.5th and 99.5th percentiles of float32 (H, W, 3)."""
    low, high = np.percentile(pixels.reshape(-1, 3), [0.5, 99.5], axis=0)
    return float((high - low).max())
