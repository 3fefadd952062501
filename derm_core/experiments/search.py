"""Hyperparameter search: trials of a recipe, each an ordinary run folder, in one process or several. Ranks no bundles.

Killed at any instant and called again, it goes on: what has ended is kept, and what was running continues from its
checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import torch
from optuna.trial import TrialState

from derm_core.data.table import Dataset
from derm_core.errors import ConfigError
from derm_core.experiments.bundle_teacher import open_bundle_teacher
from derm_core.experiments.search_outcome import SearchOutcome, read_outcome, trial_name
from derm_core.experiments.search_plan import SearchPlan
from derm_core.experiments.search_space import short
from derm_core.experiments.trial_queue import Claim, TrialQueue
from derm_core.experiments.workers import run_workers
from derm_core.files import replace_file
from derm_core.training.loop import fit
from derm_core.training.observer import Observer
from derm_core.training.records import read_records

OUTCOME = "search.json"

Watch = Callable[[str], Observer]
"""Takes the name of a trial that begins or goes on, and returns what is told of its steps and epochs."""


def run_search(
    plan: SearchPlan,
    dataset: Dataset,
    folder: Path,
    *,
    storage: str | None = None,
    workers: int = 1,
    weights_dir: Path | None = None,
    watch: Watch | None = None,
    report: Callable[[str], object] | None = None,
) -> SearchOutcome:
    """Runs the trials of a search that have not ended, and returns all of them.

    Args:
        plan: as plan_search makes it.
        dataset: what trials are trained on, and on whose validation split they are measured.
        folder: the search folder. Each trial is a run folder in it, trial-0000 and so on; `search.json` is the table.
        storage: URL of a database that several machines share; None for a file in the folder.
        workers: processes that run trials side by side, on this machine.
        weights_dir: where pretrained weights are looked for first.
        watch: told of the steps and epochs of each trial; with several workers it is handed to their processes.
        report: takes a line when a trial begins and when it ends; handed over likewise.

    Raises:
        ConfigError: the folder or the storage holds another search, or no search; or every trial failed.
        CheckpointError: an interrupted trial has no whole checkpoint.
        DatasetError, WeightsNotFoundError: as for fit.
    """
    with TrialQueue(folder, plan, dataset.fingerprint(), storage=storage) as queue:
        if workers == 1:
            _work(queue, dataset, folder, weights_dir, watch, report)
        else:
            shared = (plan, dataset, folder, storage, weights_dir, watch, report)
            _check_finished(run_workers(workers, _open_and_work, shared), queue)
        outcome = _write_outcome(queue, folder)
    if outcome.trials and all(trial.state == "failed" for trial in outcome.trials):
        raise ConfigError(f"Every trial failed; the first: {outcome.trials[0].error}")
    return outcome


def _check_finished(failed: list[int], queue: TrialQueue) -> None:
    # Where some are left, the others take over what one was killed at.
    if failed and not all(entry.frozen.state.is_finished() or not entry.here for entry in queue.entries()):
        raise RuntimeError(
            f"{len(failed)} workers ended with status {', '.join(map(str, failed))} and left trials behind. The same "
            "search goes on from there."
        )


def _open_and_work(
    plan: SearchPlan,
    dataset: Dataset,
    folder: Path,
    storage: str | None,
    *arguments: Any,
) -> None:
    with TrialQueue(folder, plan, dataset.fingerprint(), storage=storage) as queue:
        _work(queue, dataset, folder, *arguments)


def _work(
    queue: TrialQueue,
    dataset: Dataset,
    folder: Path,
    weights_dir: Path | None,
    watch: Watch | None,
    report: Callable[[str], object] | None,
) -> None:
    while (claim := queue.claim()) is not None:
        name = trial_name(claim.place)
        try:
            observer = None if watch is None else watch(name)
            state, value, text = _run_trial(
                queue.plan, claim, dataset, folder / name, weights_dir, observer, report
            )
            queue.finish(claim, state, value, text if state == TrialState.FAIL else "")
        finally:
            claim.lock.release()
        _write_outcome(queue, folder)
        if report is not None:
            report(f"{name}: {text}")


def _run_trial(
    plan: SearchPlan,
    claim: Claim,
    dataset: Dataset,
    run: Path,
    weights_dir: Path | None,
    observer: Observer | None,
    report: Callable[[str], object] | None,
) -> tuple[TrialState, float | None, str]:
    """Returns how the trial ended, its metric where it was completed, and a sentence."""
    values = plan.suggest(claim.trial)
    if report is not None:
        settings = ", ".join(f"{key}={short(value)}" for key, value in values.items())
        report(f"{run.name} {'goes on' if claim.continued else 'begins'}: {settings}")
    try:
        config = plan.config(values)
        pruning = _Pruning(claim, run, plan.metric, config.training.epochs, observer)
        fit(
            config,
            dataset,
            run,
            resume=True,
            weights_dir=weights_dir,
            open_bundle=open_bundle_teacher,
            observer=pruning,
        )
        pruning.catch_up(config.training.epochs)
    except optuna.TrialPruned as pruned:
        return TrialState.PRUNED, None, str(pruned)
    except (ConfigError, torch.OutOfMemoryError) as err:
        return TrialState.FAIL, None, " ".join(str(err).split())
    if not pruning.metric:
        return TrialState.FAIL, None, f"{plan.metric} cannot be computed on the validation pictures."
    best = max(pruning.metric.values())
    return TrialState.COMPLETE, best, f"{plan.metric} {best:.4f}"


class _Pruning:
    """Reports each epoch's metric to Optuna, ends the trial where that calls for it, and tells another observer all."""

    def __init__(
        self, claim: Claim, run: Path, metric_name: str, epochs: int, observer: Observer | None
    ) -> None:
        self.metric: dict[int, float] = {}
        self._trial, self._reported, self._run = claim.trial, set(claim.reported), run
        self._name, self._epochs, self._observer = metric_name, epochs, observer
        self._begun = False

    def prepare(self, pictures: int) -> Callable[[int], object]:
        return (lambda count: None) if self._observer is None else self._observer.prepare(pictures)

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        if not self._begun and epoch > 1:
            self.catch_up(epoch - 1)
            self._prune_after(epoch - 1)
        self._begun = True
        if self._observer is not None:
            self._observer.begin_epoch(epoch, epochs, batches, position, batch_size)

    def end_step(self, loss: float, metric: float | None) -> None:
        if self._observer is not None:
            self._observer.end_step(loss, metric)

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        if self._observer is not None:
            self._observer.end_epoch(record, best)
        self._report(record["epoch"], record[self._name])
        self._prune_after(record["epoch"])

    def catch_up(self, last: int) -> None:
        """Reports the epochs up to `last` that are recorded: the process that ran them may have been killed first."""
        records = read_records(self._run)
        for epoch, value in zip(records["epoch"], records[self._name], strict=True):
            if epoch <= last:
                self._report(int(epoch), None if pd.isna(value) else float(value))

    def _report(self, epoch: int, value: float | None) -> None:
        if value is None:
            return
        self.metric[epoch] = value
        if epoch not in self._reported:
            self._trial.report(value, epoch)
            self._reported.add(epoch)

    def _prune_after(self, epoch: int) -> None:
        if epoch < self._epochs and self._trial.should_prune():
            raise optuna.TrialPruned(f"pruned after epoch {epoch} of {self._epochs}")


def _write_outcome(queue: TrialQueue, folder: Path) -> SearchOutcome:
    # Under the lock, so that no older table replaces a newer one.
    with queue.lock:
        outcome = read_outcome(queue.plan, queue.entries())
        replace_file(folder / OUTCOME, (json.dumps(outcome.to_dict(), indent=2) + "\n").encode())
    return outcome
