"""The audit: reads every picture of one or several datasets once, and finds which are copies and which one lesion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from derm_core.data.audit_set import AuditSet
from derm_core.data.inspection import Progress
from derm_core.data.near_duplicates import Match, find_near_duplicates
from derm_core.data.picture_prints import PicturePrint, take_prints
from derm_core.data.source import SourceFile, SourceRow
from derm_core.errors import InvalidImageError
from derm_core.images import load_image

SAME_FILE, SAME_PIXELS, CHANGED = "same file", "same pixels", "changed copy"
"""How a picture repeats another one: byte for byte; pixel for pixel; resized, recompressed, turned, recoloured."""
READING = "reading pictures"
"""What progress calls the reading, the one loop over pictures; the others go over parts of the work."""
_MISSING = "listed, but not there"
_BLANK = 2.0  # grey levels: a print that varies by less shows nothing that could be compared
_NEARLY_EQUAL = 0.98


@dataclass(frozen=True)
class Picture:
    """One picture of one of the audited sets; `place` is that set's place among them."""

    place: int
    dataset: str
    row: SourceRow
    print: PicturePrint

    @property
    def name(self) -> str:
        """The name by which the user finds it in its dataset."""
        return self.row.name

    @property
    def error(self) -> str:
        """Why it cannot be read; empty where it can."""
        return _MISSING if self.row.file is None else self.print.error


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their places in `Audit.pictures`, that are copies of each other; the rest as in `Match`."""

    first: int
    second: int
    kind: str
    score: float = 1.0
    turn: str = ""
    shown: float = 1.0


@dataclass(frozen=True)
class Audit:
    """What the audit saw.

    `lesions` is int64 (N,): the lesion of each picture as far as can be told, numbered from 0. Pictures are of one
    lesion where a dataset's table gives them one `lesion_id`, where they are copies of each other, and where a chain of
    such steps leads from one to the other, through another dataset if need be. `blank` are the places of pictures with
    nothing on them, which are compared byte for byte only.
    """

    sets: tuple[AuditSet, ...]
    pictures: tuple[Picture, ...]
    pairs: tuple[Pair, ...]
    lesions: np.ndarray
    blank: tuple[int, ...]

    @cached_property
    def places_of(self) -> tuple[np.ndarray, ...]:
        """For each set, int64: the places of its pictures."""
        places = np.array([picture.place for picture in self.pictures])
        return tuple(np.flatnonzero(places == place) for place in range(len(self.sets)))

    @cached_property
    def pair_of(self) -> dict[tuple[int, int], Pair]:
        """The pairs by the places of their pictures, in both orders."""
        return {
            places: pair
            for pair in self.pairs
            for places in ((pair.first, pair.second), (pair.second, pair.first))
        }

    @cached_property
    def copies(self) -> np.ndarray:
        """int64 (N,): pictures with the same number are copies of each other, directly or by a chain of pairs."""
        return _components(len(self.pictures), [(pair.first, pair.second) for pair in self.pairs])


def run_audit(
    sets: Sequence[AuditSet], *, workers: int | None = None, progress: Progress | None = None
) -> Audit:
    """Reads all pictures of all sets and compares every one with every other.

    Args:
        sets: from `read_audit_sets`.
        workers: processes that decode; by default one for each processor that this process may use.
        progress: as in `inspection.inspect_pictures`.
    """
    pictures = _read_pictures(sets, workers, progress)
    alike = _same_files(pictures)
    # Files that are the same to the byte are compared with the others once.
    chosen = [group[0] for group in alike if pictures[group[0]].print.pixels is not None]
    blank = {place for place in chosen if _is_blank(pictures[place].print)}
    chosen = [place for place in chosen if place not in blank]
    matches = _find(pictures, chosen, progress)
    pairs = [Pair(group[0], other, SAME_FILE) for group in alike for other in group[1:]]
    for match in matches:
        first, second = chosen[match.first], chosen[match.second]
        kind = SAME_PIXELS if _same_pixels(pictures[first], pictures[second], match) else CHANGED
        pairs.append(Pair(first, second, kind, match.score, match.turn_name, match.shown))
    pairs.sort(key=lambda pair: (pair.first, pair.second))
    all_blank = tuple(place for group in alike if group[0] in blank for place in group)
    return Audit(tuple(sets), pictures, tuple(pairs), _lesions(pictures, pairs, set(all_blank)), all_blank)


def _read_pictures(
    sets: Sequence[AuditSet], workers: int | None, progress: Progress | None
) -> tuple[Picture, ...]:
    listed = [(place, item, row) for place, item in enumerate(sets) for row in item.rows]
    files: list[SourceFile] = [row.file for _, _, row in listed if row.file is not None]
    prints: Iterable[PicturePrint] = take_prints(files, workers=workers)
    if progress is not None:
        prints = progress(prints, len(files), READING)
    taken = iter(list(prints))
    return tuple(
        Picture(place, item.name, row, PicturePrint() if row.file is None else next(taken))
        for place, item, row in listed
    )


def _same_files(pictures: Sequence[Picture]) -> list[list[int]]:
    """Returns the places of readable pictures, those whose files are equal together."""
    by_digest: dict[str, list[int]] = defaultdict(list)
    for place, picture in enumerate(pictures):
        if not picture.error:
            by_digest[picture.print.digest].append(place)
    return list(by_digest.values())


def _is_blank(found: PicturePrint) -> bool:
    return found.pixels is not None and float(found.pixels.std()) < _BLANK


def _find(pictures: Sequence[Picture], chosen: Sequence[int], progress: Progress | None) -> list[Match]:
    prints = [pictures[place].print for place in chosen]
    pixels = [found.pixels for found in prints if found.pixels is not None]
    if len(pixels) < 2:
        return []
    widths, heights = (np.array([getattr(found, side) for found in prints]) for side in ("width", "height"))
    return find_near_duplicates(np.stack(pixels), widths, heights, progress=progress)


def _same_pixels(first: Picture, second: Picture, match: Match) -> bool:
    """Decodes two pictures whole where they could be equal pixel for pixel: the same picture saved without loss."""
    sizes = {(picture.print.width, picture.print.height) for picture in (first, second)}
    if match.score < _NEARLY_EQUAL or match.turn_name or len(sizes) > 1:
        return False
    try:
        one, other = (
            load_image(picture.row.file.read_bytes()) for picture in (first, second) if picture.row.file
        )
    except InvalidImageError:
        return False
    return one.size == other.size and one.tobytes() == other.tobytes()


def _lesions(pictures: Sequence[Picture], pairs: Sequence[Pair], blank: set[int]) -> np.ndarray:
    links = [(pair.first, pair.second) for pair in pairs if pair.first not in blank]
    first_of: dict[tuple[int, str], int] = {}
    for place, picture in enumerate(pictures):
        if picture.row.lesion_id:
            # A lesion_id means something within its own dataset only.
            first = first_of.setdefault((picture.place, picture.row.lesion_id), place)
            links.append((first, place))
    return _components(len(pictures), links)


def _components(count: int, links: Sequence[tuple[int, int]]) -> np.ndarray:
    rows, columns = np.array(links, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)
