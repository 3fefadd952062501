"""In words: which classes can be told without a look at the pixels, by what, how well, and what chance reaches."""

from __future__ import annotations

from collections.abc import Iterator

from derm_core.data.audit_report import Report
from derm_core.data.file_properties import BYTES_PER_PIXEL
from derm_core.data.shortcuts import ORIGIN, TOGETHER, Rule, Shortcuts

_STRONG = 0.25  # of the way from chance to certainty: less is a hint
_MATTERS = 0.05  # of a class that another dataset holds: less explains nothing


def shortcut_sentences(report: Report, place: int, found: Shortcuts) -> Iterator[tuple[str, str]]:
    """Yields kind and sentence of what tells the classes of the set at `place`; nothing where nothing does.

    The kinds are "origin", "file properties" and, where nothing else of the file tells, "bytes per pixel".
    """
    telling = [rule for rule in found.rules if found.tells(rule)]
    origin = next((rule for rule in telling if rule.name == ORIGIN), None)
    if origin:
        copies = " ".join(_copied_classes(report, place))
        yield "origin", f"{copies} A rule that looks only at that is {_score(origin, found)}."
    of_file = [rule for rule in telling if rule.name not in (ORIGIN, TOGETHER, BYTES_PER_PIXEL)]
    size = next((rule for rule in telling if rule.name == BYTES_PER_PIXEL), None)
    if of_file:
        names = [f"the {rule.name}" for rule in of_file[1:]]
        more = f" So {'does' if len(names) == 1 else 'do'} {' and '.join(names)}." if names else ""
        yield "file properties", _told_by(of_file[0], found) + more
    elif size:
        yield (
            BYTES_PER_PIXEL,
            f"{_told_by(size, found)} Finer detail needs more bytes, so this need not be a flaw.",
        )


def percent(share: float) -> str:
    """Returns a share in whole percents; what is not quite nothing or all is written so."""
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{100 * share:.0f}%"


def _told_by(rule: Rule, found: Shortcuts) -> str:
    classes = " from ".join(found.classes) if len(found.classes) == 2 else f"the {len(found.classes)} classes"
    strong = rule.balanced_accuracy - found.chance > _STRONG * (1 - found.chance)
    verb = "tells" if strong else "hints at"
    return f"Without a look at the pixels, the {rule.name} {verb} {classes}: a rule on it is {_score(rule, found)}."


def _score(rule: Rule, found: Shortcuts) -> str:
    low, high = (percent(bound) for bound in rule.ci95)
    return (
        f"right for {percent(rule.accuracy)} of the pictures, where always answering {found.majority_class} is right "
        f"for {percent(found.majority)} (balanced accuracy {percent(rule.balanced_accuracy)}, 95% CI "
        f"{low.removesuffix('%')}–{high}, by chance {percent(found.chance)})"
    )


def _copied_classes(report: Report, place: int) -> Iterator[str]:
    """Yields, for each other dataset that matters, which classes are wholly copied from it, and how much of others."""
    for first, second in report.overlaps:
        shares = report.class_overlap(first, second)
        if first != place or not any(copied >= _MATTERS * count for copied, count in shares.values()):
            continue
        name = report.sets[second].name
        whole = [
            f"all {count:,} {label} pictures" for label, (copied, count) in shares.items() if copied == count
        ]
        part = [
            f"{copied:,} of the {count:,} {label} pictures"
            for label, (copied, count) in shares.items()
            if copied < count
        ]
        joined = ", but only ".join(filter(None, [" and ".join(whole), " and ".join(part)]))
        yield f"Copies of pictures in {name} are {joined}."
