"""Finds a scale in a picture: a thin straight line with evenly spaced ticks beside it. Judges no picture.

Lines are found by a Hough transform of thin dark marks (Duda and Hart, Comm. ACM 15:11, 1972), and ticks by the
autocorrelation of what lies beside each. Hairs are lines without even ticks; nets and grain of skin have evenly spaced
parts, but their lines hardly stand out from what is around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derm_core.serving.blurring import blurred

_LEAST_SIDE = 50
_THIN, _WIDE, _DARKEST = 0.5, 2.5, 20.0
"""Marks are what a blur of the second sigma, in pixels, is lighter than one of the first, up to so many levels."""
_ANGLES = np.arange(36) * np.pi / 36
_POINTS, _LINES, _LEAST_ON_LINE = 1500, 40, 20
"""The darkest points that vote for lines, how many lines are looked at, and how many points each must have."""
_STEPS = 12
"""Into which a level is divided to find these points; the darkest mark times this still fits a byte."""
_HALVINGS, _BLOCKS = 3, 5
_BLOCK = 2**_HALVINGS
"""A line must be dark in so many blocks of so many pixels, one after the other."""
_TICKS, _AROUND = (2, 3, 4), (7, 9, 11)
"""Distances from the line, in pixels, at which ticks are looked for, and at which nothing else should be."""
_PARALLELS = np.array(
    [side * distance for side in (-1, 1) for distance in (*_TICKS, *_AROUND)], dtype=np.float64
)
_BEYOND = 8
_GAPS = np.arange(3.5, 10.01, 0.5)
"""Between ticks, in pixels."""
_MIDDLE = 0.25
"""The part of each half of the picture, from its middle on, in which lesions lie and no scale is looked for."""
_LEAST_DARK, _NOISE, _SURROUNDINGS = 1.0, 3.0, 2.0
"""Levels that a line must have and that are added to it, and the weight of its surroundings, in its contrast."""


def ruler_evidence(luma: NDArray[np.float32]) -> float:
    """Returns how clearly a scale can be seen away from the middle, in [0, 1]; 0 where none can.

    Args:
        luma: (H, W), levels from 0 to 255; the longer side about 200 pixels.
    """
    if min(luma.shape) < _LEAST_SIDE:
        return 0.0
    marks = np.clip(blurred(luma, _WIDE) - blurred(luma, _THIN), 0, _DARKEST).astype(np.float32)
    lines = _find_lines(marks)
    if not len(lines.angles):
        return 0.0
    start, dark = lines.darkest_part()
    counts = (dark > _LEAST_DARK) & lines.away_from_middle(start + _BLOCK * _BLOCKS // 2)
    if not counts.any():
        return 0.0
    lines, start, dark = lines.only(counts), start[counts], dark[counts]
    along = start[:, None] - _BEYOND + np.arange(_BLOCK * _BLOCKS + 2 * _BEYOND)
    left, left_around, right, right_around = lines.bands(along)
    ticks = np.maximum(_regularity(left), _regularity(right))
    around = (left_around + right_around).mean(axis=1) / 2
    contrast = dark / (dark + _SURROUNDINGS * around + _NOISE)
    return float(np.clip((ticks * contrast).max(), 0, 1))


@dataclass(frozen=True, eq=False)
class _Lines:
    """Straight lines across a picture of marks, each by its angle and its distance from the middle, float (N,)."""

    framed: NDArray[np.float32]
    angles: NDArray[np.float64]
    offsets: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) without the frame of one zero around the marks."""
        height, width = self.framed.shape
        return height - 2, width - 2

    @property
    def reach(self) -> int:
        return _reach(*self.shape)

    def only(self, which: NDArray[np.bool_]) -> _Lines:
        """Returns some of these lines."""
        return _Lines(self.framed, self.angles[which], self.offsets[which])

    def darkest_part(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Returns where along each line its best blocks begin, in pixels, and the mean of the lightest of these."""
        profile = self.beside(np.zeros(1), np.arange(-self.reach, self.reach)[None])[0]
        count = profile.shape[1] // _BLOCK
        blocks = profile[:, : count * _BLOCK]
        for _ in range(
            _HALVINGS
        ):  # in pairs, as NumPy's own sum of so few numbers does, in a third of its time
            blocks = blocks[:, 0::2] + blocks[:, 1::2]
        blocks = blocks / np.float32(_BLOCK)
        lightest = np.minimum.reduce(
            [blocks[:, first : count - _BLOCKS + 1 + first] for first in range(_BLOCKS)]
        )
        best = lightest.argmax(axis=1)
        return best * _BLOCK - self.reach, lightest[np.arange(len(best)), best]

    def bands(self, along: NDArray[np.intp]) -> Sequence[NDArray[np.float32]]:
        """Returns the mean of near and of far parallels on one side, then on the other, at places `along` the lines.

        All are (N, L).
        """
        marks = self.beside(_PARALLELS, along)
        bands = marks.reshape(-1, len(_TICKS), *along.shape)
        return [np.asarray(sum(band) / len(band)) for band in bands]

    def beside(self, distances: NDArray[np.float64], along: NDArray[np.intp]) -> NDArray[np.float32]:
        """Returns float32 (D, N, L), the marks on parallels at `distances` (D,); zeros outside the picture.

        Args:
            along: places on each line, (N, L), or on all of them, (1, L).
        """
        height, width = self.shape
        x, y = self._places(along, distances)
        columns, rows = x, y
        columns += width / 2
        rows += height / 2
        for places, length in ((columns, width), (rows, height)):
            np.rint(places, out=places)
            places.clip(-1, length, out=places)
        rows += 1
        rows *= width + 2
        rows += columns
        rows += 1
        return self.framed.take(rows.astype(np.intp))

    def away_from_middle(self, along: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Returns bool (N,), whether the place `along` each line, (N,), lies outside the middle of the picture."""
        height, width = self.shape
        x, y = (places[0, :, 0] for places in self._places(along[:, None], np.zeros(1)))
        return (np.abs(x) >= _MIDDLE * width) | (np.abs(y) >= _MIDDLE * height)

    def _places(
        self, along: NDArray[np.intp], distances: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns x and y from the middle of the picture, both (D, N, L)."""
        cosines, sines = np.cos(self.angles)[:, None], np.sin(self.angles)[:, None]
        away = (self.offsets + distances[:, None])[..., None]
        return cosines * along - sines * away, sines * along + cosines * away


def _find_lines(marks: NDArray[np.float32]) -> _Lines:
    """Returns the lines on which most of the darkest points lie; ties are all taken, so that none hangs on chance."""
    levels = (marks * _STEPS).astype(np.uint8)
    darker = np.cumsum(np.bincount(levels.ravel(), minlength=256)[::-1])[::-1]
    least = int(np.searchsorted(-darker, -_POINTS, side="right")) - 1
    rows, columns = np.nonzero(levels >= max(least, _STEPS * _LEAST_DARK))
    x, y = columns - marks.shape[1] / 2, rows - marks.shape[0] / 2
    reach = _reach(*marks.shape)
    width = 2 * reach
    places = np.outer(np.cos(_ANGLES), y)
    places -= np.outer(np.sin(_ANGLES), x)
    np.rint(places, out=places)
    places += np.arange(len(_ANGLES))[:, None] * width + reach
    votes = np.bincount(places.ravel().astype(np.intp), minlength=len(_ANGLES) * width)
    enough = max(int(np.partition(votes, -_LINES)[-_LINES]), _LEAST_ON_LINE)
    angle, offset = np.divmod(np.flatnonzero(votes >= enough), width)
    framed = np.zeros((marks.shape[0] + 2, marks.shape[1] + 2), np.float32)
    framed[1:-1, 1:-1] = marks
    return _Lines(framed, _ANGLES[angle], (offset - reach).astype(np.float64))


def _reach(height: int, width: int) -> int:
    """Returns how far from the middle of a picture its corners lie, in pixels, and a little more."""
    return int(np.hypot(height, width)) // 2 + 2


def _regularity(profiles: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns (N,), up to about 1: how evenly spaced the marks of each profile (N, L) are, at the best of _GAPS.

    Evenly spaced marks meet one another when shifted by one, two and three gaps, and miss one another between.
    """
    length = profiles.shape[1]
    centred = profiles - profiles.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred, 2 * length)) ** 2
    # What is shifted far overlaps little: half of that loss is made up for.
    alike = np.fft.irfft(spectrum, 2 * length)[:, :length] / (length - np.arange(length) / 2)
    meet, miss = ([alike[:, np.rint(_GAPS * gaps).astype(int)] for gaps in which] for which in _SHIFTS)
    evenness = np.minimum.reduce(meet) - np.maximum.reduce(miss)
    return np.asarray(evenness.max(axis=1) / np.maximum(alike[:, 0], _LEAST_VARIANCE))


_SHIFTS = ((1.0, 2.0, 3.0), (0.5, 1.5, 2.5))
_LEAST_VARIANCE = 0.3
