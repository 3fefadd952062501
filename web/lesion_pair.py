"""Two visits of a lesion side by side: which ones, the class that their heatmaps explain, and what each says of it.

Plain values in, plain values out; a template draws them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from derm_core import class_bars, diagnosis_name, explained_code
from web.presentation import percent
from web.visits import Visit

NO_CLASS = "none"
"""In place of a class's code: the photographs alone."""


@dataclass(frozen=True)
class Side:
    """One of the two visits.

    Attributes:
        readings: code of each class that there is to choose -> what this visit's answer says of it, in words.
        explained: codes of the classes that it has a heatmap of; none where no answer was given.
    """

    visit: Visit
    readings: Mapping[str, str]
    explained: frozenset[str]


@dataclass(frozen=True)
class Pair:
    """The two visits, the classes to choose from (code -> name) and the chosen one's code, or NO_CLASS."""

    left: Side
    right: Side
    classes: Mapping[str, str]
    chosen: str

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both, the left one first."""
        return self.left, self.right


def pair_of(visits: Sequence[Visit], *, left: str = "", right: str = "", code: str = "") -> Pair | None:
    """Returns two visits of a lesion to be compared; None where there is but one.

    Args:
        visits: all of them, the oldest first.
        left, right: keys of the answers that were asked for. What is none of the visits' counts as not asked for: then
            it is the latest on the right, and on the left the answered one before it, or else the one just before.
        code: the class that was asked for, or NO_CLASS; one that neither visit knows counts as not asked for. Then it
            is what the latest answer rests on, so that the two can be compared.
    """
    if len(visits) < 2:
        return None
    by_key = {visit.prediction.key: visit for visit in visits}
    before = next((visit for visit in reversed(visits[:-1]) if visit.answered), visits[-2])
    shown = by_key.get(left, before), by_key.get(right, visits[-1])
    classes = _classes(shown)
    chosen = code if code == NO_CLASS or code in classes else _explained(visits, shown)
    return Pair(_side(shown[0], classes), _side(shown[1], classes), classes, chosen)


def _classes(shown: Sequence[Visit]) -> dict[str, str]:
    """Returns the classes of the answers shown: the right one's first, the most probable of them before all."""
    answered = [visit for visit in reversed(shown) if visit.answered]
    return {bar.code: bar.name for visit in answered for bar in class_bars(visit.prediction)}


def _explained(visits: Sequence[Visit], shown: Sequence[Visit]) -> str:
    for visit in (*reversed(visits), *reversed(shown)):
        if visit.answered:
            code = explained_code(visit.prediction)
            if any(code in one.prediction.probabilities for one in shown if one.answered):
                return code
    return NO_CLASS


def _side(visit: Visit, classes: Mapping[str, str]) -> Side:
    known = visit.prediction.probabilities if visit.answered else {}
    return Side(visit, {code: _reading(visit, code) for code in classes}, frozenset(known))


def _reading(visit: Visit, code: str) -> str:
    if not visit.answered:
        return "No heatmap: no answer was given."
    if code not in visit.prediction.probabilities:
        return f"{diagnosis_name(code)}: not known to the model that answered"
    return f"{diagnosis_name(code)}: {percent(visit.prediction.probabilities[code])}"
