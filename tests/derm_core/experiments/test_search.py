"""A search: its trials are run folders, hopeless ones end early, and no kill loses or repeats one."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from derm_core.data.table import Dataset
from derm_core.errors import ConfigError, WeightsNotFoundError
from derm_core.experiments import search
from derm_core.experiments.search import run_search
from derm_core.experiments.search_outcome import SearchOutcome
from derm_core.experiments.search_plan import SearchPlan, plan_search
from derm_core.training.checkpoint import LAST
from derm_core.training.config import load_recipe
from derm_core.training.loop import fit
from derm_core.training.records import read_records
from derm_core.training.run_folder import read_run_config
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.tiny import differences

RECIPE = """
[data]
task = "nv-bkl-mel"
image_size = 32
working_side = 40

[model]
architecture = "shufflenet_v2_x0_5"
pretrained = false

[training]
epochs = 2
batch_size = 8
learning_rate = 2e-3
device = "cpu"
precision = "float32"
threads = 1
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return coloured_dataset(tmp_path_factory.mktemp("search") / "set", train=16, valid=9)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return str(path)


@dataclass(frozen=True)
class Whole:
    """A search that nobody disturbed, and the lines that it reported."""

    plan: SearchPlan
    folder: Path
    outcome: SearchOutcome
    lines: list[str]


