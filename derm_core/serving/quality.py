"""Cheap and certain reasons not to answer a picture: small, dark, burnt out, blurred, empty, cut out, without colour.
Runs no network.

Only what no reader could use is refused here; whether a picture is like those that the network was trained on is asked
of its features (see outliers). What is worth a look but spoils no answer, ink or a ruler, is noted. Of HAM10000's
photographs and those of the ISIC benign/malignant set, next to none is refused; tests/derm_core/serving/test_quality.py
counts them, and test_quality_marks.py the marks that are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import reduce
from typing import Any

import numpy as np
from PIL import Image

from derm_core.errors import ConfigError
from derm_core.serving.blurring import blurred
from derm_core.serving.prediction import QualityFlag
from derm_core.serving.ruler_marks import ruler_evidence

_SIDE = 32
"""Pictures are averaged down to this many pixels a side to see light and content; noise and hairs do not count then."""
_DETAIL_SIDE = 200
"""Pictures are averaged down to this long side to see sharpness, ink and what is burnt out: what the network sees."""
_EDGE, _CORNERS = 0.1, 0.25
"""Shares of each side that are left out: where dermatoscopes reflect, and where their round view leaves all black."""
_BURNT_OUT, _BLACK = 250, 8
_WHITE, _GREY = 225, 8
"""A ground is white where no channel is below the first level, and none further than the second from another."""
_COLOUR, _LEAST_COLOUR = 6, 0.05
"""A pixel has colour where two channels differ by more than this level, and a picture where this share of it does. Of
10,249 photographs the palest has twice the level there; a grey picture has none of it, however it was compressed."""
_SKIN, _INK = 80, 70
"""Levels that the brightest channel of skin and of ink has at least; black corners have less."""
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
        most_white: cut out where a larger share of the pixels near the edges is white, as no skin is.
        most_pen: the share of the pixels beside the middle from which a violet or blue far from the skin's colour is
            noted as ink.
        most_ruler: the evidence of a scale, in [0, 1], from which a ruler is noted (see ruler_marks).
    """

    min_side: int = 100
    darkest: float = 60.0
    brightest: float = 245.0
    least_spread: float = 16.0
    least_detail: float = 0.44
    most_burnt_out: float = 0.05
    most_black: float = 0.2
    most_white: float = 0.15
    most_pen: float = 0.0004
    most_ruler: float = 0.2

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
    spoilt = (
        _light(small, limits)
        or _ground(channels, limits)
        or _exposure(channels, limits)
        or _colourless(channels)
    )
    if spoilt is not None:
        return (*flags, spoilt)
    luma = np.asarray(reduced.convert("L"), dtype=np.float32)
    if _detail(_inner(luma)) < limits.least_detail:
        flags.append(
            QualityFlag(
                "blurred", "The picture is not sharp: hold the camera still, focus, and take it again."
            )
        )
    return (*flags, *_marks(channels, luma, limits))


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


def _ground(channels: Sequence[np.ndarray], limits: QualityLimits) -> QualityFlag | None:
    darkest, lightest = reduce(np.minimum, channels), reduce(np.maximum, channels)
    white = (darkest >= _WHITE) & (lightest - darkest <= _GREY)
    rim = white.size - _inner(white).size
    _inner(white)[:] = False
    if white.sum() > limits.most_white * rim:
        return QualityFlag(
            "white-ground",
            "The edges of the picture are plain white, which skin is not: take it through a dermatoscope, without "
            "reflections, and send it whole.",
        )
    return None


def _colourless(channels: Sequence[np.ndarray]) -> QualityFlag | None:
    coloured = reduce(np.maximum, channels) - reduce(np.minimum, channels) > _COLOUR
    if coloured.mean() < _LEAST_COLOUR:
        return QualityFlag(
            "no-colour", "The picture has no colour, which the answer rests on: send the original in colour."
        )
    return None


def _marks(channels: Sequence[np.ndarray], luma: np.ndarray, limits: QualityLimits) -> Iterator[QualityFlag]:
    if _pen_share(channels) > limits.most_pen:
        yield QualityFlag(
            "ink",
            "There are blue or violet marks, perhaps ink: the answer is better where skin is unmarked.",
            severity="note",
        )
    if ruler_evidence(luma) > limits.most_ruler:
        yield QualityFlag(
            "ruler",
            "A ruler or scale seems to be in view: the answer is better where only skin is.",
            severity="note",
        )


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
    once, twice, four_times = (blurred(luma, sigma) for sigma in (1.0, 2.0, 4.0))
    coarse = float((twice - four_times).std())
    return float((once - twice).std()) / coarse if coarse > 0 else float("inf")


def _pen_share(channels: Sequence[np.ndarray]) -> float:
    """The share of pixels beside the middle that are violet or blue as no skin is; blue lesions lie in the middle.

    Pens are told by how much bluer they are than the skin near the edges, whatever the colour of the light.
    """
    red, green, blue = (channel.astype(np.int16) for channel in channels)
    darkest, lightest = reduce(np.minimum, channels), reduce(np.maximum, channels)
    blueness = blue - red
    skin = lightest > _SKIN
    _inner(skin, 0.2)[:] = False
    if not skin.any():
        return 0.0
    bluer = (blueness - np.median(blueness[skin]) > 35) & (blueness > -8)
    saturation = (lightest - darkest) / np.maximum(lightest, 1)
    pen = bluer & (lightest > _INK) & ((saturation > 0.5) | ((saturation > 0.28) & (red - green > 12)))
    _inner(pen, 0.3)[:] = False
    return float(pen.mean())


def _inner(pixels: np.ndarray, edge: float = _EDGE) -> np.ndarray:
    """A view of all but the edges of (H, W, ...)."""
    down, across = (round(length * edge) for length in pixels.shape[:2])
    return pixels[down : pixels.shape[0] - down, across : pixels.shape[1] - across]


def _spread(pixels: np.ndarray) -> float:
    """The largest distance, over the channels, between the 0.5th and 99.5th percentiles of float32 (H, W, 3)."""
    low, high = np.percentile(pixels.reshape(-1, 3), [0.5, 99.5], axis=0)
    return float((high - low).max())
