"""What an audit found, in sentences for people: one a finding, the grave ones first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from derm_core.data.audit_findings import COPIES, OWN_IDS
from derm_core.data.audit_report import Report, SetReport
from derm_core.data.shortcut_sentences import shortcut_sentences
from derm_core.data.source import name_some

FAULT, WARNING, NOTE = "fault", "warning", "note"
"""A fault makes results wrong; a warning can, depending on what is done with the data; a note is good to know."""
_LEVEL_OF = {
    "unreadable": FAULT,
    "crossing": FAULT,
    "contradictions": FAULT,
    "origin": WARNING,
    "file properties": WARNING,
    "two lesions": WARNING,
    "blank": WARNING,
    "overlap": WARNING,
    "bytes per pixel": NOTE,
    "copies": NOTE,
    "balance": NOTE,
}
_LARGE_RATIO = 10
_FEW_LESIONS = 10
_NAMES = 3


@dataclass(frozen=True)
class Finding:
    """One thing to know. `kind` says what it is about; `place` is its dataset's, None where several are concerned."""

    kind: str
    place: int | None
    sentence: str

    @property
    def level(self) -> str:
        """`FAULT`, `WARNING` or `NOTE`."""
        return _LEVEL_OF[self.kind]


def findings_of(report: Report) -> list[Finding]:
    """Returns the findings, faults first, then warnings and notes, each in the order of the datasets."""
    found = [
        Finding(kind, place, sentence)
        for place in range(len(report.sets))
        for kind, sentence in _within(report, place)
    ]
    if report.contradictions:
        found.append(Finding("contradictions", None, _contradictions(report)))
    for first, second in report.overlaps:
        if _concerns_more(report, first, second):
            found.append(Finding("overlap", None, _overlap(report, first, second)))
    order = list(_LEVEL_OF)
    return sorted(
        found, key=lambda finding: ((FAULT, WARNING, NOTE).index(finding.level), order.index(finding.kind))
    )


def headline(report: Report) -> str:
    """Returns one sentence that sums the findings up."""
    levels = Counter(finding.level for finding in findings_of(report))
    pictures = sum(found.pictures for found in report.sets)
    read = f"{_count(pictures, 'picture')} in {_count(len(report.sets), 'dataset')}"
    if not levels[FAULT] and not levels[WARNING]:
        return f"{read}: nothing found that would make results wrong."
    return f"{read}: {_count(levels[FAULT], 'fault')} and {_count(levels[WARNING], 'warning')}."


def evidence_in_words(name: str) -> str:
    """Returns how it is known that pictures show one lesion, to stand after "known from"."""
    if name in (COPIES, OWN_IDS):
        return {COPIES: "copies of one picture", OWN_IDS: "the lesion ids of its table"}[name]
    return f"the lesion ids of {name}"


def _within(report: Report, place: int) -> Iterator[tuple[str, str]]:
    """Yields kind and sentence of what was found in one dataset."""
    found = report.sets[place]
    if found.unreadable:
        names = [report.audit.pictures[member].name for member in found.unreadable]
        all_of_it = _count(found.pictures, "picture")
        yield "unreadable", f"{len(names):,} of {all_of_it} cannot be read: {name_some(names, _NAMES)}."
    if found.crossing:
        yield "crossing", _crossing(found)
    if found.shortcuts:
        yield from shortcut_sentences(report, place, found.shortcuts)
    if found.repeats.two_lesions:
        pairs = len(found.repeats.two_lesions)
        yield (
            "two lesions",
            f"{_count(pairs, 'pair')} of copies {'has' if pairs == 1 else 'have'} two lesion ids each. They show one "
            "lesion, and a split by lesion id may part them.",
        )
    if found.blank:
        names = [report.audit.pictures[member].name for member in found.blank]
        shows = "shows" if len(names) == 1 else "show"
        yield "blank", f"{_count(len(names), 'picture')} {shows} nothing: {name_some(names, _NAMES)}."
    if found.repeats.groups:
        yield "copies", _copies(found)
    if sentences := list(_balance(found)):
        yield "balance", " ".join(sentences)


