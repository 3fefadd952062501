"""What the figures of runs have in common: colours, legends, axes, and the lines of epochs with their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import altair as alt

from derm_core.experiments.figure import Chart, LegendEntry, expression, rows_of, spread
from derm_core.experiments.figure_theme import LABEL_PIXELS, SHOWN_RUNS
from derm_core.experiments.run_table import ReportedRun, shown_runs

METRICS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "F1, mean over diagnoses",
    "macro_auc": "AUC, mean over diagnoses",
    "malignant_auc": "AUC for malignancy",
}
"""The figures of the records by what people call them."""
WITH, WITHOUT = "with augmentation", "without augmentation"
HEIGHT = 200
_DIRECT_LETTERS = 24
_LETTER_PIXELS = 5.6
_MOST_TICKS = 7
_MOST_POINTS = 40
_SOLID, _DASHED = [1, 0], [5, 3]
_LINES = alt.Legend()


class Series(Protocol):
    """What is drawn side by side on one task."""

    @property
    def task(self) -> str:
        """The name of the task."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Codes in order."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of those with a colour of their own, in the order of the colours."""

    @property
    def grey(self) -> int:
        """How many have none."""


@dataclass(frozen=True)
class Group:
    """The runs of one task in a report.

    `shown` are those with a colour of their own, in the order of the colours; `on` says on which pictures their
    epochs were validated, such as "1,603 validation photographs".
    """

    task: str
    runs: tuple[ReportedRun, ...]
    shown: tuple[ReportedRun, ...]
    on: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Codes in order."""
        return self.runs[0].classes

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the shown runs, in the order of the colours."""
        return tuple(run.label for run in self.shown)

    @property
    def grey(self) -> int:
        """How many runs have no colour of their own."""
        return len(self.runs) - len(self.shown)

    @property
    def others(self) -> tuple[ReportedRun, ...]:
        """The runs that are drawn in grey."""
        return tuple(run for run in self.runs if run not in self.shown)

    def series(self, run: ReportedRun) -> int | None:
        """Returns a run's place among the colours; None for grey."""
        return self.shown.index(run) if run in self.shown else None


def group_of(runs: Sequence[ReportedRun], on: str) -> Group:
    """Returns the runs of one task as a group; the best SHOWN_RUNS of them get a colour."""
    return Group(runs[0].task, tuple(runs), tuple(shown_runs(runs, SHOWN_RUNS)), on)


def run_colour(series: Series, *, legend: alt.Legend | None = _LINES) -> alt.Color:
    """Returns the encoding that gives each shown run its colour; None for what the legend leaves out."""
    return alt.Color("run:N", scale=alt.Scale(domain=list(series.labels)), legend=legend)


def run_legend(series: Series) -> tuple[LegendEntry, ...]:
    """Returns the page's legend of the runs."""
    entries = tuple(LegendEntry(label, place) for place, label in enumerate(series.labels))
    return entries + ((LegendEntry(others_text(series), None),) if series.grey else ())


def others_text(series: Series) -> str:
    """Returns how many runs are grey, in words."""
    count = series.grey
    return f"{count} other run{'s' if count > 1 else ''}"


def epoch_axis(last: int, *, room: float = 0.0) -> alt.X:
    """Returns the axis of epochs 1 to `last`, with `room` for labels at its end as a share of its length."""
    end = last + room / (1 - room) * max(1, last - 1)
    domain = [1, end] if last > 1 else [0.5, max(1.5, end)]
    step = next(
        size * 10**power
        for power in range(9)
        for size in (1, 2, 5)
        if last / (size * 10**power) <= _MOST_TICKS
    )
    ticks = sorted(
        {1, last, *(tick for tick in range(step, last, step) if last - tick >= step / 2 and tick > step / 2)}
    )
    return alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=domain, nice=False, zero=False),
        axis=alt.Axis(values=ticks, format="d"),
    )


