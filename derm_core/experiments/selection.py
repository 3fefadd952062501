"""Model selection: runs compared on their validation pictures. Trains nothing, and never reads the test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from derm_core.data.table import Dataset
from derm_core.errors import ConfigError
from derm_core.evaluation.metrics import evaluate_probabilities
from derm_core.experiments.candidate import (
    Candidate,
    Progress,
    answer_split,
    open_average,
    open_candidate,
    probability_table,
)


@dataclass(frozen=True)
class RankedRun:
    """A run's best epoch, or the average of several, on the validation split: the metric with its 95% interval.

    `image_size` is the side in pixels at which the network saw the pictures; the interval is over lesions.
    """

    runs: tuple[Path, ...]
    name: str
    epoch: int
    image_size: int
    metric: str
    value: float
    ci95: tuple[float, float]
    lesions: int


def rank_runs(
    runs: Sequence[Path],
    dataset: Dataset,
    metric: str,
    *,
    image_sizes: Sequence[int] = (),
    average: bool = False,
    progress: Progress | None = None,
) -> list[RankedRun]:
    """Returns the runs, best first, each by its best epoch's weights on its validation split.

    Args:
        runs: run folders, or the last.pt in them.
        dataset: what all of them were trained on.
        metric: a figure of evaluation that has an interval; higher is better.
        image_sizes: sizes to try each run at; none for the size of its training.
        average: rank the mean of all the runs' weights, too.
        progress: wraps the answers and their number, to show how far it is.

    Raises:
        ConfigError: a folder is not a run's, a run was trained on other data, the runs differ in their task, or the
            metric cannot be computed.
        CheckpointError: a run has no whole best.pt.
    """
    sizes: Sequence[int | None] = image_sizes or (None,)
    candidates = [open_candidate(run, dataset, image_size=size) for run in runs for size in sizes]
    if len({candidate.config.data.task for candidate in candidates}) > 1:
        tasks = ", ".join(f"{candidate.runs[-1]} ({candidate.config.data.task})" for candidate in candidates)
        raise ConfigError(
            f"Runs of different tasks cannot be ranked together: {tasks}. Select within one task."
        )
    if average:
        candidates += [open_average(runs, dataset, image_size=size) for size in sizes]
    ranked = [_rank(candidate, metric, progress) for candidate in candidates]
    return sorted(ranked, key=lambda entry: entry.value, reverse=True)


def _rank(candidate: Candidate, metric: str, progress: Progress | None) -> RankedRun:
    predictor = candidate.predictor(candidate.describe(name=candidate.config.name, version="0"))
    subset = candidate.split(candidate.config.data.valid_split)
    figures = evaluate_probabilities(
        candidate.labels(subset),
        probability_table(answer_split(predictor, subset, progress)),
        classes=candidate.classes,
        malignant=predictor.description.malignant,
        lesions=subset.lesions,
        operating_threshold=None,
    )
    if figures["ci95"].get(metric) is None:
        known = ", ".join(name for name, interval in figures["ci95"].items() if interval is not None)
        raise ConfigError(
            f"{metric!r} cannot be computed on the validation split of {candidate.runs[-1]}. What can: {known}."
        )
    low, high = figures["ci95"][metric]
    return RankedRun(
        candidate.runs,
        candidate.config.name,
        candidate.epoch,
        candidate.image_size,
        metric,
        figures[metric],
        (low, high),
        figures["lesions"],
    )
