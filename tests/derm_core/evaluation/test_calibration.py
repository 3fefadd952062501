"""Temperature, calibration error, Brier score and thresholds, by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss, log_loss

from derm_core.evaluation.calibration import (
    TEMPERATURES,
    brier_score,
    calibration_error_by_chance,
    equal_mass_calibration_error,
    expected_calibration_error,
    fit_temperature,
    operating_threshold,
    prevalence_of_risks,
)


def test_temperature_of_two_classes_by_hand() -> None:
    # Logit difference 2, right three times of four: the likelihood is best where sigmoid(2 / T) = 3/4.
    logits = np.array([[2.0, 0.0]] * 4)
    assert fit_temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx(2 / math.log(3), rel=1e-4)


def test_temperature_undoes_a_scaling_of_the_logits() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 5)) * 2
    labels = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.06)
    assert fit_temperature(logits * 3, labels) == pytest.approx(3 * fit_temperature(logits, labels), rel=1e-3)


def test_no_other_temperature_is_likelier() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(size=(200, 3)) * 4
    labels = (logits + random.normal(size=logits.shape) * 5).argmax(axis=1)
    best = fit_temperature(logits, labels)

    def loss(temperature: float) -> float:
        return log_loss(labels, softmax(logits / temperature, axis=1), labels=[0, 1, 2])

    assert loss(best) <= min(loss(best * 0.99), loss(best * 1.01))


def test_logits_that_are_always_right_give_the_lowest_temperature() -> None:
    found = fit_temperature(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1]))
    assert found == pytest.approx(TEMPERATURES[0], rel=1e-3)


def test_large_logits_do_not_overflow() -> None:
    assert math.isfinite(fit_temperature(np.array([[1e4, 0.0], [0.0, 1e4]]), np.array([0, 0])))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, dtype=int), "N above 0"),
        (np.zeros((2, 2)), np.zeros(3, dtype=int), "wanted"),
        (np.array([[np.nan, 0.0]]), np.array([0]), "NaN"),
        (np.zeros((1, 2)), np.array([2]), "wanted 0 to 1"),
        (np.zeros((1, 2)), np.array([-1]), "wanted 0 to 1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logits: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_temperature(logits, labels)


def test_calibration_error_by_hand() -> None:
    # Bins of a fifth: 0.9 and 0.9 (one right) are 0.4 off, 0.6 (right) is 0.4 off the other way, in its own bin.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
    assert expected_calibration_error(probabilities, np.array([0, 1, 0]), bins=5) == pytest.approx(
        2 / 3 * 0.4 + 1 / 3 * 0.4
    )


def test_errors_in_one_bin_cancel_and_in_two_bins_add_up() -> None:
    probabilities = np.array([[0.75, 0.25], [0.65, 0.35]])
    labels = np.array([0, 1])
    assert expected_calibration_error(probabilities, labels, bins=1) == pytest.approx(0.2)
    assert expected_calibration_error(probabilities, labels, bins=10) == pytest.approx((0.25 + 0.65) / 2)


def test_a_bin_is_closed_above() -> None:
    # 0.8 belongs to (0.6, 0.8] and not to (0.8, 1.0].
    probabilities = np.array([[0.8, 0.2], [0.7, 0.3]])
    assert expected_calibration_error(probabilities, np.array([0, 1]), bins=5) == pytest.approx(0.25)


def test_certain_and_right_is_perfectly_calibrated() -> None:
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0


def test_brier_score_by_hand() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])
    assert brier_score(probabilities, np.array([0, 2])) == pytest.approx((0.09 + 0.04 + 0.01 + 2) / 2)


def test_brier_score_equals_scikit_learn() -> None:
    random = np.random.default_rng(2)
    probabilities, labels = random.dirichlet(np.ones(4), 100), random.integers(0, 4, 100)
    assert brier_score(probabilities, labels) == pytest.approx(
        brier_score_loss(labels, probabilities, labels=range(4), scale_by_half=False)
    )


def test_threshold_by_hand() -> None:
    probability = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.1])
    malignant = np.array([True, True, True, True, False, False])
    assert operating_threshold(probability, malignant, 0.75) == 0.6
    assert operating_threshold(probability, malignant, 0.76) == 0.2
    assert operating_threshold(probability, malignant, 1.0) == 0.2
    assert operating_threshold(probability, malignant, 0.01) == 0.9


def test_threshold_is_the_highest_that_finds_enough() -> None:
    random = np.random.default_rng(3)
    for sensitivity in (0.07, 0.55, 0.9, 0.95, 1.0):
        probability = random.random(300).round(2)
        malignant = random.random(300) < 0.3
        found = operating_threshold(probability, malignant, sensitivity)
        assert np.mean(probability[malignant] >= found) >= sensitivity
        assert np.mean(probability[malignant] >= np.nextafter(found, 1)) < sensitivity


def test_rounding_does_not_cost_a_picture_more() -> None:
    # 0.55 * 20 is 11.000000000000002 in floating point.
    assert operating_threshold(np.arange(20, 0, -1) / 20, np.ones(20, dtype=bool), 0.55) == 0.5


def test_threshold_without_malignant_pictures_or_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="No picture is malignant"):
        operating_threshold(np.array([0.1]), np.array([False]), 0.9)
    for sensitivity in (0.0, 1.1, math.nan):
        with pytest.raises(ValueError, match="wanted one above 0"):
            operating_threshold(np.array([0.1]), np.array([True]), sensitivity)


def test_temperature_keeps_the_ranking_of_classes() -> None:
    logits = np.random.default_rng(4).normal(size=(20, 3))
    temperature = fit_temperature(logits, np.zeros(20, dtype=int))
    assert (log_softmax(logits / temperature, axis=1).argmax(axis=1) == logits.argmax(axis=1)).all()


def test_bins_of_equal_mass_by_hand() -> None:
    # Sorted by confidence, two bins of two: 0.6 and 0.7, one right; 0.8 and 0.9, both right.
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    labels = np.array([0, 1, 1, 0])
    expected = (abs(1 - 1.3) + abs(2 - 1.7)) / 4
    assert equal_mass_calibration_error(probabilities, labels, bins=2) == pytest.approx(expected)


def test_the_error_by_chance_is_what_true_probabilities_show() -> None:
    generator = np.random.default_rng(2)
    confidence = generator.uniform(0.5, 1, 600)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    expected = calibration_error_by_chance(probabilities, np.arange(600))
    drawn = [
        expected_calibration_error(probabilities, (generator.uniform(size=600) > confidence).astype(int))
        for _ in range(200)
    ]
    assert expected == pytest.approx(np.mean(drawn), rel=0.06)
    # Where two photographs are always right together there is half as much to go by.
    twice = calibration_error_by_chance(np.repeat(probabilities[:300], 2, axis=0), np.arange(600) // 2)
    assert twice == pytest.approx(calibration_error_by_chance(probabilities[:300], np.arange(300)))


def test_risks_that_are_true_on_average_hold_at_their_own_prevalence() -> None:
    risk = np.array([0.1, 0.2, 0.3, 0.6])
    malignant = np.array([False, False, False, True])
    assert prevalence_of_risks(risk * 0.25 / risk.mean(), malignant) == pytest.approx(0.25)


def test_risks_of_a_place_with_more_malignant_lesions_tell_its_prevalence() -> None:
    """Risks that were true at a prevalence of one half, seen where it is one in five, tell the half."""
    generator = np.random.default_rng(3)
    malignant = generator.uniform(size=20000) < 0.2
    score = generator.normal(loc=np.where(malignant, 1.0, -1.0))
    # Equal priors and normal scores of means 1 and -1: the log-odds are twice the score.
    assert prevalence_of_risks(1 / (1 + np.exp(-2 * score)), malignant) == pytest.approx(0.5, abs=0.02)


def test_a_prevalence_needs_both_kinds_of_pictures() -> None:
    for malignant in ([True, True], [False, False]):
        with pytest.raises(ValueError, match="Give some of both"):
            prevalence_of_risks(np.array([0.2, 0.3]), np.array(malignant))


def test_a_temperature_beside_a_bias_leaves_the_bias_alone() -> None:
    generator = np.random.default_rng(4)
    logits, bias = generator.normal(size=(4000, 3)), np.array([1.0, 0.0, -1.0])
    exponents = np.exp(logits / 0.5 + bias)
    shares = exponents / exponents.sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) < generator.uniform(size=(4000, 1))).sum(axis=1)
    assert fit_temperature(logits, labels, bias=bias) == pytest.approx(0.5, rel=0.05)
