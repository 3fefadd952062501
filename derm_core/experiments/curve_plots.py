"""Figures of answers at every threshold: ROC, precision-recall and reliability, with their 95% bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import altair as alt
import numpy as np

from derm_core.diagnoses import get_diagnosis
from derm_core.experiments.answers import Answers
from derm_core.experiments.curves import GRID, Curve, precision_recall, reliability, roc
from derm_core.experiments.figure import Chart, Figure, expression, rows_of
from derm_core.experiments.marks import Series, run_colour, run_legend

_SIDE = 190
_ROW = 0.075
"""Height of a line of text in a panel, as a share of the panel."""
_UNIT = [0, 0.2, 0.4, 0.6, 0.8, 1]

_Draw = Callable[..., Curve | None]


def curve_figures(answers: Sequence[Answers], group: Series, on: str, *, bootstrap: int) -> list[Figure]:
    """Returns ROC curves and precision-recall curves of answers.

    Args:
        answers: to one split.
        group: what is drawn side by side.
        on: says which photographs were answered, and by what.
        bootstrap: how many sets of lesions are drawn for a band.
    """
    subjects = _subjects(group)
    one = "Malignant lesions against benign ones"
    each = f"{one}, then each diagnosis against all others" if len(subjects) > 1 else one
    bands = _bands(bootstrap)
    roc_panels = [
        _panel(answers, group, subject, roc, "auc", ("1 − specificity", "sensitivity"), bootstrap)
        for subject in subjects
    ]
    pr_panels = [
        _panel(
            answers, group, subject, precision_recall, "average_precision", ("recall", "precision"), bootstrap
        )
        for subject in subjects
    ]
    square: dict[str, Any] = {
        "columns": 4,
        "panel_width": _SIDE,
        "legend": run_legend(group),
        "spacing": (52, 80),
    }
    return [
        Figure(
            name=f"{group.task}-roc",
            title="ROC curves",
            caption=f"{each}, on {on}. Figures: area under the curve. {bands} Dashed: chance.",
            panels=tuple(panel for panel in roc_panels if panel is not None),
            **square,
        ),
        Figure(
            name=f"{group.task}-precision-recall",
            title="Precision-recall curves",
            caption=(
                f"{each}, on {on}. Figures: average precision. {bands} Dashed: the share of "
                "such photographs, which is the precision of answering at random."
            ),
            panels=tuple(panel for panel in pr_panels if panel is not None),
            **square,
        ),
    ]


def _subjects(group: Series) -> list[str | None]:
    """Returns what curves are drawn of: malignancy (None), and each class where there are more than two."""
    return [None, *(group.classes if len(group.classes) > 2 else ())]


def _positives(one: Answers, subject: str | None) -> tuple[np.ndarray, np.ndarray]:
    if subject is None:
        return one.malignant, one.risk
    column = one.classes.index(subject)
    return one.labels == column, one.probabilities[:, column]


def _panel(
    answers: Sequence[Answers],
    group: Series,
    subject: str | None,
    draw: _Draw,
    figure: str,
    axes: tuple[str, str],
    bootstrap: int,
) -> Chart | None:
    corners: list[dict[str, Any]] = []
    band: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    chance: list[dict[str, Any]] = []
    steps = draw is precision_recall
    for one in answers:
        is_positive, score = _positives(one, subject)
        curve = draw(is_positive, score, one.lesions, bootstrap=bootstrap)
        if curve is None:
            continue
        label = one.label
        corners += [{"run": label, "x": x, "y": y} for x, y in zip(curve.x, curve.y, strict=True)]
        band += [
            {"run": label, "x": x, "low": low, "high": high}
            for x, low, high in zip(GRID, curve.low, curve.high, strict=True)
        ]
        texts.append({"run": label, "text": _interval_text(one, subject, figure)})
        share = float(is_positive.mean())
        chance = (
            [{"x": 0, "y": share}, {"x": 1, "y": share}] if steps else [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
        )
    if not corners:
        return None
    # Below the diagonal nothing is drawn; of a precision-recall panel, the half that the curves leave free is taken.
    low = not steps or np.mean([row["y"] for row in corners if row["x"] >= 0.5] or [0]) > 0.5
    for place, text in enumerate(reversed(texts) if low else texts):
        text |= {
            "x": 0.03 if steps and low else 0.5,
            "y": 0.05 + place * _ROW if low else 0.95 - place * _ROW,
        }
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(values=_UNIT, format="~g")
    x = alt.X("x:Q", title=axes[0], scale=scale, axis=axis)
    # Layers share an axis; one that described it otherwise would change it for all.
    upright: dict[str, Any] = {"title": axes[1], "scale": scale, "axis": axis}
    y = alt.Y("y:Q", **upright)
    colour = run_colour(group)
    written = alt.Chart(rows_of(texts)).encode(x=x, y=y)
    text = written.encode(text="text:N")
    style: dict[str, Any] = {"align": "left", "dx": 11, "fontSize": 10}
    layers = [
        alt.Chart(rows_of(chance))
        .mark_line(strokeWidth=1, strokeDash=[3, 3], stroke=expression("muted"))
        .encode(x=x, y=y),
        alt.Chart(rows_of(band))
        .mark_area(opacity=0.14)
        .encode(x=x, y=alt.Y("low:Q", **upright), y2="high:Q", color=colour),
        alt.Chart(rows_of(corners))
        .mark_line(strokeWidth=1.6, interpolate="step-before" if steps else "linear")
        .encode(x=x, y=y, color=colour),
        written.mark_point(shape="stroke", size=160, strokeWidth=2.5, opacity=1).encode(color=colour),
        text.mark_text(**style, stroke=expression("surface"), strokeWidth=3, strokeJoin="round"),
        text.mark_text(**style),
    ]
    title = "Malignancy" if subject is None else get_diagnosis(subject).name
    return alt.layer(*layers).properties(height=_SIDE, title=title)


def _interval_text(one: Answers, subject: str | None, figure: str) -> str:
    source = one.figures if subject is None else one.figures["per_class"][subject]
    name = f"malignant_{figure}" if subject is None else figure
    return interval_text(source[name], source["ci95"][name])


def interval_text(value: float | None, ends: Sequence[float] | None) -> str:
    """Returns a figure with its interval, such as "0.81 (0.77–0.85)"; a dash where it is undefined."""
    if value is None or ends is None:
        return "–"
    return f"{value:.2f} ({ends[0]:.2f}–{ends[1]:.2f})"


def _bands(bootstrap: int) -> str:
    return f"Bands and brackets: 95%, by {bootstrap:,} draws of whole lesions."


def reliability_figure(answers: Sequence[Answers], group: Series, on: str, *, bootstrap: int) -> Figure:
    """Returns reliability diagrams: of the most likely diagnosis, and of the risk of malignancy.

    The arguments are those of `curve_figures`.
    """
    panels = []
    for one in answers:
        top = one.probabilities.max(axis=1)
        right = one.probabilities.argmax(axis=1) == one.labels
        error = interval_text(one.figures["ece"], one.figures["ci95"]["ece"])
        panels += [
            _reliability_panel(one, top, right, group, ("Answer", f"error {error}"), bootstrap),
            _reliability_panel(one, one.risk, one.malignant, group, ("Risk of malignancy", ""), bootstrap),
        ]
    return Figure(
        name=f"{group.task}-reliability",
        title="Reliability",
        caption=(
            "How often what was stated held true: the probability of the most likely diagnosis, with the expected "
            f"calibration error, and the risk of malignancy, on {on}. On the dashed line, 70% means seven of ten; "
            "below it, answers are too sure. "
            f"Grey bars: share of the photographs in each bin. {_bands(bootstrap)}"
        ),
        panels=tuple(panels),
        columns=4,
        panel_width=_SIDE,
        spacing=(52, 96),
        legend=run_legend(group),
    )


def _reliability_panel(
    one: Answers,
    stated: np.ndarray,
    holds: np.ndarray,
    group: Series,
    words: tuple[str, str],
    bootstrap: int,
) -> Chart:
    bins = reliability(stated, holds, one.lesions, bootstrap=bootstrap)
    rows = [asdict(found) | {"run": one.label} for found in bins]
    scale, axis = alt.Scale(domain=[0, 1], padding=0), alt.Axis(values=_UNIT, format="~g")
    x = alt.X("stated:Q", title="stated probability", scale=scale, axis=axis)
    upright: dict[str, Any] = {"title": "share that holds true", "scale": scale, "axis": axis}
    y = alt.Y("true:Q", **upright)
    base = alt.Chart(rows_of(rows)).encode(x=x)
    colour = run_colour(group, legend=None)
    line = alt.Chart(rows_of([{"stated": 0, "true": 0}, {"stated": 1, "true": 1}]))
    tips = [
        alt.Tooltip("stated:Q", format=".2f"),
        alt.Tooltip("true:Q", format=".2f"),
        alt.Tooltip("low:Q", format=".2f"),
        alt.Tooltip("high:Q", format=".2f"),
        alt.Tooltip("photographs:Q"),
        alt.Tooltip("lesions:Q"),
    ]
    layers = [
        base.mark_bar(size=6, opacity=0.3, fill=expression("muted")).encode(y=alt.Y("share:Q", **upright)),
        line.mark_line(strokeWidth=1, strokeDash=[3, 3], stroke=expression("muted")).encode(x=x, y=y),
        base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", **upright), y2="high:Q", color=colour),
        base.mark_line(strokeWidth=1.6).encode(y=y, color=colour),
        base.mark_point(filled=True, size=30, opacity=1).encode(y=y, color=colour, tooltip=tips),
    ]
    heading = alt.TitleParams(one.label, subtitle=", ".join(filter(None, words)))
    return alt.layer(*layers).properties(height=_SIDE, title=heading)
