"""Differences between groups: those that are there are found, those of chance are not."""

from __future__ import annotations

import numpy as np
import pytest

from derm_core.evaluation.group_differences import group_differences

COUNT = 400
LESIONS = np.arange(COUNT) // 2
FIRST = np.arange(COUNT) < COUNT / 2


def groups(**masks: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    return {kind: {"one": mask, "other": ~mask} for kind, mask in masks.items()}


def outcomes(share_one: float, share_other: float, seed: int = 0) -> np.ndarray:
    chance = np.where(FIRST, share_one, share_other)
    return (np.random.default_rng(seed).uniform(size=COUNT) < chance).astype(float)


def test_a_difference_that_is_there_is_found() -> None:
    outcome = outcomes(0.95, 0.7)
    (test,) = group_differences({"accuracy": outcome}, groups(sex=FIRST), LESIONS, permutations=500)
    assert (test["kind"], test["figure"], test["differs"]) == ("sex", "accuracy", True)
    assert test["groups"] == {"one": outcome[FIRST].mean(), "other": outcome[~FIRST].mean()}
    assert test["p"] == pytest.approx(1 / 501)


def test_chance_is_rarely_taken_for_a_difference() -> None:
    found = [
        group_differences(
            {"accuracy": outcomes(0.8, 0.8, seed)}, groups(sex=FIRST), LESIONS, permutations=200
        )[0]["differs"]
        for seed in range(60)
    ]
    assert sum(found) <= 8


def test_photographs_of_one_lesion_are_one_observation() -> None:
    """Ten lesions a group, forty photographs each: a difference of one lesion is none."""
    lesions = np.repeat(np.arange(40), 10)
    right = (lesions >= 2).astype(float)
    members = {"site": {"a": lesions < 20, "b": lesions >= 20}}
    (test,) = group_differences({"accuracy": right}, members, lesions, permutations=500)
    assert not test["differs"]


def test_p_values_are_corrected_for_their_number() -> None:
    one = outcomes(0.9, 0.75)
    alone = group_differences({"a": one}, groups(sex=FIRST), LESIONS, permutations=300)
    many = group_differences(
        {"a": one, **{f"b{seed}": outcomes(0.8, 0.8, seed) for seed in range(1, 6)}},
        groups(sex=FIRST),
        LESIONS,
        permutations=300,
    )
    assert many[0]["p"] == alone[0]["p"] == alone[0]["p_adjusted"]
    assert many[0]["p_adjusted"] == pytest.approx(6 * many[0]["p"])
    assert all(test["p_adjusted"] >= test["p"] for test in many)


def test_small_and_unknown_groups_and_other_pictures_are_left_out() -> None:
    rare = np.arange(COUNT) < 30
    members = {"site": {"rare": rare, "back": FIRST & ~rare, "unknown": ~FIRST}}
    assert group_differences({"accuracy": outcomes(0.9, 0.5)}, members, LESIONS) == []
    only_first = np.where(FIRST, 1.0, np.nan)
    assert group_differences({"sensitivity": only_first}, groups(sex=FIRST), LESIONS) == []
