"""How a lesion changed: what to draw of its photographs' risks over time, to scale, and the sentence that sums it up.

Plain values in, plain values out. A template draws them; where a point stands is in percent of the width and in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from derm_core import risk_and_point
from web.presentation import date_text, percent, svg_percent
from web.visits import Visit

HEIGHT = 232
_TOP, _BOTTOM = 18, 190  # pixels, where 100% and 0% are
_LEFT, _RIGHT = 0.10, 0.97  # share of the width, where the first and the last day may be
_APART = 0.11  # share of the width between two figures that can both be read
_MOST_TICKS = 4
_STEPS_DAYS = (1, 2, 7, 14)
_STEPS_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240)


@dataclass(frozen=True)
class ChartPoint:
    """One answered photograph: its place, what it says, and whether another model answered it than the latest."""

    x: str
    y: float
    text: str
    text_y: float
    anchor: str
    is_other: bool


@dataclass(frozen=True)
class ChartTick:
    """A day on the axis of time, and its words."""

    x: str
    text: str


@dataclass(frozen=True)
class RiskChart:
    """The drawing of risk over time. `lines` go from point to point; `withheld` is where no answer was given."""

    points: tuple[ChartPoint, ...]
    lines: tuple[tuple[str, float, str, float], ...]
    ticks: tuple[ChartTick, ...]
    withheld: tuple[str, ...]
    point_y: float
    point_text: str
    has_other: bool
    description: str


@dataclass(frozen=True)
class Trend:
    """What the banner of a lesion says: a title, and sentences below it."""

    title: str
    sentences: tuple[str, ...]


def risk_chart(visits: Sequence[Visit]) -> RiskChart | None:
    """Returns the drawing of a lesion's risks over time, or None where no photograph was answered.

    The operating point drawn is the latest answer's.
    """
    answered = [visit for visit in visits if visit.answered]
    if not answered:
        return None
    latest = answered[-1].prediction
    axis = _Axis(visits[0].day, visits[-1].day)
    others = [visit.prediction.model_sha256 != latest.model_sha256 for visit in answered]
    places = [(axis.place(visit.day), _height(visit.prediction.malignant_probability)) for visit in answered]
    shown = _readable([x for x, _ in places])
    points = tuple(
        ChartPoint(
            x=svg_percent(x),
            y=y,
            text=percent(visit.prediction.malignant_probability) if index in shown else "",
            text_y=y - 13 if y - 13 > _TOP - 6 else y + 24,
            anchor="end" if x > 0.93 else "middle",
            is_other=other,
        )
        for index, (visit, (x, y), other) in enumerate(zip(answered, places, others, strict=True))
    )
    told = "; ".join(
        f"{date_text(visit.day)} {percent(visit.prediction.malignant_probability)}" for visit in answered
    )
    point_text = risk_and_point(latest)[1]
    return RiskChart(
        points=points,
        lines=tuple((a.x, a.y, b.x, b.y) for a, b in pairwise(points)),
        ticks=axis.ticks(),
        withheld=tuple(svg_percent(axis.place(visit.day)) for visit in visits if not visit.answered),
        point_y=_height(latest.operating_point),
        point_text=point_text,
        has_other=any(others),
        description=f"Risk of malignancy by visit: {told}. Operating point {point_text}.",
    )


def trend(visits: Sequence[Visit]) -> Trend:
    """Returns what to say of the latest photograph beside the answered one before it; there must be one photograph."""
    latest = visits[-1]
    if not latest.answered:
        title = "No answer for the latest picture"
        return Trend(
            title, ("Any probability would be a guess, so none is given. It says nothing about the lesion.",)
        )
    now = latest.prediction
    word = "Refer" if now.advice == "refer" else "Routine"
    risk, point = risk_and_point(now)
    side = "at or above" if now.advice == "refer" else "below"
    before = next((visit for visit in reversed(visits[:-1]) if visit.answered), None)
    if before is None:
        return Trend(
            f"{word}: risk {risk}", (f"The risk of malignancy is {side} the operating point of {point}.",)
        )
    was = percent(before.prediction.malignant_probability)
    change = "stayed at" if was == risk else "rose from" if _risk(before) < _risk(latest) else "fell from"
    span = span_text(latest.day - before.day)
    first = now.advice == "refer" and all(
        one.prediction.advice != "refer" for one in visits[:-1] if one.answered
    )
    sentences = [
        f"{span}{', and for the first time' if first else ';'} {side} the operating point of {point}."
    ]
    if before.prediction.model_sha256 != now.model_sha256:
        sentences.append("Another model answered the earlier picture, so the two are not fully comparable.")
    if before.prediction.lesion_share is not None and now.lesion_share is not None:
        sizes = percent(before.prediction.lesion_share), percent(now.lesion_share)
        sentences.append(
            f"The lesion covered {sizes[0]} of the earlier picture and covers {sizes[1]} of this one."
        )
    return Trend(
        f"{word}: risk {change} {risk}" if was == risk else f"{word}: risk {change} {was} to {risk}",
        tuple(sentences),
    )


def span_text(span: timedelta) -> str:
    """Writes how long lies between two photographs: In 13 months."""
    days = span.days
    if days == 0:
        return "On the same day"
    if days < 14:
        count, word = days, "day"
    elif days < 60:
        count, word = round(days / 7), "week"
    elif days < 3 * 365:
        count, word = round(days / 30.44), "month"
    else:
        count, word = round(days / 365.25), "year"
    return f"In {count} {word}{'' if count == 1 else 's'}"


class _Axis:
    """Time to scale, from the first day to the last."""

    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, last
        self.days = (last - first).days

    def place(self, day: date) -> float:
        """Returns where a day stands, as a share of the width; a single day stands in the middle."""
        share = (day - self.first).days / self.days if self.days else 0.5
        return _LEFT + 0.04 + share * (_RIGHT - _LEFT - 0.08)

    def ticks(self) -> tuple[ChartTick, ...]:
        """Returns a few round days between the ends, or the one day there is."""
        days, style = self._round_days()
        return tuple(ChartTick(svg_percent(self.place(day)), self._words(day, style)) for day in days)

    def _round_days(self) -> tuple[list[date], str]:
        if not self.days:
            return [self.first], "day"
        for step in _STEPS_DAYS:
            if self.days // step < _MOST_TICKS:
                return [
                    self.first + timedelta(days=number) for number in range(0, self.days + 1, step)
                ], "day"
        for step in _STEPS_MONTHS:
            found = self._months(step)
            if len(found) <= _MOST_TICKS:
                break
        return found, "year" if step >= 12 else "month"

    def _months(self, step: int) -> list[date]:
        """Returns the first days of every `step`-th month, counted from a January."""
        start = -(-(12 * self.first.year + self.first.month - 1 + (self.first.day > 1)) // step) * step
        end = 12 * self.last.year + self.last.month - 1
        return [date(number // 12, number % 12 + 1, 1) for number in range(start, end + 1, step)]

    @staticmethod
    def _words(day: date, style: str) -> str:
        if style == "day":
            return f"{day.day} {day:%b}"
        return f"{day:%Y}" if style == "year" else f"{day:%b %Y}"


def _risk(visit: Visit) -> float:
    return visit.prediction.malignant_probability


def _height(share: float) -> float:
    return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)


def _readable(places: Sequence[float]) -> set[int]:
    """Returns which points show their figure: the latest, and before it each that stands clear of the next shown."""
    shown: list[int] = []
    for index in reversed(range(len(places))):
        if not shown or places[shown[-1]] - places[index] >= _APART:
            shown.append(index)
    return set(shown)
