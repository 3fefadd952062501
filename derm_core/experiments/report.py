"""The report of training runs: one table of all epochs, figures as PNG and SVG, and one page. Trains nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from derm_core.data.table import Dataset
from derm_core.errors import ConfigError, DermError
from derm_core.evaluation.intervals import REPLICATES
from derm_core.evaluation.malignancy import Figures
from derm_core.experiments.answers import SENSITIVITY, RunAnswers, answer_run
from derm_core.experiments.bar_plots import bar_figures
from derm_core.experiments.candidate import Candidate, data_name, open_candidate
from derm_core.experiments.confusion_plots import confusion_figure
from derm_core.experiments.curve_plots import curve_figures, reliability_figure
from derm_core.experiments.figure import Figure, save_figure
from derm_core.experiments.marks import Group, group_of
from derm_core.experiments.plots import METRICS, epoch_figures
from derm_core.experiments.report_page import RunRow, RunTable, Section, report_page
from derm_core.experiments.run_table import ReportedRun, append_records, read_runs, write_records
from derm_core.experiments.samples import sample_figure
from derm_core.experiments.selective_plots import selective_figure
from derm_core.experiments.weight_plots import weight_figure
from derm_core.files import new_folder, replace_file

PAGE, FIGURES = "report.html", "figures"
RECORDS = ("records.parquet", "records.csv")
TITLE = "Training report"
_FINGERPRINT_DIGITS = 12

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Wraps what is gone through, its number, and what is done with it: "answering" or "drawing"."""
_NEEDS_DATA = (
    "ROC and precision-recall curves, reliability, accuracy against coverage, each diagnosis, groups of people, "
    "sample answers"
)


@dataclass(frozen=True)
class Report:
    """What was written: folder, page, names of the figures, and a sentence for each run that is left out of some.

    `measured` holds, for each folder of a run that answered photographs, the figures of `evaluate_probabilities`.
    """

    folder: Path
    page: Path
    figures: tuple[str, ...]
    notes: tuple[str, ...]
    measured: Mapping[Path, Figures]


def write_report(
    runs: Sequence[Path],
    out: Path,
    *,
    dataset: Dataset | None = None,
    split: str | None = None,
    bootstrap: int = REPLICATES,
    command: str = "",
    progress: Progress | None = None,
) -> Report:
    """Writes the report of any number of runs into a folder, all of it or nothing.

    The folder holds `records.parquet`, `records.csv`, `figures/` and `report.html`. Runs are grouped by their task.

    Args:
        runs: run folders.
        out: where the report goes; an earlier report there is replaced.
        dataset: what the runs were trained on, for the figures that need photographs; a run of other data is left out
            of these, with a note.
        split: which of its photographs are answered; None for each run's own validation split.
        bootstrap: how many sets of lesions are drawn for the intervals.
        command: what made the report, to be named in it.
        progress: shows how far it is.

    Raises:
        ConfigError: a folder is not a run's, `out` holds something else, or no run was trained on the dataset.
        DatasetError: a run has no records, or the dataset no such split.
    """
    _check_out(out)
    reported = read_runs(runs)
    candidates, notes = _open(reported, dataset)
    show: Progress = progress or (lambda items, total, what: items)
    sections = []
    measured: dict[Path, Figures] = {}
    for group in _groups(reported, candidates):
        answers = [
            answer_run(
                run, candidates[run.label], split, bootstrap=bootstrap, progress=partial(_answering, show)
            )
            for run in group.shown
            if run.label in candidates
        ]
        measured |= {one.run.folder: one.figures for one in answers}
        figures = _figures(group, answers, bootstrap)
        sections.append(_section(group, answers, figures, command, has_data=dataset is not None))
    drawn = [figure for section in sections for figure in section.figures]
    with new_folder(out) as growing:
        (growing / FIGURES).mkdir()
        write_records(append_records(reported), growing)
        for figure in show(drawn, len(drawn), "drawing"):
            save_figure(figure, growing / FIGURES)
        page = report_page(TITLE, sections, command=command, notes=notes)
        replace_file(growing / PAGE, page.encode())
    return Report(out, out / PAGE, tuple(figure.name for figure in drawn), tuple(notes), measured)


def _check_out(out: Path) -> None:
    """Raises ConfigError where the folder holds anything that a report does not consist of."""
    if not out.exists():
        return
    entries = [*out.iterdir(), *out.glob(f"{FIGURES}/*")] if out.is_dir() else [out]
    for entry in sorted(entries):
        drawn = entry.parent.name == FIGURES and entry.suffix in (".png", ".svg")
        if not drawn and entry.name not in (PAGE, FIGURES, *RECORDS):
            raise ConfigError(
                f"{out} cannot hold the report: {entry} is not part of one. Name another folder, or move it away."
            )


def _open(runs: Sequence[ReportedRun], dataset: Dataset | None) -> tuple[dict[str, Candidate], list[str]]:
    """Returns the runs that can answer by their labels, and a sentence for each that cannot."""
    candidates: dict[str, Candidate] = {}
    notes: list[str] = []
    if dataset is None:
        return candidates, notes
    for run in runs:
        try:
            candidates[run.label] = open_candidate(run.folder, dataset)
        except DermError as err:
            notes.append(f"{run.label} is left out of the figures that need photographs: {err}")
    if not candidates:
        raise ConfigError(f"None of the runs can answer the photographs of {dataset.folder}. {notes[0]}")
    return candidates, notes


