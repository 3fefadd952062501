"""What an audit's pairs and lesions mean for splits, labels and other datasets. Reads no file, writes no sentence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np

from derm_core.data.audit import Audit
from derm_core.data.shortcuts import Shortcuts, find_shortcuts
from derm_core.data.splits import SPLITS
from derm_core.diagnoses import DIAGNOSES, TASKS

COPIES, OWN_IDS = "copies", "lesion ids of its table"
NOWHERE = "no other dataset"
_SIDES = TASKS["malignancy"].classes
_TRIES = 10_000  # pairs of one lesion's pictures that are looked through for the most telling one


@dataclass(frozen=True)
class CrossingLesion:
    """A lesion that a dataset has in more than one split.

    `places` are its pictures in that dataset; `shown` are two of them on different sides. `evidence` is how it is known
    that those are one lesion: `COPIES`, `OWN_IDS`, or the name of the dataset whose lesion ids tell.
    """

    places: tuple[int, ...]
    shown: tuple[int, int]
    evidence: str


@dataclass(frozen=True)
class Contradiction:
    """Pictures of one lesion whose diagnoses cannot both be true. `shown` are two of them, copies where some are."""

    places: tuple[int, ...]
    labels: tuple[str, ...]
    shown: tuple[int, int]
    copies: bool


@dataclass(frozen=True)
class Repeats:
    """Copies within one dataset: the places of each group, and pairs of copies whose table gives two lesion ids."""

    groups: tuple[tuple[int, ...], ...]
    one_lesion: int
    two_lesions: tuple[tuple[int, int], ...]

    @property
    def extra(self) -> int:
        """How many pictures would go if one of each group stayed."""
        return sum(len(group) - 1 for group in self.groups)


@dataclass(frozen=True)
class Overlap:
    """What one dataset has of another: places in the first that are copies of pictures in the second, and those that
    show a lesion of it (the copies among them). `shown` holds pairs of copies, one for each of the first places."""

    copies: tuple[int, ...]
    lesions: tuple[int, ...]
    shown: tuple[tuple[int, int], ...]


def crossing_lesions(audit: Audit, place: int) -> list[CrossingLesion]:
    """Returns the lesions that the set at `place` has in more than one split, sorted by their first picture."""
    found = []
    for members in _groups(audit.lesions, audit.places_of[place]):
        by_split: dict[str, list[int]] = defaultdict(list)
        for member in members:
            if split := audit.pictures[member].row.split:
                by_split[split].append(member)
        if len(by_split) > 1:
            shown, evidence = _most_telling(audit, by_split)
            found.append(CrossingLesion(tuple(members), shown, evidence))
    return found


def shared_with(audit: Audit, lesions: Sequence[CrossingLesion]) -> dict[str, dict[str, int]]:
    """Returns, for each split, how many of its pictures show a lesion that is also in each other split."""
    shared: dict[str, Counter[str]] = defaultdict(Counter)
    for lesion in lesions:
        splits = [audit.pictures[member].row.split for member in lesion.places]
        for split in filter(None, splits):
            shared[split].update({other for other in splits if other and other != split})
    return {split: dict(sorted(counts.items())) for split, counts in sorted(shared.items())}


def contradictions(audit: Audit) -> list[Contradiction]:
    """Returns the lesions, over all sets, whose pictures have diagnoses that cannot both be true."""
    found = []
    for members in _groups(audit.lesions, np.arange(len(audit.pictures))):
        labelled: dict[tuple[str, int], list[int]] = defaultdict(list)
        for member in members:
            picture = audit.pictures[member]
            labelled[picture.row.diagnosis, picture.place].append(member)
        pairs = [
            pair
            for one, other in combinations(sorted(labelled), 2)
            if contradict(one[0], other[0], same_words=one[1] == other[1])
            for pair in islice(product(labelled[one], labelled[other]), _TRIES)
        ]
        if pairs:
            shown = next((pair for pair in pairs if pair in audit.pair_of), pairs[0])
            labels = tuple(sorted({label for label, _ in labelled if label}))
            found.append(Contradiction(tuple(members), labels, shown, shown in audit.pair_of))
    return found


def contradict(one: str, other: str, *, same_words: bool = True) -> bool:
    """Tells whether two diagnoses cannot both be true: "benign" agrees with "nv", and "" with everything.

    A word that the product does not know says nothing about the words of another dataset (`same_words` False).
    """
    if one == other or not one or not other:
        return False
    if one not in DIAGNOSES or other not in DIAGNOSES:
        return same_words
    if (one in _SIDES) == (other in _SIDES):
        return True
    return DIAGNOSES[one].malignant != DIAGNOSES[other].malignant


def repeats(audit: Audit, place: int) -> Repeats:
    """Returns the copies within the set at `place`."""
    inside = set(audit.places_of[place].tolist())
    one_lesion, two_lesions = 0, []
    for pair in audit.pairs:
        if pair.first in inside and pair.second in inside:
            ids = {audit.pictures[member].row.lesion_id for member in (pair.first, pair.second)}
            if "" not in ids and len(ids) == 1:
                one_lesion += 1
            elif "" not in ids:
                two_lesions.append((pair.first, pair.second))
    groups = [tuple(group) for group in _groups(audit.copies, audit.places_of[place]) if len(group) > 1]
    return Repeats(tuple(groups), one_lesion, tuple(two_lesions))


def overlap(audit: Audit, first: int, second: int) -> Overlap:
    """Returns what the set at `first` has of the set at `second`."""
    mine, theirs = audit.places_of[first], audit.places_of[second]
    copies = mine[np.isin(audit.copies[mine], audit.copies[theirs])]
    lesions = mine[np.isin(audit.lesions[mine], audit.lesions[theirs])]
    inside, outside = set(copies.tolist()), set(theirs.tolist())
    best: dict[int, tuple[float, int]] = {}
    for pair in audit.pairs:
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if one in inside and other in outside:
                best[one] = max(best.get(one, (0.0, 0)), (pair.score, other))
    shown = tuple((one, other) for one, (_, other) in sorted(best.items()))
    return Overlap(tuple(copies.tolist()), tuple(lesions.tolist()), shown)


def shortcuts_of(audit: Audit, place: int) -> Shortcuts | None:
    """Returns how well the readable files of the set at `place` tell its classes; see `find_shortcuts`."""
    places = [member for member in audit.places_of[place].tolist() if audit.pictures[member].print.properties]
    files = [found for member in places if (found := audit.pictures[member].print.properties)]
    labels = [audit.pictures[member].row.diagnosis for member in places]
    lesions = [str(audit.lesions[member]) for member in places]
    return find_shortcuts(files, labels, lesions, origins=_origins(audit, place, places))


def counts_by_split(audit: Audit, place: int) -> dict[str, dict[str, dict[str, int]]]:
    """Returns the pictures and lesions of each diagnosis in each split of the set at `place`."""
    pictures: dict[str, Counter[str]] = defaultdict(Counter)
    lesions: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for member in audit.places_of[place].tolist():
        row = audit.pictures[member].row
        pictures[row.split][row.diagnosis] += 1
        lesions[row.split][row.diagnosis].add(int(audit.lesions[member]))
    return {
        split: {
            label: {"pictures": count, "lesions": len(lesions[split][label])}
            for label, count in sorted(pictures[split].items())
        }
        for split in sorted(pictures, key=_rank)
    }


def _origins(audit: Audit, place: int, places: Sequence[int]) -> list[str] | None:
    """Returns, for each of `places`, which other sets hold a copy of it; None where there is no other set."""
    others = [number for number in range(len(audit.sets)) if number != place]
    if not others:
        return None
    held = {number: set(audit.copies[audit.places_of[number]].tolist()) for number in others}
    return [
        " + ".join(audit.sets[number].name for number in others if int(audit.copies[member]) in held[number])
        or NOWHERE
        for member in places
    ]


def _most_telling(audit: Audit, by_split: Mapping[str, Sequence[int]]) -> tuple[tuple[int, int], str]:
    """Returns two pictures of one lesion on different sides of a split, and how it is known that it is one."""
    pairs = [
        pair
        for one, other in combinations(sorted(by_split, key=_rank, reverse=True), 2)
        for pair in islice(product(by_split[one], by_split[other]), _TRIES)
    ]
    for pair in pairs:
        if pair in audit.pair_of:
            return pair, COPIES
    for one, other in pairs:
        ids = {audit.pictures[member].row.lesion_id for member in (one, other)}
        if len(ids) == 1 and "" not in ids:
            return (one, other), OWN_IDS
    own = audit.pictures[pairs[0][0]]
    others = [
        audit.pictures[member]
        for member in np.flatnonzero(audit.lesions == audit.lesions[pairs[0][0]]).tolist()
    ]
    telling = sorted({other.dataset for other in others if other.row.lesion_id and other.place != own.place})
    return pairs[0], " + ".join(telling) or COPIES


def _groups(numbers: np.ndarray, places: np.ndarray) -> Iterable[list[int]]:
    """Returns `places` in groups of the same number, in the order of their first."""
    groups: dict[int, list[int]] = defaultdict(list)
    for place in places.tolist():
        groups[int(numbers[place])].append(place)
    return groups.values()


def _rank(split: str) -> tuple[int, str]:
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), split)
