"""Figures by epoch: learning rate and loss, error with and without augmentation, metrics. Reads the records alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from derm_core.experiments.augmentation_plots import augmentation_figure
from derm_core.experiments.figure import Figure, LegendEntry
from derm_core.experiments.marks import (
    HEIGHT,
    METRICS,
    WITH,
    WITHOUT,
    Group,
    dash,
    end_labels,
    epoch_axis,
    epoch_lines,
    label_room,
    others_text,
    rings,
    run_legend,
)
from derm_core.experiments.run_table import ReportedRun

VALIDATION, TRAINING = "validation", "training"
_WIDE = 360
_DASHES = (LegendEntry(VALIDATION, sign="solid"), LegendEntry(TRAINING, sign="dashed"))


def epoch_figures(group: Group) -> list[Figure]:
    """Returns every figure by epoch that the records of these runs allow."""
    figures = [error_figure(group), augmentation_figure(group), learning_figure(group), metric_figure(group)]
    return [figure for figure in figures if figure is not None]


def error_figure(group: Group) -> Figure | None:
    """Returns training and validation error by epoch, the runs with and without augmentation in a panel each."""
    rows = _pairs(group.runs, "valid_errs", "train_errs", "error")
    if not rows:
        return None
    last = max(run.epochs for run in group.runs)
    highest = max(row["error"] for row in rows)
    room = label_room([run.label for run in group.shown], _WIDE)
    x = epoch_axis(last, room=room)
    y = alt.Y(
        "error:Q",
        title="share of photographs answered wrongly",
        scale=alt.Scale(domain=[0, highest]),
        axis=alt.Axis(format="%", tickCount=5),
    )
    panels = []
    for augmented in (True, False):
        members = {run.label for run in group.runs if run.augmented is augmented}
        part = [row for row in rows if row["run"] in members]
        if not any(row["run"] in {run.label for run in group.shown} for row in part):
            continue
        layers = [
            epoch_lines(part, group, x, y, stroke_dash=dash("set:N", VALIDATION, TRAINING), legend=not room),
            rings([row for row in part if row["best"] and row["set"] == VALIDATION], group, x, y),
        ]
        if room:
            ends = [
                {"epoch": run.epochs, "label": run.label, "error": run.values("valid_errs")[-1]}
                for run in group.shown
                if run.label in members and math.isfinite(run.values("valid_errs")[-1])
            ]
            layers.append(end_labels(ends, x, "error", highest=highest))
        panels.append(
            alt.layer(*layers).properties(height=HEIGHT, title=(WITH if augmented else WITHOUT).capitalize())
        )
    sides = {run.augmented for run in group.runs}
    all_alike = "" if len(sides) > 1 else f" All runs were trained {WITH if sides == {True} else WITHOUT}."
    return Figure(
        name=f"{group.task}-error",
        title="Training and validation error",
        caption=(
            f"Share of photographs answered wrongly after each epoch, on {group.on} (solid) and on the training "
            "photographs while they were learnt from, altered and with dropout where the run has them (dashed), so "
            f"that it may lie above the other. Rings: best epoch, by {_metric_words(group)}.{all_alike}{_grey(group)}"
        ),
        panels=tuple(panels),
        panel_width=_WIDE,
        legend=(*run_legend(group), *_DASHES),
    )


def learning_figure(group: Group) -> Figure | None:
    """Returns learning rate and loss by epoch."""
    last = max(run.epochs for run in group.runs)
    x, panels = epoch_axis(last), []
    rates = _single(group.runs, "lr", "rate")
    if rates:
        axis = alt.Axis(labelExpr="datum.value == 0 ? '0' : format(datum.value, '~e')", tickCount=5)
        y = alt.Y(
            "rate:Q", title="learning rate after the epoch", axis=axis, scale=alt.Scale(zero=True, nice=5)
        )
        panels.append(epoch_lines(rates, group, x, y).properties(height=HEIGHT, title="Learning rate"))
    losses = _pairs(group.runs, "valid_loss", "train_loss", "loss")
    if losses:
        y = alt.Y("loss:Q", title="mean loss", axis=alt.Axis(tickCount=5), scale=alt.Scale(zero=True, nice=5))
        lines = epoch_lines(losses, group, x, y, stroke_dash=dash("set:N", VALIDATION, TRAINING))
        panels.append(lines.properties(height=HEIGHT, title="Loss"))
    if not panels:
        return None
    return Figure(
        name=f"{group.task}-learning",
        title="Learning rate and loss",
        caption=(
            "Learning rate of the step after each epoch, and mean loss over the epoch, with its class weights and "
            f"label smoothing: on {group.on} (solid) and on the training photographs as they were learnt from "
            "(dashed). Equal schedules lie on each other; losses of runs with other weights or smoothing do not "
            f"compare.{_grey(group)}"
        ),
        panels=tuple(panels),
        panel_width=_WIDE,
        legend=(*run_legend(group), *_DASHES),
    )


def metric_figure(group: Group) -> Figure | None:
    """Returns the metrics of the validation pictures by epoch, a panel each on one scale."""
    series = {name: _single(group.runs, name, "value") for name in METRICS}
    if len(group.classes) == 2 and series["malignant_auc"]:
        # With two classes both areas are one.
        del series["macro_auc"]
    series = {name: rows for name, rows in series.items() if rows}
    if not series:
        return None
    x = epoch_axis(max(run.epochs for run in group.runs))
    lowest = math.floor(5 * min(row["value"] for rows in series.values() for row in rows)) / 5
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[lowest, 1], clamp=True),
        axis=alt.Axis(tickCount=5, format="~g"),
    )
    panels = []
    for name, rows in series.items():
        chosen = [row for row in rows if row["best"]]
        layers = alt.layer(epoch_lines(rows, group, x, y), rings(chosen, group, x, y))
        panels.append(layers.properties(height=150, title=METRICS[name]))
    return Figure(
        name=f"{group.task}-metrics",
        title="Metrics",
        caption=(
            f"Figures of {group.on} after each epoch; higher is better, and all panels share one scale from {lowest:g} "
            f"to 1. Rings: best epoch, by {_metric_words(group)}.{_grey(group)}"
        ),
        panels=tuple(panels),
        columns=3,
        panel_width=230,
        legend=run_legend(group),
    )


def _pairs(runs: Sequence[ReportedRun], validation: str, training: str, name: str) -> list[dict[str, Any]]:
    """Returns a row for each run, epoch and set of pictures; those without a value are left out."""
    rows = []
    for run in runs:
        for label, column in ((VALIDATION, validation), (TRAINING, training)):
            for epoch, value in zip(run.records["epoch"], run.values(column), strict=True):
                if math.isfinite(value):
                    best = bool(epoch == run.best_epoch)
                    rows.append(
                        {"run": run.label, "set": label, "epoch": int(epoch), name: value, "best": best}
                    )
    return rows


def _single(runs: Sequence[ReportedRun], column: str, name: str) -> list[dict[str, Any]]:
    return [
        {"run": run.label, "epoch": int(epoch), name: value, "best": bool(epoch == run.best_epoch)}
        for run in runs
        for epoch, value in zip(run.records["epoch"], run.values(column), strict=True)
        if math.isfinite(value)
    ]


def _metric_words(group: Group) -> str:
    names = dict.fromkeys(METRICS.get(run.metric, run.metric) for run in group.runs)
    return " or ".join(name if name.startswith(("AUC", "F1")) else name.lower() for name in names)


def _grey(group: Group) -> str:
    if not group.others:
        return ""
    return f" Grey: {others_text(group)}, whose best epochs are below those of the coloured ones."
