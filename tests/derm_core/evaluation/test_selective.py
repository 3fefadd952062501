"""Accuracy of the surest answers, by hand and against the definition."""

from __future__ import annotations

import numpy as np
import pytest

from derm_core.evaluation.selective import selective_curve, selective_figures

RIGHT = np.array([True, True, False, True, False])
SURE = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
EACH = np.arange(5)
DRAWS = 100


def test_selective_figures_by_hand() -> None:
    figures = selective_figures(RIGHT, SURE, EACH, bootstrap=DRAWS)
    assert (figures["n"], figures["lesions"], figures["coverage"]) == (5, 5, 1.0)
    assert figures["accuracy_of_answered"] == pytest.approx(3 / 5)
    # Half of five photographs is three of them; seven tenths are four.
    at = figures["accuracy_at_coverage"]
    assert at["0.50"] == pytest.approx(2 / 3)
    assert at["0.70"] == pytest.approx(3 / 4)
    assert at["0.80"] == pytest.approx(3 / 4)
    assert at["1.00"] == pytest.approx(3 / 5)
    # Errors among the first one to five: 0, 0, 1/3, 1/4, 2/5; ideally 0, 0, 0, 1/4, 2/5.
    assert figures["risk_coverage_area"] == pytest.approx((1 / 3 + 1 / 4 + 2 / 5) / 5)
    assert figures["best_risk_coverage_area"] == pytest.approx((1 / 4 + 2 / 5) / 5)
    for name in ("risk_coverage_area", "accuracy_of_answered"):
        low, high = figures["ci95"][name]
        assert low <= figures[name] <= high
    assert set(figures["ci95"]["accuracy_at_coverage"]) == set(at)


def test_what_the_model_did_not_answer_ranks_last() -> None:
    answered = np.array([True, True, False, True, True])
    figures = selective_figures(RIGHT, SURE, EACH, is_answered=answered, bootstrap=DRAWS)
    assert figures["coverage"] == pytest.approx(4 / 5)
    assert figures["accuracy_of_answered"] == pytest.approx(3 / 4)
    assert figures["accuracy_at_coverage"]["0.50"] == 1.0
    assert figures["accuracy_at_coverage"]["0.80"] == pytest.approx(3 / 4)


def test_a_model_that_answers_nothing_has_no_accuracy() -> None:
    figures = selective_figures(RIGHT, SURE, EACH, is_answered=np.zeros(5, bool), bootstrap=DRAWS)
    assert figures["coverage"] == 0.0
    assert figures["accuracy_of_answered"] is None
    assert figures["ci95"]["accuracy_of_answered"] is None


def test_equal_confidence_leaves_no_say_to_the_order_of_the_files() -> None:
    generator = np.random.default_rng(0)
    right, sure = generator.random(60) < 0.7, np.round(generator.random(60), 1)
    mixed = generator.permutation(60)
    one, other = (
        selective_figures(right[order], sure[order], np.arange(60), bootstrap=2)
        for order in (np.arange(60), mixed)
    )
    assert one["risk_coverage_area"] == pytest.approx(other["risk_coverage_area"])
    assert one["accuracy_at_coverage"] == pytest.approx(other["accuracy_at_coverage"])


def test_intervals_count_lesions_and_not_photographs() -> None:
    once = selective_figures(RIGHT, SURE, EACH, bootstrap=DRAWS)
    many = selective_figures(np.repeat(RIGHT, 4), np.repeat(SURE, 4), np.repeat(EACH, 4), bootstrap=DRAWS)
    assert many["ci95"]["accuracy_of_answered"] == pytest.approx(once["ci95"]["accuracy_of_answered"])
    assert (many["n"], many["lesions"]) == (20, 5)


def test_the_curve_is_the_figures_drawn_within_its_band() -> None:
    generator = np.random.default_rng(1)
    sure = generator.random(200)
    right = generator.random(200) < sure
    curve = selective_curve(right, sure, np.arange(200), bootstrap=DRAWS)
    assert curve.coverage[-1] == 1.0
    assert curve.accuracy[-1] == pytest.approx(right.mean())
    # Sure answers are right more often, by the way they were drawn.
    assert curve.accuracy[20] > curve.accuracy[-1] + 0.1
    assert (curve.low <= curve.accuracy).all()
    assert (curve.accuracy <= curve.high).all()
    figures = selective_figures(right, sure, np.arange(200), bootstrap=2)
    assert curve.accuracy[49] == pytest.approx(figures["accuracy_at_coverage"]["0.50"])


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        selective_figures(RIGHT, SURE[:4], EACH)
    with pytest.raises(ValueError, match="one length"):
        selective_figures(RIGHT[:0], SURE[:0], EACH[:0])
