"""What augmentation does: runs with it against runs without it, by epoch and at their best. Reads the records alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from derm_core.experiments.figure import Chart, Figure, LegendEntry, expression, rows_of
from derm_core.experiments.marks import HEIGHT, METRICS, WITH, WITHOUT, Group, dash, epoch_axis
from derm_core.experiments.run_table import ReportedRun


def augmentation_figure(group: Group) -> Figure | None:
    """Returns the effect of augmentation: error, gap and best figures of the runs with it and without it."""
    sides = {run.augmented for run in group.runs}
    if len(sides) < 2:
        return None
    rows = []
    for run in group.runs:
        gaps = run.values("valid_errs") - run.values("train_errs")
        for epoch, error, gap in zip(run.records["epoch"], run.values("valid_errs"), gaps, strict=True):
            rows.append({"run": run.label, "side": _side(run), "epoch": epoch, "error": error, "gap": gap})
    last = max(run.epochs for run in group.runs)
    panels = [
        _side_lines(rows, "error", "Validation error", "share answered wrongly", last),
        _side_lines(rows, "gap", "Validation minus training error", "difference of the shares", last),
        _side_points(group.runs),
    ]
    count = {side: sum(_side(run) == side for run in group.runs) for side in (WITH, WITHOUT)}
    return Figure(
        name=f"{group.task}-augmentation",
        title="The effect of augmentation",
        caption=(
            f"On {group.on}: {_runs(count[WITH])} {WITH} (solid, filled) and {_runs(count[WITHOUT])} {WITHOUT} "
            "(dashed, open). Thin lines: one run; thick lines: mean of the runs that reached the epoch. A gap above "
            "zero means that the training photographs are answered better than others, the sign of learning by heart. "
            "Right: figures of each run's best epoch, the bar joining the means. The two sides may differ in other "
            "settings too: see how they were trained."
        ),
        panels=tuple(panels),
        columns=3,
        panel_width=250,
        spacing=(150, 76),
        legend=(LegendEntry(WITH, sign="ink-solid"), LegendEntry(WITHOUT, sign="ink-dashed")),
    )


def _side_lines(rows: Sequence[dict[str, Any]], field: str, title: str, words: str, last: int) -> Chart:
    x = epoch_axis(last)
    y = alt.Y(
        f"{field}:Q", title=words, axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(zero=True, nice=5)
    )
    base = alt.Chart(rows_of(row for row in rows if math.isfinite(row[field])))
    thin = base.mark_line(strokeWidth=0.8, opacity=0.5, stroke=expression("muted")).encode(
        x=x,
        y=y,
        detail="run:N",
        strokeDash=dash("side:N", WITH, WITHOUT),
        tooltip=["run:N", "epoch:Q", f"{field}:Q"],
    )
    mean = base.mark_line(strokeWidth=2.4, stroke=expression("ink")).encode(
        x=x, y=alt.Y(f"mean({field}):Q", title=words), strokeDash=dash("side:N", WITH, WITHOUT)
    )
    return alt.layer(thin, mean).properties(height=HEIGHT, title=title)


def _side_points(runs: Sequence[ReportedRun]) -> Chart:
    rows: list[dict[str, Any]] = [
        {"run": run.label, "side": _side(run), "metric": title, "value": run.best_value(name)}
        for run in runs
        for name, title in METRICS.items()
        if math.isfinite(run.best_value(name))
    ]
    y = alt.Y("metric:N", title=None, sort=list(METRICS.values()), axis=alt.Axis(labelLimit=200))
    x = alt.X(
        "value:Q", title=None, scale=alt.Scale(zero=False, nice=4), axis=alt.Axis(tickCount=4, grid=True)
    )
    means = []
    for title in METRICS.values():
        sides = [
            [row["value"] for row in rows if row["metric"] == title and row["side"] == side]
            for side in (WITH, WITHOUT)
        ]
        if all(sides):
            means.append(
                {"metric": title, "value": float(np.mean(sides[0])), "end": float(np.mean(sides[1]))}
            )
    bar = alt.Chart(rows_of(means)).mark_rule(strokeWidth=5, opacity=0.35, stroke=expression("muted"))
    points = alt.Chart(rows_of(rows)).mark_point(
        size=55,
        strokeWidth=1.6,
        opacity=1,
        stroke=expression("ink"),
        fill=expression(f"datum.side == '{WITH}' ? ink : surface"),
    )
    return alt.layer(
        bar.encode(y=y, x=x, x2="end:Q"),
        points.encode(y=y, x=x, tooltip=["run:N", "side:N", "metric:N", "value:Q"]),
    ).properties(height=HEIGHT, title="Best epochs")


def _side(run: ReportedRun) -> str:
    return WITH if run.augmented else WITHOUT


def _runs(count: int) -> str:
    return "one run" if count == 1 else f"{count} runs"
