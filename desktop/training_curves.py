"""Curves by epoch as SVG, in the colours of the page. Reads no file.

Epochs are to scale up to the last one planned. Validation is drawn solid and training dashed, as in the reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from desktop.texts import say
from desktop.training_records import Epoch, Plan
from desktop.training_results import figure, metric_name

_WIDTH, _HEIGHT = 340, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 330, 12, 162


@dataclass(frozen=True)
class Line:
    """One curve: what it is called, "valid" or "train", and (epoch, value) of its points."""

    name: str
    kind: str
    points: tuple[tuple[int, float], ...]


def curves(epochs: Sequence[Epoch], plan: Plan) -> str:
    """Returns loss, metric and learning rate by epoch; nothing before the first epoch ended."""
    if not epochs:
        return ""
    last = max(plan.epochs, epochs[-1].number)
    drawn = (
        _chart(
            say("training-loss"),
            (
                _line(say("training-of-train"), "train", epochs, lambda epoch: epoch.train_loss),
                _line(say("training-of-valid"), "valid", epochs, lambda epoch: epoch.valid_loss),
            ),
            last,
            lambda value: f"{value:.3g}",
        ),
        _chart(
            metric_name(plan.metric),
            (_line(say("training-of-valid"), "valid", epochs, lambda epoch: epoch.metrics[plan.metric]),),
            last,
            lambda value: figure(plan.metric, value),
            top=1.0,
        ),
        _chart(
            say("training-rate"),
            (_line(say("training-rate"), "valid", epochs, lambda epoch: epoch.learning_rate),),
            last,
            lambda value: f"{value:.2g}",
        ),
    )
    return f'<div class="curves">{"".join(drawn)}</div>'


def _line(name: str, kind: str, epochs: Sequence[Epoch], value: Callable[[Epoch], float | None]) -> Line:
    found = ((epoch.number, value(epoch)) for epoch in epochs)
    return Line(name, kind, tuple((at, y) for at, y in found if y is not None and math.isfinite(y)))


def _chart(
    title: str,
    lines: Sequence[Line],
    last: int,
    write: Callable[[float], str],
    *,
    top: float | None = None,
) -> str:
    """Returns one figure with its title, its key where there are several curves, and what it says in a sentence."""
    highest = top or _nice(max((y for line in lines for _, y in line.points), default=1.0))

    def across(epoch: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (epoch - 1) / max(last - 1, 1)

    def down(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * min(value / highest, 1)

    sentence = say(
        "training-curve",
        title=title,
        values=", ".join(f"{line.name} {write(line.points[-1][1])}" for line in lines if line.points),
        epoch=max((line.points[-1][0] for line in lines if line.points), default=0),
    )
    levels = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{down(level):.1f}" y2="{down(level):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{down(level) + 4:.1f}" text-anchor="end">{level:.2g}</text>'
        for level in (0.0, highest / 2, highest)
    )
    ends = "".join(
        f'<text x="{across(epoch):.1f}" y="{_BOTTOM + 18}" text-anchor="{anchor}">{words}</text>'
        for epoch, anchor, words in _epoch_marks(last)
    )
    drawn = "".join(_drawn(line, across, down) for line in lines)
    key = "".join(
        f'<li><svg class="curve-key" viewBox="0 0 28 8" aria-hidden="true">'
        f'<line class="curve-line" data-kind="{line.kind}" x1="0" x2="28" y1="4" y2="4"/></svg>{escape(line.name)}</li>'
        for line in lines
    )
    return (
        f'<figure class="curve-figure"><figcaption><h3>{escape(title)}</h3>'
        f"{f'<ul class=key>{key}</ul>' if len(lines) > 1 else ''}</figcaption>"
        f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(sentence)}">'
        f"{levels}{ends}{drawn}</svg></figure>"
    )


def _drawn(line: Line, across: Callable[[float], float], down: Callable[[float], float]) -> str:
    places = [f"{across(epoch):.1f},{down(value):.1f}" for epoch, value in line.points]
    if not places:
        return ""
    x, _, y = places[-1].partition(",")
    return (
        f'<polyline class="curve-line" data-kind="{line.kind}" points="{" ".join(places)}"/>'
        f'<circle class="curve-end" data-kind="{line.kind}" cx="{x}" cy="{y}" r="3.5"/>'
    )


def _epoch_marks(last: int) -> list[tuple[float, str, str]]:
    if last < 2:
        return [(1, "start", say("training-epoch", number=1))]
    middle = [] if last < 4 else [((1 + last) // 2, "middle", str((1 + last) // 2))]
    return [(1, "start", say("training-epoch", number=1)), *middle, (last, "end", str(last))]


def _nice(value: float) -> float:
    """Returns the next number up that reads well, and whose half does as well."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 6, 8, 10) if value <= step * power * (1 + 1e-9))
