"""Biases of classes: found where the scores lack them, left out where they do not help."""

from __future__ import annotations

import numpy as np

from derm_core.evaluation.class_biases import fit_class_biases


def drawn(shift: list[float], count: int = 900, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores whose softmax is true once the shift is taken from them, labels and lesions of two photographs."""
    generator = np.random.default_rng(seed)
    scores = 1.5 * generator.normal(size=(count, len(shift)))
    exponents = np.exp(scores)
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) < generator.uniform(size=(count, 1))).sum(axis=1)
    return scores + np.array(shift), labels, np.arange(count) // 2


def test_true_probabilities_are_left_alone() -> None:
    scores, labels, lesions = drawn([0.0, 0.0, 0.0])
    assert fit_class_biases(scores, labels, lesions).tolist() == [0.0, 0.0, 0.0]


def test_scores_that_favour_a_class_are_put_right() -> None:
    scores, labels, lesions = drawn([1.5, 0.0, -1.5])
    biases = fit_class_biases(scores, labels, lesions)
    assert biases[0] < -0.9
    assert biases[2] > 0.9
    assert abs(biases.sum()) < 1e-3


def test_the_same_data_gives_the_same_biases() -> None:
    data = drawn([1.0, 0.0, -1.0], seed=4)
    assert fit_class_biases(*data).tolist() == fit_class_biases(*data).tolist()


def test_a_handful_of_lesions_fits_nothing() -> None:
    scores, labels, _ = drawn([2.0, 0.0, -2.0], count=40)
    assert fit_class_biases(scores, labels, np.arange(40) // 10).tolist() == [0.0, 0.0, 0.0]
