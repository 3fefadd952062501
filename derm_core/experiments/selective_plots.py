"""Figure of what not answering gains: accuracy of the surest answers against the share that is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from derm_core.evaluation.selective import selective_curve, selective_figures
from derm_core.experiments.answers import Answers
from derm_core.experiments.curve_plots import interval_text
from derm_core.experiments.figure import Figure, rows_of
from derm_core.experiments.marks import Series, run_colour, run_legend

_HEIGHT, _WIDTH = 240, 360
_ROOM = 0.02
"""Free accuracy below the lowest curve."""


def selective_figure(answers: Sequence[Answers], group: Series, on: str, *, bootstrap: int) -> Figure:
    """Returns accuracy against coverage.

    Args:
        answers: to one split.
        group: what is drawn side by side.
        on: says which photographs were answered, and by what.
        bootstrap: how many sets of lesions are drawn for a band.
    """
    rows, areas = [], []
    for one in answers:
        right, sure = one.probabilities.argmax(axis=1) == one.labels, one.probabilities.max(axis=1)
        curve = selective_curve(right, sure, one.lesions, bootstrap=bootstrap)
        rows += [
            {"run": one.label, "coverage": coverage, "accuracy": accuracy, "low": low, "high": high}
            for coverage, accuracy, low, high in zip(
                curve.coverage, curve.accuracy, curve.low, curve.high, strict=True
            )
        ]
        figures = selective_figures(right, sure, one.lesions, bootstrap=bootstrap)
        area, ends = figures["risk_coverage_area"], figures["ci95"]["risk_coverage_area"]
        areas.append(f"{one.label} {interval_text(area, ends)}")
    scale = alt.Scale(domain=[max(0.0, min(row["low"] for row in rows) - _ROOM), 1], nice=False)
    upright: dict[str, Any] = {
        "title": "accuracy of what is answered",
        "scale": scale,
        "axis": alt.Axis(format="%"),
    }
    base = alt.Chart(rows_of(rows)).encode(
        x=alt.X(
            "coverage:Q",
            title="share answered, the surest first",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%"),
        ),
        color=run_colour(group),
    )
    tips = [
        alt.Tooltip("run:N"),
        alt.Tooltip("coverage:Q", format=".0%"),
        *(alt.Tooltip(f"{name}:Q", format=".1%") for name in ("accuracy", "low", "high")),
    ]
    line = base.encode(y=alt.Y("accuracy:Q", **upright))
    layers = [
        base.mark_area(opacity=0.14).encode(y=alt.Y("low:Q", **upright), y2="high:Q"),
        line.mark_line(strokeWidth=1.8),
        line.mark_point(size=60, opacity=0).encode(tooltip=tips),
    ]
    return Figure(
        name=f"{group.task}-selective",
        title="Answering less",
        caption=(
            "Accuracy of the answers whose probability is highest, by the share of the photographs that they make up, "
            f"on {on}. Area between the curve and 100% (risk-coverage area, lower is better): "
            f"{'; '.join(areas)}. Bands: 95%, by {bootstrap:,} draws of whole lesions."
        ),
        panels=(alt.layer(*layers).properties(height=_HEIGHT),),
        columns=1,
        panel_width=_WIDTH,
        legend=run_legend(group),
    )
