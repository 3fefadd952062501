"""A lesion's risk over time as SVG, in the colours of the page: time and risk to scale. Reads no file.

Points of another model than the latest are hollow, and a visit without an answer is a cross on the axis: nothing is
drawn between what cannot be compared. The operating point drawn is that of the latest answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from derm_core import percent
from desktop.case_change import risk_of
from desktop.case_page import day_words
from desktop.figures import svg_percent
from desktop.markup import card
from desktop.texts import say

if TYPE_CHECKING:
    from datetime import date

    from desktop.case_schema import Photograph

_TOP, _BOTTOM = 22, 190  # pixels, where 100% and 0% are
_LEFT, _RIGHT = 0.14, 0.93  # shares of the width, where the first and the last day are
_APART, _DAYS_APART = (
    0.13,
    0.22,
)  # shares of the width between two figures, or two days, that can both be read


def risk_chart(visits: Sequence[Photograph]) -> str:
    """Returns the chart of visits in order of time; nothing where fewer than two of them were answered."""
    answered = [visit for visit in visits if visit.is_answered]
    if len(answered) < 2:
        return ""
    latest = answered[-1].answer
    first, last = visits[0].day, visits[-1].day
    point = float(latest["operating_point"])
    places = [(_across(visit.day, first, last), _down(risk_of(visit))) for visit in answered]
    same = [visit.answer["model_sha256"] == latest["model_sha256"] for visit in answered]
    lines = "".join(
        f'<line class="series" x1="{svg_percent(x)}" y1="{y}" x2="{svg_percent(u)}" y2="{v}"/>'
        for ((x, y), (u, v)), both in zip(pairwise(places), pairwise(same), strict=True)
        if all(both)
    )
    shown = _readable([x for x, _ in places])
    dots = "".join(
        _dot(x, y, percent(risk_of(visit)) if number in shown else "", own=own)
        for number, (visit, (x, y), own) in enumerate(zip(answered, places, same, strict=True))
    )
    told = "; ".join(f"{day_words(visit.day)} {percent(risk_of(visit))}" for visit in answered)
    sentence = say("case-chart-label", visits=told, point=percent(point))
    crosses = [svg_percent(_across(visit.day, first, last)) for visit in visits if not visit.is_answered]
    drawn = (
        f'<svg class="chart" height="216" role="img" aria-label="{escape(sentence)}">'
        f"{_ground(point)}{_days(visits, first, last)}{lines}{''.join(map(_cross, crosses))}{dots}</svg>"
    )
    return card(
        say("case-chart-title"), drawn + _key(percent(point), others=not all(same), crosses=bool(crosses))
    )


def _ground(point: float) -> str:
    left, right, at = svg_percent(_LEFT - 0.04), svg_percent(_RIGHT + 0.04), _down(point)
    width = svg_percent(_RIGHT - _LEFT + 0.08)
    levels = "".join(
        f'<line class="{"axis" if share == 0 else "grid"}" x1="{left}" x2="{right}" y1="{_down(share)}" '
        f'y2="{_down(share)}"/><text x="{svg_percent(_LEFT - 0.05)}" y="{_down(share) + 4}" text-anchor="end">'
        f"{share:.0%}</text>"
        for share in (0.0, 0.5, 1.0)
    )
    return (
        f'<rect class="zone" x="{left}" y="{_TOP}" width="{width}" height="{round(at - _TOP, 1)}"/>{levels}'
        f'<line class="point" x1="{left}" x2="{right}" y1="{at}" y2="{at}"/>'
    )


def _days(visits: Sequence[Photograph], first: date, last: date) -> str:
    days = sorted({visit.day for visit in visits})
    places = [_across(day, first, last) for day in days]
    ticks = "".join(
        f'<line class="axis" x1="{svg_percent(x)}" x2="{svg_percent(x)}" y1="{_BOTTOM}" y2="{_BOTTOM + 5}"/>'
        for x in places
    )
    shown = sorted(_readable(places, apart=_DAYS_APART), reverse=True)
    words = "".join(
        # Where it is narrow, every second one goes.
        f'<text{" class=every-second" if place % 2 else ""} x="{svg_percent(places[number])}" y="{_BOTTOM + 21}" '
        f'text-anchor="{_anchor(places[number])}">{day_words(days[number])}</text>'
        for place, number in enumerate(shown)
    )
    return ticks + words


def _anchor(place: float) -> str:
    return "start" if place < 0.2 else "end" if place > 0.9 else "middle"


def _dot(x: float, y: float, words: str, *, own: bool) -> str:
    beside = y - 12 if y - 12 > _TOP - 10 else y + 22
    label = (
        f'<text class="strong" x="{svg_percent(x)}" y="{beside:g}" text-anchor="middle">{words}</text>'
        if words
        else ""
    )
    return f'<circle class="{"dot" if own else "dot-other"}" cx="{svg_percent(x)}" cy="{y}" r="6"/>{label}'


def _cross(x: str) -> str:
    return (
        f'<svg class="withheld" x="{x}" y="{_BOTTOM}" overflow="visible"><path d="M-4-4 4 4M4-4-4 4"/></svg>'
    )


def _key(point: str, *, others: bool, crosses: bool) -> str:
    marks = [('<circle class="dot" cx="14" cy="6" r="5"/>', say("case-chart-latest"))]
    if others:
        marks.append(('<circle class="dot-other" cx="14" cy="6" r="4.5"/>', say("case-chart-other")))
    if crosses:
        marks.append(('<path class="withheld" d="M10 2l8 8M18 2l-8 8"/>', say("case-chart-withheld")))
    marks.append(('<path class="point" d="M1 6h26"/>', say("case-chart-point", point=point)))
    lines = "".join(
        f'<li><svg class="chart" viewBox="0 0 28 12" aria-hidden="true">{drawn}</svg>{escape(words)}</li>'
        for drawn, words in marks
    )
    return f'<ul class="key">{lines}</ul>'


def _across(day: date, first: date, last: date) -> float:
    """Returns where a day stands, as a share of the width; a single day stands in the middle."""
    span = (last - first).days
    return _LEFT + (_RIGHT - _LEFT) * ((day - first).days / span if span else 0.5)


def _down(share: float) -> float:
    return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)


def _readable(places: Sequence[float], apart: float = _APART) -> set[int]:
    """Returns which of some places can be written at: the last, and before it each that stands clear of the next."""
    shown: list[int] = []
    for number in reversed(range(len(places))):
        if not shown or places[shown[-1]] - places[number] >= apart:
            shown.append(number)
    return set(shown)
