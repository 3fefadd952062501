"""Confusion matrices: those of the best epochs on paper, and one that steps through runs and epochs on the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt

from derm_core.diagnoses import get_diagnosis
from derm_core.experiments.figure import Chart, Figure, expression, rows_of
from derm_core.experiments.marks import Group
from derm_core.experiments.run_table import ReportedRun

_CELL = 34
_PAGE_CELL = 46
_NARROWEST = 150
_RUN, _STEP = "matrix_run", "matrix_epoch"
_DARK_FROM = 0.55
"""Share of a row from which the text of a cell is light on the paper's dark."""


def confusion_figure(group: Group) -> Figure | None:
    """Returns the confusion matrices of these runs; None where the records hold none."""
    rows = [row for run in group.runs for row in _rows(run)]
    if not rows:
        return None
    shown = [run for run in group.shown if any(row["run"] == run.label for row in rows)]
    panels = []
    for run in shown:
        best = (row for row in rows if row["run"] == run.label and row["epoch"] == run.best_epoch)
        matrix = matrix_panel(best, group.classes)
        title = alt.TitleParams(run.label, subtitle=f"epoch {run.best_epoch} of {run.epochs}")
        panels.append(matrix.properties(title=title))
    return Figure(
        name=f"{group.task}-confusion",
        title="Confusion matrices",
        caption=(
            f"{group.on[0].upper()}{group.on[1:]}: rows are the truth, columns the answer. The large figure and the "
            "colour are the share of the row in percent, so that the diagonal is the recall of each diagnosis; below "
            "it stands the number of photographs. Empty cells are zero. The files show the best epoch of each run; "
            "here each run can be stepped through its epochs."
        ),
        panels=tuple(panels),
        columns=3,
        spacing=(150, 96),
        panel_width=matrix_width(len(group.classes)),
        page_panels=(_stepping(rows, group),),
        wide=True,
    )


def _rows(run: ReportedRun) -> Iterable[dict[str, Any]]:
    for row, epoch in enumerate(run.records["epoch"]):
        matrix = run.confusion_matrix(row)
        if matrix is not None:
            yield {
                "run": run.label,
                "epoch": int(epoch),
                "last": run.epochs,
                "counts": matrix.ravel().tolist(),
            }


def _stepping(rows: list[dict[str, Any]], group: Group) -> Chart:
    """Returns one matrix with a slider for the epoch, and a list for the run where there are several."""
    runs = [run for run in group.runs if any(row["run"] == run.label for row in rows)]
    first, last = group.shown[0], max(run.epochs for run in runs)
    labels = [run.label for run in runs]
    chosen_first = first.label if first in runs else labels[0]
    which = alt.param(name=_RUN, value=chosen_first)
    if len(labels) > 1:
        which = alt.param(name=_RUN, value=chosen_first, bind=alt.binding_select(options=labels, name="Run "))
    step = alt.param(name=_STEP, value=first.best_epoch)
    if last > 1:
        bind = alt.binding_range(min=1, max=last, step=1, name="Epoch ")
        step = alt.param(name=_STEP, value=first.best_epoch, bind=bind)
    # A run that ended before the chosen epoch shows its last one.
    chosen = f"datum.run == {_RUN} && datum.epoch == min({_STEP}, datum.last)"
    ends = json.dumps({run.label: run.epochs for run in runs})
    bests = json.dumps({run.label: run.best_epoch for run in runs})
    epoch, best = f"min({_STEP}, {ends}[{_RUN}])", f"{bests}[{_RUN}]"
    told = f"'Epoch ' + {epoch} + ' of ' + {ends}[{_RUN}] + ({epoch} == {best} ? ', the best' : '')"
    title = alt.TitleParams(expression(told))
    matrix = matrix_panel(rows, group.classes, cell=_PAGE_CELL, chosen=chosen).properties(title=title)
    return matrix.add_params(which, step)


def matrix_width(classes: int) -> int:
    """Returns the width on paper of the panel of a matrix, in pixels."""
    return max(_CELL * classes + 20, _NARROWEST)


def matrix_panel(
    rows: Iterable[dict[str, Any]], classes: Sequence[str], *, cell: int = _CELL, chosen: str = "true"
) -> Chart:
    """Returns the matrix of the one row for which the expression `chosen` holds.

    `counts` of a row are the matrix, row by row, truth in rows; `cell` is the height of one of its cells in pixels.
    """
    codes = list(classes)
    names = [get_diagnosis(code).name for code in codes]
    size = len(codes)
    base = (
        alt.Chart(rows_of(rows))
        .transform_filter(chosen)
        .transform_calculate(cell=f"sequence({size * size})")
        .transform_flatten(["counts", "cell"], as_=["count", "cell"])
        .transform_calculate(
            truth=f"{names!r}[floor(datum.cell / {size})]",
            answer=f"{codes!r}[datum.cell % {size}]",
        )
        .transform_joinaggregate(total="sum(count)", groupby=["truth"])
        .transform_calculate(share="datum.total ? datum.count / datum.total : 0")
        .encode(
            x=alt.X(
                "answer:N", title="answer", sort=codes, axis=alt.Axis(labelAngle=0, ticks=False, domain=False)
            ),
            y=alt.Y("truth:N", title=None, sort=names, axis=alt.Axis(labelLimit=150)),
            tooltip=[
                alt.Tooltip("truth:N"),
                alt.Tooltip("answer:N"),
                alt.Tooltip("count:Q", title="photographs"),
                alt.Tooltip("total:Q", title="of"),
                alt.Tooltip("share:Q", format=".1%", title="share"),
            ],
        )
    )
    colour = alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], interpolate="rgb"), legend=None)
    cells = base.mark_rect(stroke=expression("line"), strokeWidth=0.6).encode(color=colour)
    ink = expression(f"datum.share > {_DARK_FROM} ? surface : ink")
    shares = base.transform_filter("datum.count > 0").mark_text(dy=-4, fontSize=12, color=ink)
    counts = base.transform_filter("datum.count > 0").mark_text(dy=8, fontSize=8.5, opacity=0.85, color=ink)
    return alt.layer(
        cells,
        shares.encode(text=alt.Text("percent:N")).transform_calculate(
            percent="format(100 * datum.share, '.0f')"
        ),
        counts.encode(text=alt.Text("count:Q", format=",d")),
    ).properties(height=cell * size)
