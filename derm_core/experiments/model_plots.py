"""Figures of one model's answers to a split: what `evaluate.py --plots` writes. Asks no model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import numpy as np

from derm_core.diagnoses import get_task
from derm_core.errors import ConfigError
from derm_core.evaluation.intervals import REPLICATES
from derm_core.experiments.answers import Answers
from derm_core.experiments.bar_plots import bar_figures
from derm_core.experiments.confusion_plots import matrix_panel, matrix_width
from derm_core.experiments.curve_plots import curve_figures, reliability_figure
from derm_core.experiments.figure import Figure, save_figure
from derm_core.experiments.selective_plots import selective_figure
from derm_core.files import new_folder
from derm_core.serving.evaluation import Evaluated

_ENDINGS = (".png", ".svg")

Progress = Callable[[Sequence[Figure], int], Iterable[Figure]]


@dataclass(frozen=True)
class _OneModel:
    """A `Series` of one."""

    task: str
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    grey: int = 0


def model_figures(
    evaluated: Evaluated, classes: Sequence[str], *, bootstrap: int = REPLICATES
) -> list[Figure]:
    """Returns confusion matrix, ROC and precision-recall curves, reliability, accuracy against coverage, and bars.

    Where malignancy alone was measured, these are the curves of malignancy. The names of the figures begin with that of
    the task.

    Args:
        evaluated: what `evaluate_predictor` returned.
        classes: codes in the order of its probabilities.
        bootstrap: how many sets of lesions are drawn for the bands.
    """
    figures = evaluated.figures
    label = f"{figures['model']['name']} {figures['model']['version']}"
    by_class = evaluated.labels is not None
    task = figures["model"]["task"] if by_class else "malignancy"
    answers = Answers(
        label,
        tuple(classes) if by_class else get_task(task).classes,
        evaluated.malignant.astype(np.int64) if evaluated.labels is None else evaluated.labels,
        evaluated.probabilities if by_class else np.stack([1 - evaluated.risk, evaluated.risk], axis=1),
        evaluated.risk,
        evaluated.lesions,
        figures,
    )
    series = _OneModel(task, answers.classes, (label,))
    data = figures["data"]
    split = {"val": "validation ", "all": ""}.get(data["split"], f"{data['split']} ")
    on = f"{figures['n']:,} {split}photographs of {figures['lesions']:,} lesions of {data['name']}"
    curves = curve_figures([answers], series, on, bootstrap=bootstrap)
    if not by_class:
        return curves
    point = f"the model's own threshold for advice ({figures['operating_point']['threshold']:.2f})"
    return [
        _matrix_figure(answers, task, on),
        *curves,
        reliability_figure([answers], series, on, bootstrap=bootstrap),
        selective_figure([answers], series, on, bootstrap=bootstrap),
        *bar_figures([answers], series, on, point=point),
    ]


def save_figures(figures: Sequence[Figure], folder: Path, *, progress: Progress | None = None) -> None:
    """Writes each figure as PNG and SVG into a folder, all of them or none; earlier figures there are replaced.

    Raises:
        ConfigError: the folder holds something that is no figure.
    """
    check_figure_folder(folder)
    with new_folder(folder) as growing:
        for figure in progress(figures, len(figures)) if progress else figures:
            save_figure(figure, growing)


def check_figure_folder(folder: Path) -> None:
    """Raises ConfigError where figures cannot be written to a folder, because it holds anything else."""
    if not folder.exists():
        return
    entries = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    for entry in entries:
        if entry.suffix not in _ENDINGS or not entry.is_file():
            raise ConfigError(
                f"{folder} cannot hold the figures: {entry} is none. Name another folder, or move it away."
            )


def _matrix_figure(answers: Answers, task: str, on: str) -> Figure:
    size = len(answers.classes)
    chosen = answers.probabilities.argmax(axis=1)
    counts = np.bincount(answers.labels * size + chosen, minlength=size * size)
    title = alt.TitleParams(answers.label)
    return Figure(
        name=f"{task}-confusion",
        title="Confusion matrix",
        caption=(
            f"{on[0].upper()}{on[1:]}: rows are the truth, columns the answer. The large figure and the colour are the "
            "share of the row in percent, so that the diagonal is the recall of each diagnosis; below it stands the "
            "number of photographs. Empty cells are zero."
        ),
        panels=(matrix_panel([{"counts": counts.tolist()}], answers.classes).properties(title=title),),
        columns=1,
        panel_width=matrix_width(size),
    )
