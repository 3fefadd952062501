"""All that an audit found, in one value and as JSON. The words for people are those of `audit_sentences`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from derm_core.data.audit import Audit
from derm_core.data.audit_findings import (
    Contradiction,
    CrossingLesion,
    Overlap,
    Repeats,
    contradictions,
    counts_by_split,
    crossing_lesions,
    overlap,
    repeats,
    shared_with,
    shortcuts_of,
)
from derm_core.data.near_duplicates import ALIKE, SAME, SAME_ZOOMED
from derm_core.data.shortcuts import TOGETHER, Shortcuts


@dataclass(frozen=True)
class SetReport:
    """What was found within one dataset; `unreadable` and `blank` are places in `Audit.pictures`.

    `counts` holds pictures and lesions by split and diagnosis; `shared`, by split, how many of its pictures show a
    lesion that is also in each other split.
    """

    name: str
    pictures: int
    lesions: int
    unreadable: tuple[int, ...]
    blank: tuple[int, ...]
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    crossing: tuple[CrossingLesion, ...]
    shared: Mapping[str, Mapping[str, int]]
    repeats: Repeats
    shortcuts: Shortcuts | None

    @property
    def classes(self) -> dict[str, int]:
        """Pictures of each diagnosis, the most frequent first."""
        total: Counter[str] = Counter()
        for labels in self.counts.values():
            total.update({label: found["pictures"] for label, found in labels.items()})
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    def in_split(self, split: str) -> int:
        """How many pictures a split has."""
        return sum(found["pictures"] for found in self.counts[split].values())


@dataclass(frozen=True)
class Report:
    """What was found within and across the datasets. `overlaps` has every ordered pair of sets that share a lesion."""

    audit: Audit
    sets: tuple[SetReport, ...]
    overlaps: Mapping[tuple[int, int], Overlap]
    contradictions: tuple[Contradiction, ...]

    @property
    def has_faults(self) -> bool:
        """Whether something makes results wrong: a leak between splits, labels that clash, files nobody can read."""
        return bool(self.contradictions) or any(found.crossing or found.unreadable for found in self.sets)

    def class_overlap(self, first: int, second: int) -> dict[str, tuple[int, int]]:
        """Returns, for each class of the set at `first`, how many pictures are copies from `second`, of how many."""
        found = self.overlaps.get((first, second))
        copied = Counter(
            self.audit.pictures[place].row.diagnosis for place in (found.copies if found else ())
        )
        return {label: (copied[label], count) for label, count in self.sets[first].classes.items()}

    def split_overlap(self, first: int, second: int) -> dict[str, dict[str, int]]:
        """Returns, by split of the set at `first`, how many pictures show a lesion that each split of `second` has."""
        found = self.overlaps.get((first, second))
        splits_of: dict[int, set[str]] = defaultdict(set)
        for place in self.audit.places_of[second].tolist():
            if split := self.audit.pictures[place].row.split:
                splits_of[int(self.audit.lesions[place])].add(split)
        shared: dict[str, Counter[str]] = defaultdict(Counter)
        for place in found.lesions if found else ():
            if split := self.audit.pictures[place].row.split:
                shared[split].update(splits_of[int(self.audit.lesions[place])])
        return {split: dict(sorted(counts.items())) for split, counts in sorted(shared.items())}

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {
            "datasets": [self._set_dict(place) for place in range(len(self.sets))],
            "overlaps": [
                {
                    "dataset": self.sets[first].name,
                    "other": self.sets[second].name,
                    "copies": len(found.copies),
                    "pictures_of_shared_lesions": len(found.lesions),
                    "classes": {
                        label: {"copies": copied, "pictures": count}
                        for label, (copied, count) in self.class_overlap(first, second).items()
                    },
                    "splits": self.split_overlap(first, second),
                }
                for (first, second), found in self.overlaps.items()
            ],
            "contradictions": [
                {
                    "labels": list(found.labels),
                    "copies": found.copies,
                    "pictures": [self._picture(place) for place in found.places],
                }
                for found in self.contradictions
            ],
            "pairs": [
                {
                    "first": self._picture(pair.first),
                    "second": self._picture(pair.second),
                    "kind": pair.kind,
                    "score": round(pair.score, 4),
                    "turn": pair.turn,
                    "shown": pair.shown,
                }
                for pair in self.audit.pairs
            ],
            "thresholds": {"alike": ALIKE, "same": SAME, "same_zoomed": SAME_ZOOMED},
        }

    def _picture(self, place: int) -> dict[str, str]:
        picture = self.audit.pictures[place]
        row = picture.row
        return {
            "dataset": picture.dataset,
            "image": picture.name,
            "diagnosis": row.diagnosis,
            "lesion_id": row.lesion_id,
            "split": row.split,
        }

    def _names(self, places: tuple[int, ...]) -> list[str]:
        return [self.audit.pictures[place].name for place in places]

    def _set_dict(self, place: int) -> dict[str, Any]:
        found = self.sets[place]
        return {
            "name": found.name,
            "folder": str(self.audit.sets[place].path),
            "pictures": found.pictures,
            "lesions": found.lesions,
            "classes": found.classes,
            "splits": {
                split: {label: dict(counts) for label, counts in labels.items()}
                for split, labels in found.counts.items()
            },
            "unreadable": [
                {"image": self.audit.pictures[member].name, "reason": self.audit.pictures[member].error}
                for member in found.unreadable
            ],
            "blank": self._names(found.blank),
            "crossing": {
                "shared": {split: dict(counts) for split, counts in found.shared.items()},
                "evidence": dict(Counter(lesion.evidence for lesion in found.crossing)),
                "lesions": [
                    {
                        "evidence": lesion.evidence,
                        "pictures": [self._picture(member) for member in lesion.places],
                    }
                    for lesion in found.crossing
                ],
            },
            "copies": {
                "groups": [self._names(group) for group in found.repeats.groups],
                "extra": found.repeats.extra,
                "pairs_of_one_lesion": found.repeats.one_lesion,
                "pairs_of_two_lesions": [self._names(pair) for pair in found.repeats.two_lesions],
            },
            "file_properties": None if found.shortcuts is None else _shortcuts_dict(found.shortcuts),
        }


def make_report(audit: Audit) -> Report:
    """Draws every conclusion from an audit: the leaks, clashes, overlaps and shortcuts."""
    sets = []
    for place, item in enumerate(audit.sets):
        members = audit.places_of[place].tolist()
        crossing = crossing_lesions(audit, place)
        blank = set(audit.blank)
        sets.append(
            SetReport(
                name=item.name,
                pictures=len(members),
                lesions=len({int(audit.lesions[member]) for member in members}),
                unreadable=tuple(member for member in members if audit.pictures[member].error),
                blank=tuple(member for member in members if member in blank),
                counts=counts_by_split(audit, place),
                crossing=tuple(crossing),
                shared=shared_with(audit, crossing),
                repeats=repeats(audit, place),
                shortcuts=shortcuts_of(audit, place),
            )
        )
    overlaps = {
        (first, second): found
        for first in range(len(sets))
        for second in range(len(sets))
        if first != second and (found := overlap(audit, first, second)).lesions
    }
    return Report(audit, tuple(sets), overlaps, tuple(contradictions(audit)))


def _shortcuts_dict(found: Shortcuts) -> dict[str, Any]:
    return {
        "classes": list(found.classes),
        "pictures": found.pictures,
        "chance": found.chance,
        "majority": {"class": found.majority_class, "accuracy": found.majority},
        "permuted": {"of": TOGETHER, "mean": found.permuted[0], "max": found.permuted[1]},
        "rules": [
            {
                "property": rule.name,
                "tells": found.tells(rule),
                "accuracy": rule.accuracy,
                "balanced_accuracy": rule.balanced_accuracy,
                "ci95": list(rule.ci95),
                "auc": rule.auc,
                "values": [{"value": value, "pictures": dict(counts)} for value, counts in rule.table],
            }
            for rule in found.rules
        ],
    }
