"""Intervals over lesions: drawn whole, seeded, honest at the ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from derm_core.evaluation.intervals import (
    bootstrap_over_lesions,
    paired_p_value,
    percentile_interval,
    proportion_interval,
    wilson_interval,
)

LESIONS = np.array(["a", "a", "a", "b", "c", "c", "d"])


def draw(lesions: np.ndarray, **options: int) -> np.ndarray:
    return bootstrap_over_lesions(lesions, lambda weights: {"weights": weights}, **options)["weights"]


def test_photographs_of_one_lesion_are_always_drawn_together() -> None:
    weights = draw(LESIONS, replicates=200)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 4] == weights[:, 5]).all()
    assert (weights[:, 0] != weights[:, 3]).any()


def test_each_set_has_as_many_lesions_as_there_are() -> None:
    weights = draw(LESIONS, replicates=200)
    first_of_each = weights[:, [0, 3, 4, 6]]
    assert (first_of_each.sum(axis=1) == 4).all()
    # Sets of photographs differ in size, as sets of lesions with several photographs do.
    assert len(np.unique(weights.sum(axis=1))) > 1


def test_lesions_with_many_photographs_widen_the_interval() -> None:
    right = np.repeat([1.0, 0.0], 50)
    one_each = np.arange(100).astype(str)
    ten_each = np.repeat(np.arange(10), 10).astype(str)

    def width(lesions: np.ndarray) -> float:
        drawn = bootstrap_over_lesions(lesions, lambda w: {"share": w @ right / w.sum(axis=1)})["share"]
        low, high = percentile_interval(drawn, 0.5) or (0, 0)
        return high - low

    # sqrt(10) times as wide for a tenth as many independent lesions.
    assert width(ten_each) > 2 * width(one_each)


def test_the_same_seed_draws_the_same_sets_and_another_seed_others() -> None:
    assert (draw(LESIONS, replicates=50, seed=3) == draw(LESIONS, replicates=50, seed=3)).all()
    assert (draw(LESIONS, replicates=50, seed=3) != draw(LESIONS, replicates=50, seed=4)).any()


def test_all_sets_are_handed_over_whatever_fits_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw(LESIONS, replicates=50)
    monkeypatch.setattr("derm_core.evaluation.intervals._VALUES_AT_ONCE", 20)
    assert whole.shape == (50, 7)
    assert (draw(LESIONS, replicates=50) == whole).all()


def test_no_lesions_or_no_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="0 lesions"):
        draw(LESIONS[:0])
    with pytest.raises(ValueError, match="0 replicates"):
        draw(LESIONS, replicates=0)


def test_percentiles_leave_undefined_sets_out() -> None:
    values = np.array([*np.arange(101) / 100, np.nan, np.nan])
    assert percentile_interval(values, 0.5) == pytest.approx([0.025, 0.975])


def test_an_undefined_figure_has_no_interval() -> None:
    assert percentile_interval(np.array([0.5, 0.6]), math.nan) is None
    assert percentile_interval(np.array([math.nan]), 0.5) is None


def test_an_interval_holds_the_figure_it_belongs_to() -> None:
    assert percentile_interval(np.array([0.2, 0.3]), 0.1)[0] == 0.1


def test_a_share_of_all_or_nothing_is_not_certain() -> None:
    low, high = proportion_interval(np.ones(100), 1.0, 5)
    assert (low, high) == (pytest.approx(5 / (5 + 1.959964**2), abs=1e-6), 1.0)
    assert proportion_interval(np.zeros(100), 0.0, 5) == [0.0, pytest.approx(1 - low)]
    assert proportion_interval(np.array([math.nan]), math.nan, 5) is None


def test_a_paired_p_value_by_hand() -> None:
    # Of 99 sets, 4 lie on the other side of 0; the measured difference is the hundredth.
    differences = np.array([0.1] * 95 + [-0.1] * 4)
    assert paired_p_value(differences) == pytest.approx(2 * 5 / 100)
    assert paired_p_value(-differences) == paired_p_value(differences)
    assert paired_p_value(np.array([*differences, math.nan])) == paired_p_value(differences)


def test_no_difference_on_any_set_is_no_evidence_of_one() -> None:
    assert paired_p_value(np.zeros(1000)) == 1.0
    assert paired_p_value(np.array([math.nan])) == 1.0


def test_a_p_value_is_below_a_twentieth_where_the_interval_leaves_0_out() -> None:
    normal = np.random.default_rng(0).normal(size=5000)
    for shift in (1.8, 1.9, 2.05, 2.2):
        low, _ = percentile_interval(normal + shift, shift) or (0, 0)
        assert (paired_p_value(normal + shift) < 0.05) == (low > 0)


def test_wilson_by_hand() -> None:
    # 8 of 10: centre (0.8 + 3.8415/20) / 1.38415, half 1.96 / 1.38415 * sqrt(0.016 + 3.8415/400).
    assert wilson_interval(8, 10) == pytest.approx([0.4902, 0.9433], abs=1e-4)


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 2), (0, 0)])
def test_wilson_refuses_impossible_counts(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="wanted a count"):
        wilson_interval(successes, trials)