def _groups(runs: Sequence[ReportedRun], candidates: Mapping[str, Candidate]) -> list[Group]:
    """Returns the runs by task, in the order in which tasks are first named."""
    tasks: dict[str, list[ReportedRun]] = {}
    for run in runs:
        tasks.setdefault(run.task, []).append(run)
    return [group_of(members, _validated_on(members, candidates)) for members in tasks.values()]


def _figures(group: Group, answers: Sequence[RunAnswers], bootstrap: int) -> list[Figure]:
    figures: list[Figure | None] = [*epoch_figures(group), confusion_figure(group), weight_figure(group)]
    if answers:
        on = (
            f"{_answered(answers)}; best epoch of each run, before the temperature scaling that a bundle gets"
        )
        figures += curve_figures(answers, group, on, bootstrap=bootstrap)
        figures.append(reliability_figure(answers, group, on, bootstrap=bootstrap))
        figures.append(selective_figure(answers, group, on, bootstrap=bootstrap))
        point = f"the threshold that finds {SENSITIVITY:.0%} of them in all of these photographs"
        figures += bar_figures(answers, group, on, point=point)
        best = max(answers, key=lambda one: one.figures["macro_f1"] or 0.0)
        figures.append(sample_figure(best, group, _answered([best])))
    return [figure for figure in figures if figure is not None]


def _section(
    group: Group, answers: Sequence[RunAnswers], figures: Sequence[Figure], command: str, *, has_data: bool
) -> Section:
    count, classes = len(group.runs), len(group.classes)
    missing = ""
    if not has_data:
        missing = f"Not drawn, because no dataset was given: {_NEEDS_DATA}. This adds them:"
    elif not answers:
        missing = f"Not drawn, because no run of this task was trained on the dataset given: {_NEEDS_DATA}."
    return Section(
        task=group.task,
        heading=f"Task {group.task}: {classes} classes, {count} run{'s' if count > 1 else ''}",
        runs=_run_table(group, answers),
        figures=tuple(figures),
        missing=missing,
        missing_command=""
        if has_data
        else f"{command or 'scripts/report.py RUN --out FOLDER'} --data DATASET",
    )


def _run_table(group: Group, answers: Sequence[RunAnswers]) -> RunTable:
    measured = {one.run.label: one for one in answers}
    # With two classes the area of each of them is that for malignancy.
    metrics = {
        name: title for name, title in METRICS.items() if name != "macro_auc" or len(group.classes) > 2
    }
    rows = []
    for run in group.runs:
        libraries = [
            f"{name} {value}" for name, value in run.made_with.items() if name != "data_fingerprint" and value
        ]
        rows.append(
            RunRow(
                label=run.label,
                series=group.series(run),
                cells=(
                    (run.config.model.architecture, ""),
                    ("yes" if run.augmented else "no", ""),
                    (f"{run.best_epoch} of {run.epochs}", ""),
                    *(_metric(run, measured.get(run.label), name) for name in metrics),
                ),
                command=run.command,
                made_with=f"Data with fingerprint {_fingerprint(run)}. {', '.join(libraries)}",
            )
        )
    caption = f"Figures of each run's best epoch, on {group.on}."
    if answers:
        caption = f"Figures of each run's best epoch with their 95% intervals over lesions, on {_answered(answers)}."
    if answers and len(answers) < len(group.runs):
        caption += f" Without intervals: as recorded in training, on {group.on}."
    return RunTable(("Network", "Augmented", "Best epoch", *metrics.values()), tuple(rows), caption)


def _metric(run: ReportedRun, answers: RunAnswers | None, name: str) -> tuple[str, str]:
    value = run.best_value(name) if answers is None else answers.figures[name]
    if value is None or math.isnan(value):
        return "–", ""
    ends = None if answers is None else answers.figures["ci95"][name]
    return f"{value:.2f}", "" if ends is None else f"{ends[0]:.2f}–{ends[1]:.2f}"


def _fingerprint(run: ReportedRun) -> str:
    return str(run.made_with.get("data_fingerprint", "unknown"))[:_FINGERPRINT_DIGITS]


def _validated_on(runs: Sequence[ReportedRun], candidates: Mapping[str, Candidate]) -> str:
    """Says on which photographs the epochs of these runs were validated."""
    counts = [int(matrix.sum()) for run in runs if (matrix := run.confusion_matrix(run.best_row)) is not None]
    text = f"{_range(counts)} validation photographs" if counts else "the validation photographs"
    opened = [candidates[run.label] for run in runs if run.label in candidates]
    if len(opened) < len(runs):
        data = dict.fromkeys(map(_fingerprint, runs))
        return f"{text} (data with fingerprint {' or '.join(data)})"
    lesions = [len(set(one.split(one.config.data.valid_split).lesions)) for one in opened]
    return f"{text} of {_range(lesions)} lesions of {data_name(opened[0].dataset)}"


def _answered(answers: Sequence[RunAnswers]) -> str:
    """Says which photographs were answered."""
    photographs, lesions = ([int(one.figures[name]) for one in answers] for name in ("n", "lesions"))
    splits = dict.fromkeys({"val": "validation"}.get(one.split, one.split) for one in answers)
    return f"{_range(photographs)} {' or '.join(splits)} photographs of {_range(lesions)} lesions of {answers[0].data}"


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _answering(show: Progress, answers: Iterable[Any], total: int) -> Iterable[Any]:
    return show(answers, total, "answering")
