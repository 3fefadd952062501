"""The risk of malignancy at an operating point, for all and for subgroups."""

from __future__ import annotations

import numpy as np
import pytest

from derm_core.evaluation.intervals import wilson_interval
from derm_core.evaluation.malignancy import SMALLEST_GROUP, measure_operating_point, subgroup_figures

RANDOM = np.random.default_rng(5)
MALIGNANT = RANDOM.random(300) < 0.3
PROBABILITY = np.clip(0.3 * MALIGNANT + RANDOM.random(300) * 0.7, 0, 1)
LESIONS = RANDOM.integers(0, 200, 300).astype(str)


def test_operating_point_by_hand() -> None:
    point = measure_operating_point(
        np.array([0.9, 0.5, 0.2, 0.6, 0.1]),
        np.array([True, True, True, False, False]),
        np.array(["a", "b", "b", "c", "d"]),
        0.5,
    )
    assert point["threshold"] == 0.5
    assert point["sensitivity"] == pytest.approx(2 / 3)
    assert point["specificity"] == 0.5
    assert (point["photographs"], point["lesions"]) == (5, 4)


def test_operating_point_says_everything_a_bundle_keeps() -> None:
    point = measure_operating_point(PROBABILITY, MALIGNANT, LESIONS, 0.4)
    shares = ("sensitivity", "specificity")
    assert set(point) == {
        "threshold",
        *shares,
        *(f"{name}_ci95" for name in shares),
        "lesions",
        "photographs",
    }
    for name in shares:
        low, high = point[f"{name}_ci95"]
        assert low < point[name] < high


def test_finding_every_lesion_is_not_certainty() -> None:
    malignant = np.array([True] * 6 + [False] * 3)
    lesions = np.array(["a", "a", "b", "b", "c", "d", "x", "y", "z"])
    point = measure_operating_point(np.where(malignant, 0.9, 0.1), malignant, lesions, 0.5)
    assert point["sensitivity"] == 1
    assert point["sensitivity_ci95"] == wilson_interval(4, 4)
    assert point["specificity_ci95"] == wilson_interval(3, 3)


def test_a_share_of_nothing_is_none() -> None:
    point = measure_operating_point(np.array([0.2, 0.7]), np.array([False, False]), np.array(["a", "b"]), 0.5)
    assert point["sensitivity"] is None
    assert point["sensitivity_ci95"] is None
    assert point["specificity"] == 0.5


def test_a_small_group_is_only_counted() -> None:
    lesions = np.repeat(np.arange(SMALLEST_GROUP - 1), 3).astype(str)
    count = len(lesions)
    figures = subgroup_figures(
        np.ones(count, dtype=bool),
        np.arange(count) % 2 == 0,
        np.linspace(0, 1, count),
        lesions,
        0.5,
        None,
        bootstrap=10,
        seed=0,
    )
    assert figures == {"n": count, "lesions": SMALLEST_GROUP - 1}


def test_a_group_is_measured_on_its_own_pictures_alone() -> None:
    mask = RANDOM.random(300) < 0.5
    answers = (RANDOM.integers(0, 3, 300), RANDOM.integers(0, 3, 300))
    draw = {"bootstrap": 100, "seed": 0}
    whole = np.ones(mask.sum(), dtype=bool)
    part = subgroup_figures(mask, MALIGNANT, PROBABILITY, LESIONS, 0.4, answers, **draw)
    alone = subgroup_figures(
        whole,
        MALIGNANT[mask],
        PROBABILITY[mask],
        LESIONS[mask],
        0.4,
        (answers[0][mask], answers[1][mask]),
        **draw,
    )
    assert part == alone
    assert part["accuracy"] == pytest.approx(np.mean((answers[0] == answers[1])[mask]))