def dash(field: str, solid: str, dashed: str) -> alt.StrokeDash:
    """Returns the encoding that tells two kinds of lines apart by their dashes."""
    return alt.StrokeDash(field, scale=alt.Scale(domain=[solid, dashed], range=[_SOLID, _DASHED]))


def epoch_lines(
    rows: Sequence[Mapping[str, Any]],
    group: Group,
    x: alt.X,
    y: alt.Y,
    *,
    stroke_dash: Any = alt.Undefined,
    legend: bool = True,
) -> Chart:
    """Returns lines by epoch: grey for the other runs, coloured for the shown, with a tooltip at each epoch.

    Args:
        rows: `run`, `epoch` and the field of `y`; what else they hold is told by the tooltip. An undefined value
            breaks the line.
        stroke_dash: an encoding for a second distinction.
        legend: draw the runs' legend on paper.
    """
    names = {run.label for run in group.shown}
    shown = [row for row in rows if row["run"] in names]
    grey = [row for row in rows if row["run"] not in names]
    encoding = {"x": x, "y": y, "strokeDash": stroke_dash, "detail": "run:N"}
    layers = []
    if grey:
        base = alt.Chart(rows_of(grey)).encode(**encoding)
        layers.append(base.mark_line(strokeWidth=1, opacity=0.45, stroke=expression("muted")))
    base = alt.Chart(rows_of(shown)).encode(
        **encoding, color=run_colour(group, legend=_LINES if legend else None)
    )
    layers.append(base.mark_line(strokeWidth=1.8))
    few = max((row["epoch"] for row in rows), default=0) <= _MOST_POINTS
    tips = [
        alt.Tooltip(f"{name}:N" if isinstance(value, str) else f"{name}:Q")
        for name, value in rows[0].items()
        if name != "best"
    ]
    points = base.encode(strokeDash=alt.Undefined, tooltip=tips)
    layers.append(points.mark_point(filled=True, size=18 if few else 60, opacity=1 if few else 0))
    return alt.layer(*layers)


def rings(rows: Sequence[Mapping[str, Any]], group: Group, x: alt.X, y: alt.Y) -> Chart:
    """Returns open rings that mark a point of each shown run, such as its best epoch."""
    names = {run.label for run in group.shown}
    kept = [row for row in rows if row["run"] in names]
    return (
        alt.Chart(rows_of(kept))
        .mark_point(size=70, strokeWidth=1.8, opacity=1, fill=expression("surface"))
        .encode(x=x, y=y, color=run_colour(group, legend=None))
    )


def end_labels(
    ends: Sequence[Mapping[str, Any]],
    x: alt.X,
    y: str,
    *,
    highest: float,
    height: int = HEIGHT,
    lowest: float = 0.0,
) -> Chart:
    """Returns texts at the ends of lines, moved apart where they would lie on each other.

    Args:
        ends: `epoch`, `label` and the field `y` of the last point of each line.
        x: the axis of epochs, with room.
        y: the field.
        highest, lowest: the ends of the vertical scale.
        height: its length in pixels.
    """
    gap = (highest - lowest) * (LABEL_PIXELS + 2) / height
    places = spread([float(end[y]) for end in ends], gap, low=lowest + gap / 2, high=highest - gap / 2)
    rows = [
        {"epoch": end["epoch"], "label": end["label"], y: place}
        for end, place in zip(ends, places, strict=True)
    ]
    return (
        alt.Chart(rows_of(rows))
        .mark_text(align="left", dx=7, baseline="middle")
        .encode(x=x, y=alt.Y(f"{y}:Q"), text="label:N")
    )


def label_room(labels: Sequence[str], width: int) -> float:
    """Returns the share of a panel of that width which labels take; 0 where they are too long to stand in it."""
    longest = max(map(len, labels), default=0)
    return 0.0 if longest > _DIRECT_LETTERS else (longest * _LETTER_PIXELS + 12) / width
