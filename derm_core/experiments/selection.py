"""Model selection: runs compared on their validation pictures. Trains nothing, and never reads the test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np

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
from derm_core.experiments.comparison import REPLICATES, Comparison, compare_with
from derm_core.experiments.cost import Cost, network_cost
from derm_core.serving.bundle import Bundle

PREFERENCES = ("small", "metric", "average")
LOWER_IS_BETTER = ("ece", "brier")


@dataclass(frozen=True)
class RankedRun:
    """A run's best epoch, or the average of several, on the validation split: the metric with its 95% interval.

    `image_size` is the side in pixels at which the network saw the pictures; the interval is over lesions. `seconds`
    is the median time of an answer on this machine, decoding included. `versus_best` compares it with the first of the
    ranking, which itself has none.
    """

    runs: tuple[Path, ...]
    name: str
    epoch: int
    image_size: int
    metric: str
    value: float
    ci95: tuple[float, float]
    lesions: int
    architecture: str
    cost: Cost
    seconds: float = field(compare=False)
    versus_best: Comparison | None = field(default=None, compare=False)

    @property
    def tied(self) -> bool:
        """Whether it is the first of the ranking or cannot be told apart from it at 95%."""
        return self.versus_best is None or not self.versus_best.told_apart


def rank_runs(
    runs: Sequence[Path],
    dataset: Dataset,
    metric: str,
    *,
    image_sizes: Sequence[int] = (),
    average: bool = False,
    replicates: int = REPLICATES,
    progress: Progress | None = None,
) -> list[RankedRun]:
    """Returns the runs, best first, each by its best epoch's weights on its validation split, compared with the best.

    Args:
        runs: run folders, the last.pt in them, or the folders of bundles that were made of such runs.
        dataset: what all of them were trained on.
        metric: a figure of evaluation that has an interval.
        image_sizes: sizes to try each run at; none for the size of its training.
        average: rank the mean of all the runs' weights, too.
        replicates: how many sets of lesions the comparison draws.
        progress: wraps the answers and their number, to show how far it is.

    Raises:
        ConfigError: a folder is not a run's, a run was trained on other data, the runs differ in their task or in their
            validation pictures, or the metric cannot be computed.
        CheckpointError: a run has no whole best.pt.
        BundleError: a bundle is incomplete or altered.
    """
    sizes: Sequence[int | None] = image_sizes or (None,)
    candidates = [open_candidate(run, dataset, image_size=size) for run in runs for size in sizes]
    _check_comparable(candidates)
    if average:
        candidates += [open_average(runs, dataset, image_size=size) for size in sizes]
    ranked = sorted((_measure(candidate, metric, progress) for candidate in candidates), key=_Measured.order)
    subset = candidates[0].split(candidates[0].config.data.valid_split)
    comparisons = compare_with(
        ranked[0].probabilities,
        [one.probabilities for one in ranked[1:]],
        candidates[0].labels(subset),
        subset.lesions,
        malignant=ranked[0].malignant,
        metric=metric,
        replicates=replicates,
    )
    return [
        replace(one.entry, versus_best=comparison)
        for one, comparison in zip(ranked, (None, *comparisons), strict=True)
    ]


def choose_run(ranked: Sequence[RankedRun], prefer: str = "small") -> RankedRun:
    """Returns the run to make a bundle of.

    Args:
        ranked: as rank_runs returns them.
        prefer: `small` takes, of the best and of those that cannot be told apart from it, the one with the fewest
            parameters, then the fewest multiply-adds a picture (those of one network grow with the size of its
            pictures), then the better metric; `metric` takes the best; `average` the mean of the runs' weights, for
            what the metric does not show, such as answers to pictures from elsewhere, and where there is none among
            them, the best.
    """
    if prefer == "metric":
        return ranked[0]
    if prefer == "average":
        return next((entry for entry in ranked if entry.tied and len(entry.runs) > 1), ranked[0])
    # min keeps the first of equals, and the better metric comes first.
    return min((entry for entry in ranked if entry.tied), key=lambda entry: entry.cost)


@dataclass(frozen=True)
class _Measured:
    """probabilities: float64 (N, C) of the validation pictures; malignant: C flags."""

    entry: RankedRun
    probabilities: np.ndarray
    malignant: tuple[bool, ...]

    def order(self) -> tuple[float, Cost]:
        sign = 1 if self.entry.metric in LOWER_IS_BETTER else -1
        return sign * self.entry.value, self.entry.cost


def _measure(candidate: Candidate, metric: str, progress: Progress | None) -> _Measured:
    description = candidate.describe(name=candidate.config.name, version="0")
    predictor = candidate.predictor(description)
    subset = candidate.split(candidate.config.data.valid_split)
    answers = answer_split(predictor, subset, progress)
    probabilities, malignant = probability_table(answers), predictor.description.malignant
    figures = evaluate_probabilities(
        candidate.labels(subset),
        probabilities,
        classes=candidate.classes,
        malignant=malignant,
        lesions=subset.lesions,
        operating_threshold=None,
    )
    if figures["ci95"].get(metric) is None:
        known = ", ".join(name for name, interval in figures["ci95"].items() if interval is not None)
        raise ConfigError(
            f"{metric!r} cannot be computed on the validation split of {candidate.runs[-1]}. What can: {known}."
        )
    low, high = figures["ci95"][metric]
    network = Bundle(candidate.runs[-1], description, candidate.state).build_model()
    entry = RankedRun(
        candidate.runs,
        candidate.config.name,
        candidate.epoch,
        candidate.image_size,
        metric,
        figures[metric],
        (low, high),
        figures["lesions"],
        candidate.config.model.architecture,
        network_cost(network, candidate.image_size, description.views),
        median(answer.seconds for answer in answers),
    )
    return _Measured(entry, probabilities, tuple(malignant))


def _check_comparable(candidates: Sequence[Candidate]) -> None:
    tasks = {candidate.config.data.task for candidate in candidates}
    if len(tasks) > 1:
        named = ", ".join(
            dict.fromkeys(f"{candidate.runs[-1]} ({candidate.config.data.task})" for candidate in candidates)
        )
        raise ConfigError(
            f"Runs of different tasks cannot be ranked together: {named}. Select within one task."
        )
    splits = [candidate.config.data.valid_split for candidate in candidates]
    pictures = {
        tuple(candidate.split(split).table["image"])
        for candidate, split in zip(candidates, splits, strict=True)
    }
    if len(pictures) > 1:
        named = ", ".join(
            dict.fromkeys(
                f"{candidate.runs[-1]} (split {split}, limit {candidate.config.data.limit})"
                for candidate, split in zip(candidates, splits, strict=True)
            )
        )
        raise ConfigError(
            f"Runs that were checked on different pictures cannot be ranked together: {named}. Select among runs with "
            "the same data.valid_split and data.limit."
        )