@pytest.fixture(scope="module")
def whole(recipe: str, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    plan, folder, lines = grid(recipe), tmp_path_factory.mktemp("whole") / "search", []
    return Whole(plan, folder, run_search(plan, dataset, folder, report=lines.append), lines)


def grid(recipe: str, *over: str, **options: Any) -> SearchPlan:
    return plan_search(recipe, over or ["training.learning_rate=[1e-4, 1e-3]"], method="grid", **options)


def values(run: Path) -> list[float]:
    return [float(value) for value in read_records(run)["macro_f1"]]


class Watcher:
    """An observer that does something when it is told of an epoch, before anybody else learns of it."""

    def __init__(self, at_end: Callable[[int], object] = lambda epoch: None) -> None:
        self._at_end = at_end

    def prepare(self, pictures: int) -> Callable[[int], object]:
        return lambda count: None

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None: ...

    def end_step(self, loss: float, metric: float | None) -> None: ...

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        self._at_end(record["epoch"])


class Killed(BaseException):
    """Stands for whatever ends a process."""


def kill_at(name: str, epoch: int) -> Callable[[str], Watcher]:
    """Watches a search and ends it as the trial is told of an epoch, which is in no storage yet."""

    def watch(trial: str) -> Watcher:
        def at_end(ended: int) -> None:
            if (trial, ended) == (name, epoch):
                raise Killed

        return Watcher(at_end)

    return watch


def test_trials_are_run_folders_with_their_settings(whole: Whole, dataset: Dataset, tmp_path: Path) -> None:
    outcome = whole.outcome
    assert [trial.state for trial in outcome.trials] == ["complete", "complete"]
    for trial in outcome.trials:
        config, _ = read_run_config(whole.folder / trial.run)
        assert config.training.learning_rate == trial.settings["training.learning_rate"]
        assert trial.value == pytest.approx(max(values(whole.folder / trial.run)))
        assert trial.epochs == 2
    assert outcome.best is not None
    assert outcome.best.value == max(trial.value or 0.0 for trial in outcome.trials)
    best = fit(
        load_recipe(whole.plan.recipe, outcome.to_dict()["best"]["overrides"]), dataset, tmp_path / "b"
    )
    assert values(best) == values(whole.folder / outcome.best.run)
    assert json.loads((whole.folder / "search.json").read_text()) == json.loads(json.dumps(outcome.to_dict()))
    assert whole.lines[0] == "trial-0000 begins: training.learning_rate=0.0001"
    assert whole.lines[1].startswith("trial-0000: macro_f1 ")
    assert not list(whole.folder.glob(".*partial"))


def test_a_finished_search_trains_nothing_and_says_the_same(
    whole: Whole, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "fit", None)
    assert run_search(whole.plan, dataset, whole.folder) == whole.outcome


@pytest.mark.parametrize(("trial", "epoch"), [("trial-0000", 1), ("trial-0000", 2), ("trial-0001", 1)])
def test_a_search_that_was_killed_ends_as_if_it_had_not_been(
    trial: str, epoch: int, whole: Whole, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[tuple[int, int]] = []
    report = optuna.trial.Trial.report

    def recording(trial: optuna.trial.Trial, value: float, step: int) -> None:
        reported.append((trial.number, step))
        report(trial, value, step)

    monkeypatch.setattr(optuna.trial.Trial, "report", recording)
    folder, lines = tmp_path / "search", []
    with pytest.raises(Killed):
        run_search(whole.plan, dataset, folder, watch=kill_at(trial, epoch))
    assert run_search(whole.plan, dataset, folder, report=lines.append) == whole.outcome
    assert lines[0].startswith(f"{trial} goes on: ")
    # The epoch that nobody was told of, too.
    assert reported == [(0, 1), (0, 2), (1, 1), (1, 2)]
    for name in ("trial-0000", "trial-0001"):
        states = [torch.load(at / name / LAST, weights_only=True)["model"] for at in (whole.folder, folder)]
        assert differences(*states) == []


class PruneTheSecond(optuna.pruners.BasePruner):
    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return trial.number == 1


def test_a_pruned_trial_ends_early_and_leaves_a_whole_run_but_is_never_the_best(
    recipe: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SearchPlan, "build_pruner", lambda plan: PruneTheSecond())
    plan = grid(recipe, overrides=["data.limit=14"])
    outcome = run_search(plan, dataset, tmp_path / "search")
    complete, pruned = outcome.trials
    assert (complete.state, complete.epochs) == ("complete", 2)
    assert (pruned.run, pruned.state, pruned.epochs) == ("trial-0001", "pruned", 1)
    assert outcome.best == complete
    assert outcome.best_words == "--set data.limit=14 --set training.learning_rate=0.0001"
    rows = [row.split(" | ") for row in outcome.table().splitlines()]
    assert rows[0] == ["| trial", "macro_f1", "state", "epochs", "training.learning_rate |"]
    assert [row[2:4] for row in rows[2:]] == [["complete", "2"], ["pruned", "1"]]
    run = tmp_path / "search" / pruned.run
    assert values(run) == [pruned.value]
    # Whoever thinks better of it can go on.
    fit(plan.config(pruned.settings), dataset, run, resume=True)
    assert len(values(run)) == 2


def test_a_trial_that_diverges_is_named_and_does_not_stop_the_others(
    recipe: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverging(config: Any, *arguments: Any, **options: Any) -> Path:
        if config.training.learning_rate == 1e-4:
            raise ConfigError("Training diverged in epoch 1.")
        return fit(config, *arguments, **options)

    monkeypatch.setattr(search, "fit", diverging)
    outcome = run_search(grid(recipe), dataset, tmp_path / "search")
    assert [(trial.trial, trial.state, trial.error) for trial in outcome.trials] == [
        (1, "complete", ""),
        (0, "failed", "Training diverged in epoch 1."),
    ]
    monkeypatch.setattr(search, "fit", None)
    assert run_search(grid(recipe), dataset, tmp_path / "search") == outcome


def test_a_search_of_which_every_trial_failed_says_why(
    recipe: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverging(*arguments: Any, **options: Any) -> Path:
        raise ConfigError("Training diverged in epoch 1.")

    monkeypatch.setattr(search, "fit", diverging)
    with pytest.raises(ConfigError, match="Every trial failed; the first: Training diverged"):
        run_search(grid(recipe), dataset, tmp_path / "search")


def test_a_teacher_may_be_a_bundle(
    recipe: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    plan = grid(recipe, 'training.distillation.teacher=["bundled", "nobody"]')
    with pytest.raises(
        ConfigError, match=r"is 'bundled', whose data\.task is 'ham7'; this run's is 'nv-bkl-mel'"
    ):
        run_search(plan, dataset, tmp_path / "search")


def test_what_a_trial_lacks_stops_the_search_and_the_trial_waits_for_it(
    recipe: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_weights(*arguments: Any, **options: Any) -> Path:
        raise WeightsNotFoundError("No weights.")

    with monkeypatch.context() as patch:
        patch.setattr(search, "fit", without_weights)
        with pytest.raises(WeightsNotFoundError):
            run_search(grid(recipe), dataset, tmp_path / "search")
    lines: list[str] = []
    outcome = run_search(grid(recipe), dataset, tmp_path / "search", report=lines.append)
    assert lines[0].startswith("trial-0000 goes on")
    assert [trial.state for trial in outcome.trials] == ["complete", "complete"]


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_draws_are_the_same_whatever_was_killed(
    method: str, recipe: str, dataset: Dataset, tmp_path: Path
) -> None:
    over = ["training.learning_rate=1e-4..1e-2:log", "training.batch_size=[4, 8]"]
    plan = plan_search(recipe, over, method=method, trials=2, overrides=["training.epochs=1"])
    whole = run_search(plan, dataset, tmp_path / "whole")
    with pytest.raises(Killed):
        run_search(plan, dataset, tmp_path / "killed", watch=kill_at("trial-0001", 1))
    assert run_search(plan, dataset, tmp_path / "killed") == whole
    assert len({str(trial.settings) for trial in whole.trials}) == 2


def note(line: str) -> None:
    """Appends a line to a file that all processes know."""
    with open(os.environ["TEST_SEARCH_LINES"], "a", encoding="utf-8") as stream:
        stream.write(f"{os.getpid()} {line}\n")


def test_two_workers_share_the_trials_and_run_none_twice(
    recipe: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_SEARCH_LINES", str(tmp_path / "lines"))
    plan = grid(recipe, "training.seed=[1, 2, 3, 4]", overrides=["training.epochs=1"])
    outcome = run_search(plan, dataset, tmp_path / "search", workers=2, report=note)
    assert [trial.state for trial in outcome.trials] == ["complete"] * 4
    begun = [line.split(" ", 1) for line in (tmp_path / "lines").read_text().splitlines() if "begins" in line]
    assert Counter(line.split()[0] for _, line in begun) == {f"trial-000{number}": 1 for number in range(4)}
    alone = run_search(plan, dataset, tmp_path / "alone")
    assert outcome == alone
