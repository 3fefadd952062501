"""Figures under many weightings equal scikit-learn's, one weighting at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from derm_core.evaluation.weighted import (
    answer_statistics,
    class_statistics,
    malignancy_statistics,
    mean_of_defined,
    ranking,
    ratio,
)

RANDOM = np.random.default_rng(7)
N, C, B = 160, 4, 12
TRUTH = RANDOM.choice(C, N, p=[0.1, 0.2, 0.3, 0.4])
PROBABILITIES = RANDOM.dirichlet(np.ones(C), N).round(1) + 1e-3
PROBABILITIES /= PROBABILITIES.sum(axis=1, keepdims=True)
"""Rounded, so that many scores are equal."""
WEIGHTS = RANDOM.integers(0, 4, (B, N)).astype(float)
WEIGHTS[0] = 1


def test_ranking_by_hand() -> None:
    # Positives 0.8, 0.4; negatives 0.4, 0.2: three and a half of four pairs are in order.
    figures = ranking(np.array([True, True, False, False]), np.array([0.8, 0.4, 0.4, 0.2]))
    auc, average_precision = figures(np.ones((1, 4)))[0]
    assert auc == 3.5 / 4
    # Recall 1/2 at precision 1, then 1/2 more at precision 2/3.
    assert average_precision == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)


def test_a_picture_drawn_twice_counts_twice() -> None:
    figures = ranking(np.array([True, True, False]), np.array([0.8, 0.1, 0.5]))
    assert figures(np.array([[2.0, 1.0, 1.0]]))[0, 0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("column", range(C))
def test_ranking_equals_scikit_learn_with_ties_and_weights(column: int) -> None:
    positive, score = column == TRUTH, PROBABILITIES[:, column]
    found = ranking(positive, score)(WEIGHTS)
    for row, weights in zip(found, WEIGHTS, strict=True):
        assert row[0] == pytest.approx(roc_auc_score(positive, score, sample_weight=weights), abs=1e-12)
        assert row[1] == pytest.approx(
            average_precision_score(positive, score, sample_weight=weights), abs=1e-12
        )


def test_ranking_is_undefined_where_a_label_is_not_drawn() -> None:
    figures = ranking(np.array([True, False]), np.array([0.8, 0.1]))
    no_positive, no_negative = figures(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert np.isnan(no_positive).all()
    assert math.isnan(no_negative[0])


def test_ranking_is_undefined_where_a_label_does_not_occur() -> None:
    for label in (True, False):
        assert math.isnan(ranking(np.full(3, label), np.array([0.1, 0.2, 0.3]))(np.ones((1, 3)))[0, 0])


def test_figures_without_areas_are_the_same_figures() -> None:
    everything = class_statistics(TRUTH, PROBABILITIES)(WEIGHTS)
    some = class_statistics(TRUTH, PROBABILITIES, ranked=False)(WEIGHTS)
    assert set(everything) - set(some) == {"macro_auc", "auc", "average_precision"}
    for name, values in some.items():
        np.testing.assert_array_equal(values, everything[name])


def test_class_figures_equal_scikit_learn() -> None:
    found = class_statistics(TRUTH, PROBABILITIES)(WEIGHTS)
    answers = PROBABILITIES.argmax(axis=1)
    for row, weights in enumerate(WEIGHTS):
        given = {"sample_weight": weights}
        nan = {"zero_division": np.nan, **given}
        assert found["accuracy"][row] == pytest.approx(accuracy_score(TRUTH, answers, **given))
        assert found["macro_f1"][row] == pytest.approx(f1_score(TRUTH, answers, average="macro", **nan))
        assert found["weighted_f1"][row] == pytest.approx(f1_score(TRUTH, answers, average="weighted", **nan))
        assert found["recall"][row] == pytest.approx(recall_score(TRUTH, answers, average=None, **nan))
        assert found["precision"][row] == pytest.approx(precision_score(TRUTH, answers, average=None, **nan))
        assert found["f1"][row] == pytest.approx(f1_score(TRUTH, answers, average=None, **nan))
        assert found["balanced_accuracy"][row] == pytest.approx(found["recall"][row].mean())
        assert found["macro_auc"][row] == pytest.approx(
            roc_auc_score(TRUTH, PROBABILITIES, multi_class="ovr", **given)
            if (weights == 1).all()
            else found["auc"][row].mean()
        )


def test_figures_of_a_set_are_those_of_its_pictures_repeated() -> None:
    weights = WEIGHTS[3:4]
    drawn = np.repeat(np.arange(N), weights[0].astype(int))
    of_weights = class_statistics(TRUTH, PROBABILITIES)(weights)
    of_pictures = class_statistics(TRUTH[drawn], PROBABILITIES[drawn])(np.ones((1, len(drawn))))
    for name, value in of_weights.items():
        # Bins of equal mass are those of the photographs as measured, whatever set is drawn of them.
        if name != "ece_equal_mass":
            assert value == pytest.approx(of_pictures[name], abs=1e-12), name


def test_a_class_that_is_not_drawn_leaves_the_means() -> None:
    labels = np.array([0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    found = class_statistics(labels, probabilities)(np.array([[1.0, 1.0, 0.0]]))
    assert found["balanced_accuracy"][0] == 1
    assert found["macro_f1"][0] == 1
    assert math.isnan(found["recall"][0, 1])
    assert math.isnan(found["macro_auc"][0])


def test_answers_by_hand() -> None:
    found = answer_statistics(np.array([2, 2, 5]), np.array([2, 0, 5]))(
        np.array([[1.0, 1.0, 1.0], [1.0, 3.0, 0.0]])
    )
    assert found["accuracy"] == pytest.approx([2 / 3, 1 / 4])
    assert found["balanced_accuracy"] == pytest.approx([3 / 4, 1 / 4])


def test_malignancy_by_hand() -> None:
    figures = malignancy_statistics(np.array([True, True, False, False]), np.array([0.9, 0.3, 0.3, 0.1]), 0.3)
    found = figures(np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 3.0, 1.0]]))
    assert found["sensitivity"] == pytest.approx([1, 1])
    assert found["specificity"] == pytest.approx([1 / 2, 1 / 4])
    assert found["malignant_auc"] == pytest.approx([3.5 / 4, 1])


def test_without_a_threshold_there_is_no_sensitivity() -> None:
    found = malignancy_statistics(np.array([True, False]), np.array([0.9, 0.1]), None)(np.ones((1, 2)))
    assert math.isnan(found["sensitivity"][0])
    assert math.isnan(found["specificity"][0])


def test_ratios_and_means_of_nothing_are_undefined_and_silent() -> None:
    assert np.isnan(ratio(np.array([0.0]), np.array([0.0]))).all()
    assert math.isnan(mean_of_defined(np.array([np.nan, np.nan])))
    assert mean_of_defined(np.array([np.nan, 2.0, 4.0])) == 3
