"""Answers that lean to rare classes: by how much, what it is worth, and which strength is taken."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from derm_core.evaluation.logit_adjustment import (
    MOST_LOST,
    STRENGTHS,
    Adjusted,
    choose_strength,
    class_adjustment,
    try_adjustments,
)


def test_a_full_adjustment_takes_the_shares_out_of_the_answers() -> None:
    counts = np.array([900, 90, 10])
    evidence = np.array([0.2, 0.5, 0.3])
    answered = evidence * counts / (evidence * counts).sum()
    moved = softmax(np.log(answered) + class_adjustment(counts, 1.0))
    np.testing.assert_allclose(moved, evidence)


def test_an_adjustment_has_no_mean_and_grows_with_its_strength() -> None:
    moved = class_adjustment(np.array([1000, 10]), 0.5)
    np.testing.assert_allclose(moved, [-0.25 * np.log(100), 0.25 * np.log(100)])
    assert class_adjustment(np.array([1000, 10]), 0.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("counts", "strength", "message"), [([3, 0], 0.5, "needs a picture"), ([3, 1], -0.1, "0 or more")]
)
def test_what_cannot_be_adjusted_is_refused(counts: list[int], strength: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_adjustment(np.array(counts), strength)


def test_rare_classes_are_found_at_the_cost_of_common_ones() -> None:
    # Of the doubtful pictures the rare class holds some, and the shares hide them all.
    sure = [[4.0, -4.0]] * 90
    doubtful = [[0.5, -0.5]] * 10
    scores = np.array(sure + doubtful + [[0.4, -0.4]] * 5)
    labels = np.array([0] * 100 + [1] * 5)
    before, after = try_adjustments(scores, labels, np.array([1000, 10]), (0.0, 0.3))
    assert (before.strength, after.strength) == (0.0, 0.3)
    assert (before.accuracy, before.balanced_accuracy) == (pytest.approx(100 / 105), 0.5)
    assert (after.accuracy, after.balanced_accuracy) == (pytest.approx(95 / 105), 0.95)
    assert 0 < before.ece < 1


def test_a_class_that_nothing_shows_does_not_count() -> None:
    found = try_adjustments(np.array([[3.0, 0.0, 0.0]]), np.array([0]), np.array([5, 5, 5]))
    assert [one.balanced_accuracy for one in found] == [1.0] * len(STRENGTHS)


def tried(*figures: tuple[float, float]) -> list[Adjusted]:
    return [Adjusted(0.1 * number, *one, ece=0.0) for number, one in enumerate(figures)]


def test_the_best_balance_that_can_be_paid_for_is_taken() -> None:
    assert choose_strength(tried((0.80, 0.70), (0.79, 0.73), (0.78, 0.76))) == pytest.approx(0.1)
    assert choose_strength(tried((0.80, 0.70), (0.80 - MOST_LOST, 0.73), (0.82, 0.72))) == pytest.approx(0.1)


def test_of_equals_the_smallest_is_taken() -> None:
    assert choose_strength(tried((0.80, 0.70), (0.80, 0.70), (0.80, 0.70))) == 0.0
    assert choose_strength(tried((0.80, 0.70), (0.79, 0.71), (0.80, 0.71))) == pytest.approx(0.1)
