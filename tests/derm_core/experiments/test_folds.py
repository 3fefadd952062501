"""Recipes compared over folds: each lesion is answered once, by the run that has not seen it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from derm_core.data.table import Dataset, load_dataset
from derm_core.errors import ConfigError
from derm_core.evaluation.metrics import evaluate_probabilities
from derm_core.experiments.candidate import answer_split, open_candidate, probability_table
from derm_core.experiments.folds import open_folds
from derm_core.experiments.ranking import plain_ranking, ranking_lines, ranking_markdown, verdict
from derm_core.experiments.selection import choose_run, rank_folds, rank_runs
from derm_core.serving.prediction import Prediction
from derm_core.training.checkpoint import save_best
from derm_core.training.config import parse_config
from derm_core.training.run_folder import begin_run
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.tiny import lively_network, tiny_config

FOLDS = ("fold-0", "fold-1", "fold-2")
SHUFFLENET = "shufflenet_v2_x0_5"
Runs = Callable[..., Path]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Thirty photographs of ten lesions in three folds that take turns in the table."""
    folder = coloured_dataset(tmp_path_factory.mktemp("folds") / "set", train=30, valid=0).folder
    table = load_dataset(folder).table
    table["lesion_id"] = [f"lesion-{number // 3}" for number in range(30)]
    table["split"] = [FOLDS[number // 3 % 3] for number in range(30)]
    table.to_csv(folder / "metadata.csv", index=False)
    return load_dataset(folder)


@pytest.fixture
def run(dataset: Dataset, tmp_path: Path) -> Runs:
    """Writes a run that was checked on a fold, whose weights a seed tells; it was never trained."""
    pictures = tiny_config().preprocessing.tensor(
        np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    )

    def write(name: str, valid: str, *, start: str = "", units: int = 0, **training: object) -> Path:
        values = {
            "data": {
                "task": "nv-bkl-mel",
                "image_size": 32,
                "working_side": 40,
                "train_split": "+".join(fold for fold in FOLDS if fold not in valid.split("+")),
                "valid_split": valid,
            },
            "model": {"architecture": SHUFFLENET, "pretrained": False, "start": start, "head_units": units},
            "training": training,
        }
        begin_run(tmp_path / name, parse_config(values, name), dataset)
        network = lively_network(SHUFFLENET, pictures, head_units=units)
        for parameter in network.parameters():
            parameter.data *= 1 + 0.01 * len(name)
        epoch = 1 + FOLDS.index(valid.split("+")[0])
        save_best(tmp_path / name, {"model": network.state_dict(), "epoch": epoch, "best": {}})
        return tmp_path / name

    return write


def of_recipe(run: Runs, name: str, **settings: object) -> list[Path]:
    return [run(f"{name}-{fold}", fold, **settings) for fold in FOLDS]


def test_the_answers_of_all_folds_are_measured_together(run: Runs, dataset: Dataset) -> None:
    runs = of_recipe(run, "a")
    (entry,) = rank_folds([runs], dataset, "accuracy", replicates=200)
    labels, probabilities, lesions = [], [], []
    for folder in runs:
        candidate = open_candidate(folder, dataset)
        subset = candidate.split(candidate.config.data.valid_split)
        answers = answer_split(candidate.predictor(candidate.describe(name="a", version="0")), subset)
        probabilities.append(probability_table(answers))
        labels.append(candidate.labels(subset))
        lesions.append(subset.lesions)
    by_hand = evaluate_probabilities(
        np.concatenate(labels),
        np.concatenate(probabilities),
        classes=("bkl", "mel", "nv"),
        malignant=(False, True, False),
        lesions=np.concatenate(lesions),
        operating_threshold=None,
        bootstrap=1,
    )
    assert entry.value == by_hand["accuracy"]
    assert entry.lesions == 10
    assert entry.runs == tuple(runs)
    assert entry.fold_epochs == (1, 2, 3)


def test_each_photograph_is_asked_about_once(run: Runs, dataset: Dataset) -> None:
    asked: list[int] = []

    def progress(answers: Iterable[Prediction], count: int) -> Iterable[Prediction]:
        asked.append(count)
        return answers

    rank_folds([of_recipe(run, "a")], dataset, "accuracy", replicates=200, progress=progress)
    assert asked == [12, 9, 9]


def test_the_order_of_the_runs_makes_no_difference(run: Runs, dataset: Dataset) -> None:
    runs = of_recipe(run, "a")
    one, other = rank_folds([runs, runs[::-1]], dataset, "brier", replicates=200)
    assert (one.value, one.ci95) == (other.value, other.ci95)
    assert other.versus_best is not None
    assert (other.versus_best.difference, other.versus_best.p) == (0.0, 1.0)


def test_recipes_are_compared_and_told_as_such(run: Runs, dataset: Dataset) -> None:
    recipes = [of_recipe(run, "a"), of_recipe(run, "larger", units=8)]
    ranked = rank_folds(recipes, dataset, "brier", image_sizes=[32], replicates=200)
    assert {entry.runs for entry in ranked} == {tuple(runs) for runs in recipes}
    chosen = choose_run(ranked, "average")
    assert chosen is ranked[0]
    first, second = ranking_lines(ranked)
    assert first.startswith(f"1. {'+'.join(map(str, ranked[0].runs))} at 32 px: brier ")
    assert " on 10 validation lesions, epochs 1, 2, 3" in first
    assert "told apart" in second
    text = ranking_markdown(ranked, chosen)
    assert text.startswith(
        "# Recipes ranked by brier\n\nOn 10 lesions of the validation splits of all folds. "
    )
    assert "each lesion is answered by the run that has not seen it" in text
    assert verdict(ranked, chosen) in text
    assert plain_ranking(ranked, chosen)[0]["fold_epochs"] == (1, 2, 3)


def test_a_single_run_is_ranked_as_it_always_was(run: Runs, dataset: Dataset) -> None:
    (alone,) = rank_runs([run("a", "fold-0")], dataset, "accuracy", replicates=200)
    assert alone.fold_epochs == ()
    assert rank_folds([alone.runs], dataset, "accuracy", replicates=200) == [alone]


def test_runs_that_were_checked_on_one_fold_are_no_folds(run: Runs, dataset: Dataset) -> None:
    runs = [run("a", "fold-0"), run("b", "fold-0+fold-1")]
    with pytest.raises(
        ConfigError,
        match=r"a \(fold-0\) and .*b \(fold-0\+fold-1\) were both checked on the lesion lesion-0\.",
    ):
        open_folds(runs, dataset)


def test_runs_of_several_recipes_are_no_folds_of_one(run: Runs, dataset: Dataset) -> None:
    runs = [run("a", "fold-0"), run("b", "fold-1", epochs=3)]
    with pytest.raises(
        ConfigError,
        match=r"a and .*b are not two folds of one recipe: training\.epochs is 20 and 3\. .*model\.start alone",
    ):
        open_folds(runs, dataset)


def test_a_fold_may_start_from_a_run_of_its_own_and_from_no_other(run: Runs, dataset: Dataset) -> None:
    first, other = run("first", "fold-0"), run("other", "fold-1")
    good = [run("a", "fold-0", start=str(first)), run("b", "fold-1", start=str(other))]
    assert [part.runs for part in open_folds(good, dataset)] == [(good[0],), (good[1],)]
    with pytest.raises(
        ConfigError, match=r"c starts from .*other, which learnt from fold-0: .*the same fold"
    ):
        open_folds([run("c", "fold-0", start=str(other))], dataset)
    # Also where that was long ago.
    between = run("between", "fold-0", start=str(other / "last.pt"))
    with pytest.raises(ConfigError, match=r"d starts from .*other, which learnt from fold-0"):
        open_folds([run("d", "fold-0", start=str(between))], dataset)
    # What is not there any more cannot be asked.
    open_folds([run("e", "fold-0", start=str(first.parent / "gone"))], dataset)


def test_recipes_over_other_photographs_are_not_compared(run: Runs, dataset: Dataset) -> None:
    runs = of_recipe(run, "a")
    with pytest.raises(
        ConfigError,
        match=r"different pictures.*split fold-0, fold-1, fold-2, limit 0\).*split fold-0, fold-1, l",
    ):
        rank_folds([runs, runs[:2]], dataset, "accuracy")


def test_a_run_on_other_data_is_no_fold(run: Runs, dataset: Dataset) -> None:
    other = dataclasses.replace(dataset, table=dataset.table.iloc[:-1])
    with pytest.raises(ConfigError, match="trained on other data"):
        open_folds(of_recipe(run, "a"), other)
