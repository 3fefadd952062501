"""What a search is: a recipe, what is tried of it, how, and how often. All of it is checked before any data is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import optuna

from derm_core.errors import ConfigError, unknown_name
from derm_core.experiments.search_space import (
    Setting,
    Value,
    grid_points,
    override_words,
    parse_space,
)
from derm_core.training.config import RunConfig, flat_settings, load_recipe
from derm_core.training.records import COLUMNS

METHODS = ("grid", "random", "optuna")
PRUNERS = ("none", "median", "halving")
TRIALS = 20
"""How many are made where no number is given, and the method is no grid."""


@dataclass(frozen=True)
class SearchPlan:
    """A search, checked. `base` are the recipe's settings with `overrides`; a trial changes those of `space`.

    `metric` on the validation split is what trials are ranked, pruned and sampled by, and what chooses the epoch of
    each. `trials` counts all of them; a grid has one for each combination.
    """

    recipe: str
    overrides: tuple[str, ...]
    space: tuple[Setting, ...]
    method: str
    trials: int
    seed: int
    pruner: str
    base: RunConfig = field(repr=False)

    @property
    def metric(self) -> str:
        """A figure of evaluation; higher is better."""
        return self.base.evaluation.metric

    @cached_property
    def grid(self) -> list[dict[str, Value]]:
        """The settings of each trial of a grid; empty for other methods."""
        return grid_points(self.space) if self.method == "grid" else []

    def suggest(self, trial: optuna.trial.Trial) -> dict[str, Value]:
        """Returns the settings of a trial, by the study's sampler where they are not known yet."""
        return {setting.key: setting.suggest(trial) for setting in self.space}

    def words(self, values: dict[str, Value]) -> list[str]:
        """Returns all overrides that make the recipe this trial."""
        return [*self.overrides, *override_words(values)]

    def config(self, values: dict[str, Value]) -> RunConfig:
        """Returns the settings of a trial; raises ConfigError where they do not fit each other."""
        return load_recipe(self.recipe, self.words(values))

    def sampler(self, trial: int) -> optuna.samplers.BaseSampler:
        """Returns the sampler of one trial.

        Each trial has a seed of its own, so that neither the number of processes nor what was killed has a say in what
        a random search tries.
        """
        seed = int(np.random.SeedSequence([self.seed, trial]).generate_state(1)[0])
        if self.method == "optuna":
            return optuna.samplers.TPESampler(seed=seed)
        return optuna.samplers.RandomSampler(seed=seed)

    def build_pruner(self) -> optuna.pruners.BasePruner:
        """Returns what ends hopeless trials early."""
        if self.pruner == "median":
            return optuna.pruners.MedianPruner()
        if self.pruner == "halving":
            return optuna.pruners.SuccessiveHalvingPruner()
        return optuna.pruners.NopPruner()

    def identity(self, data_fingerprint: str) -> dict[str, Any]:
        """Returns plain values that are the same for two searches only if their trials may stand in one table."""
        return {
            "data": data_fingerprint,
            "method": self.method,
            "seed": self.seed,
            "pruner": self.pruner,
            **{f"search over {setting.key}": str(setting) for setting in self.space},
            **flat_settings(self.base.to_dict()),
        }


def plan_search(
    recipe: str,
    over: Sequence[str],
    *,
    overrides: Sequence[str] = (),
    method: str = "optuna",
    trials: int | None = None,
    metric: str | None = None,
    pruner: str | None = None,
    seed: int = 0,
) -> SearchPlan:
    """Checks a search: the recipe, every value that it may try, and for a grid every combination. Reads no data.

    Args:
        recipe: a name of recipe_names(), or the path of a TOML file.
        over: `section.key=SPEC` for each setting to try, as search_space says.
        overrides: `section.key=value` of all trials.
        method: one of METHODS; `optuna` samples by TPE (Bergstra et al. 2011), whose guesses get better as trials end.
        trials: how many to make; None for every combination of a grid, and for TRIALS otherwise.
        metric: what trials are ranked by; None for the recipe's `evaluation.metric`.
        pruner: one of PRUNERS, Optuna's of that name; None for `median` with `optuna`, and else none.
        seed: of the sampler.

    Raises:
        ConfigError: any of it is not known, not allowed or does not fit the rest.
    """
    overrides = [*overrides, *([f"evaluation.metric={metric}"] if metric else [])]
    base = load_recipe(recipe, overrides)
    for kind, name, known in (
        ("method of search", method, METHODS),
        ("pruner", pruner or "none", PRUNERS),
    ):
        if name not in known:
            raise ConfigError(unknown_name(kind, name, known))
    if base.evaluation.metric not in COLUMNS:
        raise ConfigError(
            f"Runs keep no record of {base.evaluation.metric}, so trials cannot be ranked by it. Choose another with "
            "--metric."
        )
    if seed < 0:
        raise ConfigError(f"The seed is {seed}; it must be 0 or more.")
    if trials is not None and trials < 1:
        raise ConfigError(f"A search of {trials} trials finds nothing; ask for 1 or more.")
    space = parse_space(over, lambda words: load_recipe(recipe, [*overrides, *words]))
    twice = {word.partition("=")[0].strip() for word in overrides} & {setting.key for setting in space}
    if twice:
        raise ConfigError(f"{sorted(twice)[0]} is both set and searched over. Leave one out.")
    if method == "grid":
        points = grid_points(space)
        if trials not in (None, len(points)):
            raise ConfigError(
                f"The grid has {len(points)} combinations, not {trials}. Leave the number of trials out, or search "
                "with method random."
            )
        for point in points:
            load_recipe(recipe, [*overrides, *override_words(point)])
        trials = len(points)
    pruner = pruner or ("median" if method == "optuna" else "none")
    return SearchPlan(recipe, tuple(overrides), space, method, trials or TRIALS, seed, pruner, base)
