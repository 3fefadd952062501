"""Bars with 95% intervals: every diagnosis, and every group of people and photographs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from derm_core.diagnoses import get_diagnosis
from derm_core.evaluation.malignancy import SMALLEST_GROUP
from derm_core.evaluation.subgroups import CONFIRMED_BY
from derm_core.experiments.answers import Answers
from derm_core.experiments.figure import Chart, Figure, expression, rows_of
from derm_core.experiments.marks import Series, run_colour, run_legend

PER_CLASS = {"recall": "Recall", "precision": "Precision", "f1": "F1", "auc": "AUC"}
PER_GROUP = {
    "malignant_auc": "AUC for malignancy",
    "sensitivity": "Sensitivity for malignancy",
    "balanced_accuracy": "Balanced accuracy",
}
KINDS = {"sex": "Sex", "age": "Age in years", "site": "Site", "confirmed_by": "Confirmed by"}
_BAR, _GAP = 8, 9
_SQUARES = alt.Legend(symbolType="square", symbolOpacity=1, symbolStrokeWidth=0, symbolSize=90)
_WIDTH = 230
_BETWEEN = "|"


def bar_figures(answers: Sequence[Answers], group: Series, on: str, *, point: str) -> list[Figure]:
    """Returns the bars of every class and of every subgroup, of answers to one split.

    `point` says at which threshold sensitivity is measured, such as "the threshold that ...".
    """
    legend = run_legend(group)
    classes = Figure(
        name=f"{group.task}-classes",
        title="Each diagnosis",
        caption=(
            f"Figures of each diagnosis on {on}. Whiskers: 95% interval over lesions. In "
            "brackets: lesions of the diagnosis."
        ),
        panels=tuple(_class_panel(answers, group, name) for name in PER_CLASS),
        columns=2,
        panel_width=_WIDTH,
        spacing=(190, 60),
        legend=legend,
    )
    groups = Figure(
        name=f"{group.task}-subgroups",
        title="Groups of people and photographs",
        caption=(
            f"Figures within groups on {on}. Whiskers: 95% interval over lesions. In brackets: "
            f"lesions of the group; with fewer than {SMALLEST_GROUP} nothing is measured, and without a malignant or "
            "a benign lesion there is no AUC. Sensitivity: share of malignant photographs found at "
            f"{point}."
        ),
        panels=tuple(_group_panel(answers, group, name) for name in PER_GROUP),
        columns=3,
        panel_width=_WIDTH,
        spacing=(160, 60),
        legend=legend,
    )
    return [classes, groups]


def _class_panel(answers: Sequence[Answers], group: Series, figure: str) -> Chart:
    counts = _most(answers).figures["per_class"]
    names = {code: f"{get_diagnosis(code).name} ({counts[code]['lesions']:,})" for code in group.classes}
    rows = [
        row
        for one in answers
        for code, name in names.items()
        for row in _row(one, name, one.figures["per_class"][code], figure)
    ]
    return _bars(rows, list(names.values()), answers, group).properties(title=PER_CLASS[figure])


def _group_panel(answers: Sequence[Answers], group: Series, figure: str) -> Chart:
    places, rows, missing = [], [], []
    for kind, title in KINDS.items():
        members = _most(answers).figures["subgroups"].get(kind, {})
        places.append(f"{title}{_BETWEEN}")
        for name, counts in members.items():
            place = f"{title}{_BETWEEN}{CONFIRMED_BY.get(name, name)} ({counts['lesions']:,})"
            places.append(place)
            if all(
                one.figures["subgroups"].get(kind, {}).get(name, {}).get(figure) is None for one in answers
            ):
                few = counts["lesions"] < SMALLEST_GROUP
                missing.append({"place": place, "value": 0.0, "text": "too few" if few else "not defined"})
            for one in answers:
                measured = one.figures["subgroups"].get(kind, {}).get(name, {})
                rows += _row(one, place, measured, figure)
    return _bars(rows, places, answers, group, missing).properties(title=PER_GROUP[figure])


def _most(answers: Sequence[Answers]) -> Answers:
    """Returns the answers to the most photographs: a run may have been limited to fewer."""
    return max(answers, key=lambda one: len(one.labels))


def _row(one: Answers, place: str, figures: dict[str, Any], figure: str) -> list[dict[str, Any]]:
    """Returns the row of a bar, or none where the figure is undefined."""
    if figures.get(figure) is None:
        return []
    low, high = figures["ci95"][figure] or (None, None)
    return [{"run": one.label, "place": place, "value": figures[figure], "low": low, "high": high}]


def _bars(
    rows: Sequence[dict[str, Any]],
    places: Sequence[str],
    answers: Sequence[Answers],
    group: Series,
    missing: Sequence[dict[str, Any]] = (),
) -> Chart:
    labels = [one.label for one in answers]
    # A place such as "Sex|" is the heading of those below it; "Sex|female (20)" is one of these.
    heading = f"indexof(datum.label, '{_BETWEEN}') == length(datum.label) - 1"
    axis = alt.Axis(
        labelLimit=190,
        labelExpr=f"{heading} ? replace(datum.label, '{_BETWEEN}', '') : peek(split(datum.label, '{_BETWEEN}'))",
        labelFontWeight=alt.condition(heading, alt.value("bold"), alt.value("normal")),
    )
    y = alt.Y(
        "place:N", title=None, sort=None, scale=alt.Scale(domain=list(places), paddingInner=0.25), axis=axis
    )
    offset = alt.YOffset("run:N", sort=None, scale=alt.Scale(domain=labels))
    x = alt.X(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(grid=True, tickCount=5, format="~g", domain=False, ticks=False),
    )
    tips: list[Any] = [
        "run:N",
        "place:N",
        *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("value", "low", "high")),
    ]
    base = alt.Chart(rows_of(rows)).encode(y=y, yOffset=offset, tooltip=tips)
    bars = base.mark_bar(opacity=0.75).encode(x=x, color=run_colour(group, legend=_SQUARES))
    whiskers = base.transform_filter("isValid(datum.low)").mark_rule(
        strokeWidth=1.2, stroke=expression("ink")
    )
    words = alt.Chart(rows_of(missing)).mark_text(
        align="left", dx=4, fontSize=9.5, fontStyle="italic", color=expression("muted")
    )
    height = len(places) * (_BAR * len(answers) + _GAP)
    layers = [bars, whiskers.encode(x=alt.X("low:Q"), x2="high:Q")]
    if missing:
        layers.append(words.encode(x=x, y=y, text="text:N"))
    return alt.layer(*layers).properties(height=height)
