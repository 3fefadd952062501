"""Model selection: runs compared on their validation pictures. Trains nothing, and never reads the test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from derm_core.data.table import Dataset
from derm_core.errors import ConfigError
from derm_core.experiments.candidate import Candidate, Progress, open_average, open_candidate
from derm_core.experiments.comparison import REPLICATES, compare_with
from derm_core.experiments.folds import open_folds, valid_pictures
from derm_core.experiments.measured_run import MeasuredRun, RankedRun, measure

PREFERENCES = ("small", "metric", "average")


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
    _check_comparable([(candidate,) for candidate in candidates])
    if average:
        candidates += [open_average(runs, dataset, image_size=size) for size in sizes]
    return _rank([measure((one,), metric, progress) for one in candidates], metric, replicates)


def rank_folds(
    recipes: Sequence[Sequence[Path]],
    dataset: Dataset,
    metric: str,
    *,
    image_sizes: Sequence[int] = (),
    replicates: int = REPLICATES,
    progress: Progress | None = None,
) -> list[RankedRun]:
    """Returns recipes, best first, each by its runs over several folds, compared with the best.

    Every lesion is answered by the run that has not seen it; the answers of all folds together are measured as those
    of one run are.

    Args:
        recipes: the runs of each, as open_folds takes them.
        dataset, metric, image_sizes, replicates, progress: as for rank_runs.

    Raises:
        ConfigError: as open_folds; or the recipes differ in their task or in the photographs of all their folds, or the
            metric cannot be computed.
        CheckpointError: a run has no whole best.pt.
    """
    sizes: Sequence[int | None] = image_sizes or (None,)
    candidates = [open_folds(runs, dataset, image_size=size) for runs in recipes for size in sizes]
    _check_comparable(candidates)
    return _rank([measure(parts, metric, progress) for parts in candidates], metric, replicates)


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
        averages = (entry for entry in ranked if entry.tied and len(entry.runs) > 1 and not entry.fold_epochs)
        return next(averages, ranked[0])
    # min keeps the first of equals, and the better metric comes first.
    return min((entry for entry in ranked if entry.tied), key=lambda entry: entry.cost)


def _rank(measured: Sequence[MeasuredRun], metric: str, replicates: int) -> list[RankedRun]:
    ranked = sorted(measured, key=lambda one: one.order)
    best = ranked[0]
    comparisons = compare_with(
        best.probabilities,
        [one.probabilities for one in ranked[1:]],
        best.labels,
        best.lesions,
        malignant=best.malignant,
        metric=metric,
        replicates=replicates,
    )
    return [
        replace(one.entry, versus_best=comparison)
        for one, comparison in zip(ranked, (None, *comparisons), strict=True)
    ]


def _check_comparable(candidates: Sequence[Sequence[Candidate]]) -> None:
    """Each candidate is a run, or the runs of a recipe over several folds."""
    tasks = {parts[-1].config.data.task for parts in candidates}
    if len(tasks) > 1:
        named = ", ".join(
            dict.fromkeys(f"{_joined(parts)} ({parts[-1].config.data.task})" for parts in candidates)
        )
        raise ConfigError(
            f"Runs of different tasks cannot be ranked together: {named}. Select within one task."
        )
    pictures = {
        frozenset(image for part in parts for image in valid_pictures(part).table["image"])
        for parts in candidates
    }
    if len(pictures) > 1:
        named = ", ".join(
            dict.fromkeys(
                f"{_joined(parts)} (split {', '.join(part.config.data.valid_split for part in parts)}, "
                f"limit {parts[-1].config.data.limit})"
                for parts in candidates
            )
        )
        raise ConfigError(
            f"Runs that were checked on different pictures cannot be ranked together: {named}. Select among runs with "
            "the same data.valid_split and data.limit; with --folds, among recipes whose runs cover the same folds."
        )


def _joined(parts: Sequence[Candidate]) -> str:
    return "+".join(str(run) for part in parts for run in part.runs)