def _crossing(found: SetReport) -> str:
    told = []
    for split, other in (("test", "train"), ("val", "train"), ("test", "val")):
        if count := found.shared.get(split, {}).get(other, 0):
            shows = "shows" if count == 1 else "show"
            of = f"{count:,} of the {_count(found.in_split(split), f'{split} picture')}"
            told.append(f"{of} {shows} a lesion that is also in {other}")
    evidence = Counter(lesion.evidence for lesion in found.crossing)
    known = ", ".join(f"{evidence_in_words(name)} ({count:,})" for name, count in evidence.most_common())
    are = "is" if len(found.crossing) == 1 else "are"
    sides = f": {'; '.join(told)}" if told else ""
    return f"{_count(len(found.crossing), 'lesion')} {are} in more than one split{sides}. Known from {known}."


def _copies(found: SetReport) -> str:
    count = found.repeats
    are = "is" if len(count.groups) == 1 else "are"
    copies = _count(count.extra, "copy", "copies")
    sentence = f"{_count(len(count.groups), 'picture')} {are} there more than once, with {copies}."
    if count.one_lesion:
        pairs = _count(count.one_lesion, "pair")
        sentence += f" {pairs} of them within one lesion id, where a split by lesion keeps them together."
    return sentence


def _balance(found: SetReport) -> Iterator[str]:
    classes = {label: count for label, count in found.classes.items() if label}
    if len(classes) > 1:
        (most, many), *_, (least, few) = classes.items()
        if many >= _LARGE_RATIO * few:
            yield (
                f"{most} has {many / few:.0f} times as many pictures as {least} ({many:,} and {few:,}): plain accuracy "
                "says little here."
            )
    lesions = {
        f"{label} in {split}": counts[label]["lesions"] if label in counts else 0
        for split, counts in found.counts.items()
        if split
        for label in classes
    }
    thin = [f"{where} ({count})" for where, count in lesions.items() if count < _FEW_LESIONS]
    if thin:
        yield f"Fewer than {_FEW_LESIONS} lesions of {name_some(thin, 6)}: figures for them will be rough."


def _contradictions(report: Report) -> str:
    count = len(report.contradictions)
    kinds = Counter(" and ".join(found.labels) for found in report.contradictions)
    told = ", ".join(f"{labels} ({number:,})" for labels, number in kinds.most_common(_NAMES))
    of_copies = sum(found.copies for found in report.contradictions)
    return (
        f"{_count(count, 'lesion')} {'has' if count == 1 else 'have'} diagnoses that cannot both be true: {told}. "
        f"In {of_copies:,} of them copies of one picture differ."
    )


def _concerns_more(report: Report, first: int, second: int) -> bool:
    """Tells whether the overlap is the larger share of the set at `first`, from whose side it is told then."""
    shares = [
        len(report.overlaps[one, other].copies) / report.sets[one].pictures
        for one, other in ((first, second), (second, first))
    ]
    return shares[0] > shares[1] or (shares[0] == shares[1] and first < second)


def _overlap(report: Report, first: int, second: int) -> str:
    one, other, found = report.sets[first], report.sets[second], report.overlaps[first, second]
    more = len(found.lesions) - len(found.copies)
    are = "is a copy of one" if len(found.copies) == 1 else "are copies of pictures"
    sentence = (
        f"{len(found.copies):,} of the {one.pictures:,} pictures of {one.name} {are} in {other.name}"
        + (f", and {more:,} more show a lesion of it." if more else ".")
    )
    leaks = []
    for a, b in ((first, second), (second, first)):
        held = {
            split: counts["train"]
            for split, counts in report.split_overlap(a, b).items()
            if split != "train" and "train" in counts
        }
        if held:
            told = " and ".join(_count(count, f"{split} picture") for split, count in held.items())
            leaks.append(
                f"train of {report.sets[b].name} has lesions shown by {told} of {report.sets[a].name}"
            )
    return sentence + (
        f" What is trained on one cannot be tested on the other: {'; '.join(leaks)}." if leaks else ""
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
