"""What a search is asked for: the forms that settings take, and everything refused before any data is read."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from derm_core.errors import ConfigError
from derm_core.experiments.search_plan import TRIALS, SearchPlan, plan_search
from derm_core.experiments.search_space import (
    Choice,
    Range,
    Setting,
    grid_points,
    override_words,
    parse_space,
    set_words,
)
from derm_core.training.config import flat_settings, load_recipe

RECIPE = "ham7-mobilenet_v2"


def parse(*words: str) -> tuple[Setting, ...]:
    return parse_space(words, lambda overrides: load_recipe(RECIPE, overrides))


@pytest.mark.parametrize(
    ("word", "setting"),
    [
        ("training.batch_size=[16, 32,64]", Choice("training.batch_size", (16, 32, 64))),
        ("training.learning_rate=[1, 1e-3]", Choice("training.learning_rate", (1.0, 0.001))),
        (
            "model.architecture=[resnet18, mobilenet_v2]",
            Choice("model.architecture", ("resnet18", "mobilenet_v2")),
        ),
        (
            'model.architecture=["resnet18", "mobilenet_v2"]',
            Choice("model.architecture", ("resnet18", "mobilenet_v2")),
        ),
        ("training.augmentation.flips=[true, false]", Choice("training.augmentation.flips", (True, False))),
        (" training.batch_size = [8] ", Choice("training.batch_size", (8,))),
        ("training.weight_decay=0..0.1", Range("training.weight_decay", 0.0, 0.1)),
        (
            "training.learning_rate=1e-4..1e-2:log",
            Range("training.learning_rate", 0.0001, 0.01, log=True),
        ),
        ("training.batch_size=8..64", Range("training.batch_size", 8, 64, whole=True)),
        ("training.batch_size=8..64:log", Range("training.batch_size", 8, 64, log=True, whole=True)),
        ("data.image_size=128..230:step=32", Range("data.image_size", 128, 224, 32, whole=True)),
        ("training.label_smoothing=0..0.3:step=0.1", Range("training.label_smoothing", 0.0, 0.3, 0.1)),
    ],
)
def test_a_setting_is_read_as_the_recipe_reads_its_values(word: str, setting: Setting) -> None:
    (found,) = parse(word)
    assert found == setting
    kinds = [[type(value) for value in each.examples] for each in (found, setting)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["training.learning_rate"], "is not of the form section.key=SPEC"),
        (["training.learning_rate="], "is not of the form section.key=SPEC"),
        (["training.learning_rate=0.1"], "says neither which values nor from where to where"),
        (["training.learning_rate=[0.1,0.01"], "has no closing bracket"),
        (["training.learning_rate=[]"], "is not a list of numbers, words"),
        (["training.learning_rate=[[0.1],[0.2]]"], "is not a list of numbers, words"),
        (["training.learning_rate=[0.1, 1e-1]"], "names a value twice"),
        (["training.learning_rate=low..0.1"], "'low' is not a number"),
        (["training.learning_rate=0.1..inf"], "'inf' is not a number"),
        (["training.learning_rate=0.1..0.1"], "does not rise"),
        (["training.learning_rate=0..0.1:log"], "starts above 0"),
        (["training.batch_size=8..64:log:step=8"], "has no steps"),
        (["training.batch_size=8..64:step=100"], "no longer than the range"),
        (["training.batch_size=8..64:step=0.5"], "a whole number, and so is its step"),
        (["training.batch_size=8..64:linear"], "unknown option 'linear'. Known: log, step=N"),
        (["training.batch_size=8.5..64"], "training.batch_size is 8.5; it must be a whole number"),
        (["training.augmentation.flips=0..1"], "it must be true or false"),
        (["training.learning_rat=0.1..0.2"], "Did you mean 'training.learning_rate'?"),
        (["learning_rate=[0.1]"], "is not of the form section.key=value"),
        (["training.learning_rate=[0.1, 100.0]"], "training.learning_rate is 100.0; it must be from"),
        (["training.learning_rate=0.1..100"], "training.learning_rate is 100.0; it must be from"),
        (["model.architecture=[resnet18,resnet5]"], "resnet5"),
        (["training.seed=[1]", "training.seed=[2]"], "training.seed is searched over twice"),
        (["evaluation.metric=[accuracy]"], "evaluation.metric cannot be searched over"),
        (["data.limit=[100, 200]"], "data.limit cannot be searched over"),
        ([], "Nothing is searched over"),
    ],
)
def test_what_cannot_be_searched_over_is_named(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(*words)
    assert message in str(refused.value)


def test_settings_that_need_each_other_are_checked_together() -> None:
    # Warm-up is checked with the first of the other values, not with what the recipe has.
    def check(words: list[str]) -> object:
        config = load_recipe(RECIPE, words)
        if config.training.warmup_epochs > config.training.epochs:
            raise ConfigError("warm-up outlasts training")
        return config

    parse_space(["training.warmup_epochs=[20.0]", "training.epochs=[30, 40]"], check)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="outlasts"):
        parse_space(["training.warmup_epochs=[20.0]", "training.epochs=[30, 10]"], check)  # type: ignore[arg-type]


def test_a_grid_has_every_combination_and_counts_the_last_setting_fastest() -> None:
    points = grid_points(parse("training.learning_rate=0.1..0.3:step=0.1", "training.seed=[1, 2]"))
    assert [tuple(point.values()) for point in points] == [
        (0.1, 1),
        (0.1, 2),
        (0.2, 1),
        (0.2, 2),
        (0.3, 1),
        (0.3, 2),
    ]
    with pytest.raises(ConfigError, match=r"training\.learning_rate=0\.1\.\.0\.3 is a range without steps"):
        grid_points(parse("training.learning_rate=0.1..0.3"))


@pytest.mark.parametrize(
    "value",
    [1e-5, 0.1 + 0.2, 3, True, False, "resnet18", "runs/first/last.pt", "with space", 'a"b\\c', "true", "7"],
)
def test_a_value_comes_back_from_its_word(value: float | str) -> None:
    key = {bool: "model.pretrained", str: "model.start", int: "training.seed"}.get(
        type(value), "training.weight_decay"
    )
    config = load_recipe(RECIPE, override_words({key: value}))
    found = flat_settings(config.to_dict())[key]
    assert (found, type(found)) == (value, type(value))


def test_words_for_a_person_survive_a_shell() -> None:
    assert set_words(["model.start=a", 'model.start="a b"']) == (
        "--set model.start=a --set 'model.start=\"a b\"'"
    )


def plan(*over: str, **options: object) -> SearchPlan:
    return plan_search(RECIPE, over or ["training.seed=[1, 2]"], **options)  # type: ignore[arg-type]


def test_a_plan_has_sensible_defaults() -> None:
    assert (plan().method, plan().pruner, plan().trials, plan().metric) == (
        "optuna",
        "median",
        TRIALS,
        "macro_f1",
    )
    grid = plan("training.seed=[1, 2, 3]", "training.batch_size=[8, 16]", method="grid")
    assert (grid.pruner, grid.trials) == ("none", 6)
    assert grid.grid[1] == {"training.seed": 1, "training.batch_size": 16}


def test_the_metric_of_a_plan_chooses_the_epochs_of_its_trials() -> None:
    accuracy = plan(metric="accuracy")
    assert accuracy.metric == "accuracy"
    assert accuracy.config({"training.seed": 5}).evaluation.metric == "accuracy"
    assert accuracy.config({"training.seed": 5}).training.seed == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "anneal"}, "Unknown method of search 'anneal'"),
        ({"pruner": "hyperband"}, "Unknown pruner 'hyperband'. Known: halving, median, none"),
        ({"metric": "beauty"}, "Unknown evaluation.metric 'beauty'"),
        ({"trials": 0}, "A search of 0 trials finds nothing"),
        ({"method": "grid", "trials": 5}, "The grid has 2 combinations, not 5"),
        ({"seed": -1}, "it must be 0 or more"),
        ({"overrides": ["training.seed=4"]}, "training.seed is both set and searched over"),
        ({"overrides": ["training.epochs=none"]}, "training.epochs is 'none'"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        plan(**options)
    assert message in str(refused.value)


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(ConfigError, match="Unknown recipe"):
        plan_search("ham7", ["training.seed=[1]"])


def suggested(drawn: SearchPlan, trial: int) -> dict[str, object]:
    study = optuna.create_study(sampler=drawn.sampler(trial))
    return dict(drawn.suggest(study.ask()))


def test_the_draws_of_a_trial_depend_on_the_seed_and_its_number_alone() -> None:
    over = ("training.learning_rate=1e-4..1e-2:log", "training.batch_size=8..64", "training.seed=[1, 2, 3]")
    drawn = plan(*over, method="random")
    first = suggested(drawn, 0)
    assert suggested(drawn, 0) == first
    assert suggested(drawn, 1) != first
    assert suggested(plan(*over, method="random", seed=1), 0) != first
    assert 1e-4 <= float(str(first["training.learning_rate"])) <= 1e-2
    assert isinstance(first["training.batch_size"], int)


def test_two_searches_are_the_same_only_if_everything_but_the_number_of_trials_is() -> None:
    one = plan(method="random", trials=3)
    assert one.identity("d") == plan(method="random", trials=9).identity("d")
    assert one.identity("d") != one.identity("e")
    for other in (
        {"seed": 1},
        {"pruner": "median"},
        {"metric": "accuracy"},
        {"overrides": ["training.epochs=3"]},
    ):
        assert one.identity("d") != plan(**{"method": "random", **other}).identity("d")
    assert one.identity("d") != plan("training.seed=[1, 3]", method="random").identity("d")


def test_a_recipe_of_ones_own_can_be_searched(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[training]\nepochs = 2\n")
    mine = plan_search(str(tmp_path / "mine.toml"), ["training.seed=[1]"], method="grid")
    assert mine.config(mine.grid[0]).training.epochs == 2
