"""Finds pictures that are copies of each other: resized, recompressed, mirrored, turned or cropped. Knows no labels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft

from derm_core.data.inspection import Progress
from derm_core.data.picture_detail import (
    FREQUENCIES,
    TURNS,
    centre_squares,
    correlate,
    correlate_zoomed,
    describe,
    describe_turned,
    detail_maps,
    turned,
)

ALIKE = 0.55
"""Similarity of two descriptors from which their detail is compared."""
SAME = 0.65
"""Correlation of the detail from which two pictures count as one photograph."""
SAME_ZOOMED = 0.75
"""The same where one of them is enlarged first, which gives chance more tries."""
_NEIGHBOURS = (
    32  # candidates kept for one picture in one tile: where hundreds are alike, these still link them all
)
_TILE_ROWS, _TILE_COLUMNS = 1024, 4096
_BATCH = 512
_SAME_SHAPE = 0.02


@dataclass(frozen=True)
class Match:
    """Two pictures, by their places in what was searched (`first` < `second`), that show the same photograph.

    `score` is the correlation of their detail, at most 1. `turn`, one of `TURNS`, turns `first` into `second`. `shown`
    is the share of a side that one shows of the other: 1 for all of it, negative where it is `second` that was cropped.
    """

    first: int
    second: int
    score: float
    turn: int
    shown: float

    @property
    def turn_name(self) -> str:
        """How `first` was turned to make `second`; empty where it was not."""
        return TURNS[self.turn]


def find_near_duplicates(
    prints: np.ndarray, widths: np.ndarray, heights: np.ndarray, *, progress: Progress | None = None
) -> list[Match]:
    """Compares every picture with every other one, in all eight ways a square can lie.

    First by short descriptors, all pairs at once; then, for pairs that are alike, by their detail pixel by pixel, also
    shifted a little and enlarged. Whole pictures are compared as if squeezed to a square, and pictures of different
    shapes once more by the square in their middle, since one may have been cropped to the other's shape.

    The thresholds were set on HAM10000 and the ISIC benign/malignant set (10,240 pictures, 52 million pairs): all pairs
    with a correlation above 0.6, 0.7 when enlarged, are the same lesion to the eye; the highest of any other pair is
    0.59 and 0.69. Copies of 400 of those pictures were all found at a third of the size, JPEG quality 50, mirrored,
    turned, blurred, cut square or cut by a twentieth, 99% of them at JPEG quality 20 and 82% cut by a tenth.

    Args:
        prints: uint8 (N, SIDE, SIDE) as `PicturePrint.pixels`.
        widths: (N,), of the upright pictures, in pixels.
        heights: (N,).
        progress: as in `inspection.inspect_pictures`.

    Returns:
        The matches, each pair once, sorted by `first` and `second`. A picture without any detail matches none.
    """
    shapes = np.log(widths / heights)
    searches: list[tuple[str, np.ndarray, np.ndarray | None]] = [("whole pictures", prints, None)]
    if len(prints) and np.ptp(shapes) > _SAME_SHAPE:
        searches.append(("their middles", centre_squares(prints, widths, heights), shapes))
    best: dict[tuple[int, int], Match] = {}
    for part, views, differing in searches:
        descriptors = _describe_all(views)
        pairs = _alike(descriptors, differing, progress, part)
        batches: Iterable[np.ndarray] = [pairs[rows] for rows in _batches(len(pairs))]
        if progress is not None and len(pairs):
            batches = progress(batches, -(-len(pairs) // _BATCH), f"comparing {part}")
        for batch in batches:
            for match in _verify(views, descriptors, batch):
                key = (match.first, match.second)
                if key not in best or best[key].score < match.score:
                    best[key] = match
    return [best[key] for key in sorted(best)]


def _describe_all(views: np.ndarray) -> np.ndarray:
    descriptors = np.empty((len(views), FREQUENCIES, FREQUENCIES), dtype=np.float32)
    for rows in _batches(len(views)):
        descriptors[rows] = describe(detail_maps(views[rows]))
    return descriptors


def _alike(
    descriptors: np.ndarray, shapes: np.ndarray | None, progress: Progress | None, part: str
) -> np.ndarray:
    """Returns int64 (M, 2): pairs, first < second, whose descriptors are alike in some turn.

    Where `shapes` are given, only pairs of pictures that differ in shape.
    """
    order = np.arange(len(descriptors)) if shapes is None else np.argsort(shapes, kind="stable")
    parts = _by_parity(descriptors[order])
    tiles = [
        (slice(top, top + _TILE_ROWS), slice(left, left + _TILE_COLUMNS))
        for top in range(0, len(order), _TILE_ROWS)
        for left in range(top - top % _TILE_COLUMNS, len(order), _TILE_COLUMNS)
        if shapes is None
        or _differ(shapes[order[top : top + _TILE_ROWS]], shapes[order[left : left + _TILE_COLUMNS]])
    ]
    shown: Iterable[tuple[slice, slice]] = tiles
    if progress is not None and tiles:
        shown = progress(tiles, len(tiles), f"searching {part}")
    found = [np.zeros((0, 2), dtype=np.int64)]
    for rows, columns in shown:
        similarity = _similarity(parts, rows, columns)
        places = np.flatnonzero(similarity.max(axis=1) > ALIKE)
        for row in places:
            near = np.flatnonzero(similarity[row] > ALIKE)
            near = near[near + columns.start > row + rows.start]
            if len(near) > _NEIGHBOURS:
                near = near[np.argpartition(similarity[row, near], -_NEIGHBOURS)[-_NEIGHBOURS:]]
            first = order[np.full(len(near), row + rows.start)]
            second = order[near + columns.start]
            if shapes is not None:
                apart = np.abs(shapes[first] - shapes[second]) > _SAME_SHAPE
                first, second = first[apart], second[apart]
            found.append(np.sort(np.stack([first, second], axis=1), axis=1))
    return np.concatenate(found)


def _differ(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(max(first.max(), second.max()) - min(first.min(), second.min()) > _SAME_SHAPE)


def _by_parity(descriptors: np.ndarray) -> list[list[np.ndarray]]:
    """Returns the four parts of all descriptors, each (N, F*F/4), then those of the transposed ones.

    A part holds the coefficients of even or odd row and even or odd column frequency: in the order ee, oo, eo, oe.
    """
    return [
        [
            np.ascontiguousarray(turned_descriptors[:, row::2, column::2].reshape(len(descriptors), -1))
            for row, column in ((0, 0), (1, 1), (0, 1), (1, 0))
        ]
        for turned_descriptors in (descriptors, descriptors.swapaxes(1, 2))
    ]


def _similarity(parts: list[list[np.ndarray]], rows: slice, columns: slice) -> np.ndarray:
    """Returns float32 (rows, columns): the similarity of descriptors in the best of the eight turns.

    Reversing rows or columns flips the sign of the odd coefficients along that axis, so the products of four parts
    give all four reversals: ±rows ±columns of ee + oo + eo + oe, of which the largest is
    max(ee + oo + |eo + oe|, ee - oo + |eo - oe|).
    """
    best: np.ndarray | None = None
    for transposed in parts:
        ee, oo, eo, oe = (
            one[rows] @ other[columns].T for one, other in zip(transposed, parts[0], strict=True)
        )
        # The same reversal on both axes keeps oo and lets eo and oe go together; a single one does the opposite.
        both = ee + oo
        both += np.abs(eo + oe)
        ee -= oo
        eo -= oe
        ee += np.abs(eo, out=eo)
        np.maximum(both, ee, out=both)
        best = both if best is None else np.maximum(best, both, out=best)
    assert best is not None
    return best


def _verify(views: np.ndarray, descriptors: np.ndarray, pairs: np.ndarray) -> Iterator[Match]:
    """Yields those of `pairs`, (M, 2), whose detail agrees."""
    members, places = np.unique(pairs, return_inverse=True)
    first, second = places.reshape(pairs.shape).T
    detail, described = detail_maps(views[members]), descriptors[members]
    similarity = [
        np.einsum("nij,nij->n", describe_turned(described[first], turn), described[second])
        for turn in range(len(TURNS))
    ]
    turn = np.argmax(similarity, axis=0)
    one = np.stack([turned(detail[place], number) for place, number in zip(first, turn, strict=True)])
    other = detail[second]
    with fft.set_workers(os.cpu_count() or 1):
        score, shown = correlate(one, other), np.ones(len(pairs))
        doubtful = np.flatnonzero(score <= SAME)
        if len(doubtful):
            zoomed, share = correlate_zoomed(one[doubtful], other[doubtful])
            found = zoomed > SAME_ZOOMED
            score[doubtful[found]], shown[doubtful[found]] = zoomed[found], share[found]
    for place in np.flatnonzero(score > SAME):
        low, high = pairs[place].tolist()
        yield Match(low, high, min(1.0, float(score[place])), int(turn[place]), float(shown[place]))


def _batches(count: int) -> list[slice]:
    return [slice(start, start + _BATCH) for start in range(0, count, _BATCH)]
