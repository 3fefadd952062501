"""Precision of similar cases, by hand arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from derm_core.evaluation.retrieval import chance_precision, precision_at, precision_figures


def test_precision_is_the_share_of_the_first_k_that_is_right() -> None:
    found = [["nv", "mel", "nv", "nv"], ["nv", "mel"], []]
    precision = precision_at(["nv", "mel", "bcc"], found, at=(1, 2, 4))
    np.testing.assert_allclose(precision, [[1, 0.5, 0.75], [0, 0.5, 0.5], [0, 0, 0]])


def test_chance_is_the_share_of_the_diagnosis() -> None:
    precision = chance_precision(["nv", "mel", "bcc"], {"nv": 0.7, "mel": 0.2})
    np.testing.assert_allclose(precision, [[0.7], [0.2], [0.0]])


def test_figures_are_means_over_photographs_classes_and_each_class() -> None:
    truth = ["nv", "nv", "nv", "mel"]
    precision = np.array([[1.0, 0.8], [1.0, 0.6], [0.0, 0.4], [0.0, 0.2]])
    figures = precision_figures(
        precision, truth, np.array(["a", "a", "b", "c"]), names=("1", "5"), replicates=200
    )
    assert figures["overall"]["1"]["value"] == pytest.approx(0.5)
    assert figures["overall"]["5"]["value"] == pytest.approx(0.5)
    assert figures["mean_over_classes"]["1"]["value"] == pytest.approx(1 / 3)
    assert figures["mean_over_classes"]["5"]["value"] == pytest.approx(0.4)
    naevi = figures["per_class"]["nv"]
    assert (naevi["n"], naevi["lesions"]) == (3, 2)
    assert naevi["precision"]["1"]["value"] == pytest.approx(2 / 3)
    # Drawn with replacement, two lesions of naevi are both the first, both the second, or one each.
    assert naevi["precision"]["5"]["ci95"] == pytest.approx([0.4, 0.7])
    low, high = figures["per_class"]["mel"]["precision"]["1"]["ci95"]
    assert low == 0
    assert high > 0.5, "one lesion says little: the interval of a share of 0 is Wilson's"


def test_the_same_seed_gives_the_same_intervals() -> None:
    random = np.random.default_rng(1)
    precision, truth = random.random((40, 1)), ["nv", "mel"] * 20
    lesions = np.array([f"L{number // 2}" for number in range(40)])
    first, again = (
        precision_figures(precision, truth, lesions, names=("1",), replicates=50, seed=seed)
        for seed in (3, 3)
    )
    assert first == again
    low, high = first["overall"]["1"]["ci95"]
    assert low < first["overall"]["1"]["value"] < high
