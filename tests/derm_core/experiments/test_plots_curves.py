from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from derm_core.evaluation.calibration import expected_calibration_error
from derm_core.experiments.curves import GRID, precision_recall, reliability, roc
from derm_core.experiments.samples import choose_samples

DRAWS = 200


def scored(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores with ties that tell them apart somewhat, and a lesion each."""
    generator = np.random.default_rng(seed)
    is_positive = np.arange(count) % 3 == 0
    score = np.round(generator.normal(size=count) + is_positive, 1)
    return is_positive, score, np.arange(count)


def test_the_roc_curve_is_scikit_learns_within_its_band() -> None:
    is_positive, score, lesions = scored(90)
    curve = roc(is_positive, score, lesions, bootstrap=DRAWS)
    assert curve is not None
    x, y, _ = roc_curve(is_positive, score)
    np.testing.assert_allclose(curve.x, x)
    np.testing.assert_allclose(curve.y, y)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(roc_auc_score(is_positive, score))
    height = np.interp(GRID, x, y)
    assert (curve.low <= height + 1e-12).all()
    assert (height <= curve.high + 1e-12).all()
    assert (curve.high - curve.low).max() > 0.1
    assert ((curve.low >= 0) & (curve.high <= 1)).all()


def test_the_precision_recall_curve_has_the_average_precision_below_it() -> None:
    is_positive, score, lesions = scored(90)
    curve = precision_recall(is_positive, score, lesions, bootstrap=DRAWS)
    assert curve is not None
    precision, recall, _ = precision_recall_curve(is_positive, score, drop_intermediate=True)
    np.testing.assert_allclose(curve.x, recall[::-1])
    np.testing.assert_allclose(curve.y, precision[::-1])
    steps = float((np.diff(curve.x) * curve.y[1:]).sum())
    assert steps == pytest.approx(average_precision_score(is_positive, score))
    assert (curve.low <= curve.high).all()


def test_a_perfect_ranking_has_no_band() -> None:
    is_positive = np.array([True, True, False, False])
    curve = roc(is_positive, np.array([0.9, 0.8, 0.2, 0.1]), np.arange(4), bootstrap=DRAWS)
    assert curve is not None
    np.testing.assert_allclose(curve.low, 1)
    np.testing.assert_allclose(curve.high, 1)


@pytest.mark.parametrize("draw", [roc, precision_recall])
def test_a_band_counts_lesions_and_not_photographs(draw) -> None:
    is_positive, score, lesions = scored(30)
    once = draw(is_positive, score, lesions, bootstrap=DRAWS)
    # Five photographs of each lesion say no more than one.
    many = draw(np.repeat(is_positive, 5), np.repeat(score, 5), np.repeat(lesions, 5), bootstrap=DRAWS)
    np.testing.assert_allclose(many.low, once.low)
    np.testing.assert_allclose(many.high, once.high)


@pytest.mark.parametrize("draw", [roc, precision_recall])
def test_there_is_no_curve_of_one_kind(draw) -> None:
    assert draw(np.ones(3, dtype=bool), np.arange(3.0), np.arange(3), bootstrap=1) is None
    assert draw(np.zeros(3, dtype=bool), np.arange(3.0), np.arange(3), bootstrap=1) is None


def test_reliability_by_hand() -> None:
    stated = np.array([0.2, 0.3, 0.6, 0.9])
    holds = np.array([False, True, True, True])
    low, high = reliability(stated, holds, np.array(["a", "b", "c", "c"]), bootstrap=DRAWS, bins=2)
    assert (low.photographs, low.lesions, low.share, low.stated, low.true) == (2, 2, 0.5, 0.25, 0.5)
    assert (high.photographs, high.lesions, high.stated, high.true) == (2, 1, 0.75, 1.0)
    assert low.low <= 0.5 <= low.high
    # One lesion that is right is no certainty (Wilson).
    assert high.low == pytest.approx(0.2065, abs=1e-3)
    assert high.high == 1


def test_the_reliability_diagram_is_the_calibration_error_drawn() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), size=300)
    labels = generator.integers(0, 4, size=300)
    found = reliability(
        probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, np.arange(300), bootstrap=2
    )
    error = sum(part.share * abs(part.true - part.stated) for part in found)
    assert error == pytest.approx(expected_calibration_error(probabilities, labels))
    assert sum(part.photographs for part in found) == 300


def test_samples_are_the_median_right_and_the_surest_wrong_answer_of_each_class() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55]])
    # Class 0 is right with 0.6, 0.7, 0.9 and wrong once; class 1 is never wrong.
    assert choose_samples(labels, probabilities) == [2, 3, 4]
