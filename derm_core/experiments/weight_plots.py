"""The classifier's weights by epoch: the length of each class's weights, its bias, and how all weights spread.

A last layer holds a row of up to 4,096 weights for each class, far too many to draw: the length of a row says how
strongly its class is asked about, and the quantiles of all weights say whether training still moves them.
"""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np

from derm_core.diagnoses import get_diagnosis
from derm_core.experiments.figure import Chart, Figure, LegendEntry, expression, rows_of
from derm_core.experiments.marks import Group, end_labels, epoch_axis, label_room
from derm_core.experiments.run_table import ReportedRun

_QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
_KINDS = ("malignant", "benign")
_WIDTH, _HEIGHT = 230, 170


def weight_figure(group: Group) -> Figure | None:
    """Returns the classifier's weights of the shown runs by epoch, a row of panels each; None without any weights."""
    tables = {run.label: _weights(run) for run in group.shown}
    tables = {label: table for label, table in tables.items() if table["spread"]}
    if not tables:
        return None
    last = max(run.epochs for run in group.shown)
    panels: list[Any] = []
    for field, title in (("norm", "length of weights"), ("bias", "bias")):
        values = [row[field] for table in tables.values() for row in table["classes"]]
        domain = (min(values), max(values))
        panels.append(
            [
                _class_lines(table["classes"], field, label, title, domain, last)
                for label, table in tables.items()
            ]
        )
    ends = [row[name] for table in tables.values() for row in table["spread"] for name in _QUANTILES]
    panels.append(
        [_fan(table["spread"], label, (min(ends), max(ends)), last) for label, table in tables.items()]
    )
    return Figure(
        name=f"{group.task}-weights",
        title="Classifier weights",
        caption=(
            "The last layer after each epoch, a row for each run. Left: Euclidean length of each class's weights. "
            "Middle: its bias. Right: quantiles of all weights together: the median, the middle half (dark) and the "
            "middle 90% (light). The weights are those that are validated: where the run keeps a moving average, that "
            "average. All rows share their scales."
        ),
        panels=tuple(panel for row in zip(*panels, strict=True) for panel in row),
        columns=3,
        spacing=(72, 100),
        panel_width=_WIDTH,
        legend=tuple(LegendEntry(kind, sign=kind) for kind in _KINDS),
    )


def _weights(run: ReportedRun) -> dict[str, list[dict[str, Any]]]:
    """Returns rows of each class's norm and bias, and of the quantiles, by epoch."""
    classes, spread = [], []
    for row, epoch in enumerate(run.records["epoch"].astype(int)):
        weight, bias = run.array("classifier.weight", row), run.array("classifier.bias", row)
        if weight is None:
            continue
        if bias is None:
            bias = np.zeros(len(weight))
        for code, norm, offset in zip(run.classes, np.linalg.norm(weight, axis=1), bias, strict=True):
            diagnosis = get_diagnosis(code)
            kind = {"code": code, "name": diagnosis.name, "kind": _KINDS[not diagnosis.malignant]}
            classes.append(kind | {"epoch": epoch, "norm": float(norm), "bias": float(offset)})
        values = np.quantile(weight, list(_QUANTILES.values()))
        spread.append({"epoch": epoch, **dict(zip(_QUANTILES, values.tolist(), strict=True))})
    return {"classes": classes, "spread": spread}


def _class_lines(
    rows: list[dict[str, Any]], field: str, label: str, title: str, domain: tuple[float, float], last: int
) -> Chart:
    codes = list(dict.fromkeys(row["code"] for row in rows))
    x = epoch_axis(last, room=label_room(codes, _WIDTH))
    low, high = _widened(domain)
    y = alt.Y(
        f"{field}:Q", title=title, scale=alt.Scale(domain=[low, high], nice=False), axis=alt.Axis(tickCount=4)
    )
    scale = alt.Scale(domain=list(_KINDS), range=[expression(kind) for kind in _KINDS])
    base = alt.Chart(rows_of(rows)).encode(x=x, y=y, detail="code:N")
    lines = base.mark_line(strokeWidth=1.5).encode(color=alt.Color("kind:N", scale=scale))
    points = base.mark_point(size=60, opacity=0).encode(tooltip=["name:N", "epoch:Q", f"{field}:Q"])
    final = max(row["epoch"] for row in rows)
    ends = [
        {"epoch": final, "label": row["code"], field: row[field]} for row in rows if row["epoch"] == final
    ]
    labels = end_labels(ends, x, field, highest=high, lowest=low, height=_HEIGHT)
    heading = alt.TitleParams(label, subtitle=title.capitalize())
    return alt.layer(lines, points, labels).properties(height=_HEIGHT, title=heading)


def _fan(rows: list[dict[str, Any]], label: str, domain: tuple[float, float], last: int) -> Chart:
    low, high = _widened(domain)
    x, scale = epoch_axis(last), alt.Scale(domain=[low, high], nice=False)
    base = alt.Chart(rows_of(rows)).encode(x=x)

    def band(lower: str, upper: str, opacity: float) -> Chart:
        y = alt.Y(f"{lower}:Q", title="weight", scale=scale, axis=alt.Axis(tickCount=4))
        return base.mark_area(opacity=opacity, fill=expression("accent")).encode(y=y, y2=f"{upper}:Q")

    median = base.mark_line(strokeWidth=1.5, stroke=expression("accent")).encode(y=alt.Y("q50:Q"))
    tips = base.mark_point(size=80, opacity=0).encode(
        y="q50:Q", tooltip=["epoch:Q", *(alt.Tooltip(f"{name}:Q", format=".3g") for name in _QUANTILES)]
    )
    heading = alt.TitleParams(label, subtitle="Spread of all weights")
    return alt.layer(band("q05", "q95", 0.2), band("q25", "q75", 0.35), median, tips).properties(
        height=_HEIGHT, title=heading
    )


def _widened(domain: tuple[float, float]) -> tuple[float, float]:
    low, high = domain
    if not math.isclose(low, high):
        margin = 0.04 * (high - low)
        return low - margin, high + margin
    return low - 0.5, high + 0.5
