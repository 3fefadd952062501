"""Sets of plausible diagnoses: thresholds by hand, the promise on drawn lesions, and what is measured of them."""

from __future__ import annotations

import numpy as np
import pytest

from derm_core.evaluation.conformal import fit_thresholds, lesions_needed, measure_sets


def one_class(probabilities: list[float], lesions: list[str], level: float) -> float:
    of_class = np.array(probabilities)
    both = np.stack([of_class, 1 - of_class], axis=1)
    found = fit_thresholds(both, np.zeros(len(both), dtype=int), np.array(lesions), level=level)
    return found.thresholds[0]


def test_the_threshold_leaves_out_the_share_of_lesions_it_may() -> None:
    # Nine lesions and one to come: three quarters of ten is the eighth best of the nine.
    nine = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert one_class(nine, list("abcdefghi"), 0.75) == 0.2
    assert one_class(nine, list("abcdefghi"), 0.9) == 0.1
    # Of nine lesions nobody can promise more: the class is in every set.
    assert one_class(nine, list("abcdefghi"), 0.91) == 0.0


def test_a_lesion_of_many_photographs_counts_once() -> None:
    # Four lesions, one of them ten times; three fifths are the three best, of which it is the worst by half of it.
    probabilities = [0.9, 0.8, 0.7, *[0.6] * 5, *[0.1] * 5]
    lesions = ["a", "b", "c", *["d"] * 10]
    assert one_class(probabilities, lesions, 0.6) == 0.7
    assert one_class(probabilities, lesions, 0.7) == 0.6
    assert one_class(probabilities, lesions, 0.8) == 0.1


def test_lesions_needed_for_a_promise() -> None:
    assert [lesions_needed(level) for level in (0.5, 0.9, 0.95, 0.99)] == [1, 9, 19, 99]


def test_rare_classes_share_a_threshold_and_borrow_from_the_next_rarest() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [6, 30, 200])
    probabilities = generator.dirichlet([1, 1, 1], len(labels))
    found = fit_thresholds(probabilities, labels, np.arange(len(labels)))
    assert found.pooled == (0,)
    assert found.lesions == (36, 30, 200)
    joined = np.sort(probabilities[labels <= 1, labels[labels <= 1]])
    # 0.95 of 37 is 35.15: all 36 of them.
    assert found.thresholds[0] == joined[0]
    assert found.thresholds[1] == np.sort(probabilities[labels == 1, 1])[0]


def test_too_few_lesions_of_all_classes_promise_nothing_and_leave_nothing_out() -> None:
    found = fit_thresholds(np.full((4, 2), 0.5), np.array([0, 0, 1, 1]), np.array(list("abcd")))
    assert found.thresholds == (0.0, 0.0)


def test_sets_hold_the_truth_of_each_class_on_lesions_they_were_not_set_on() -> None:
    generator = np.random.default_rng(1)

    def draw(lesions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        of_lesion = generator.choice(3, lesions, p=[0.1, 0.2, 0.7])
        place = np.repeat(np.arange(lesions), generator.integers(1, 4, lesions))
        hardness = generator.normal(size=lesions)[place]
        scores = generator.normal(size=(len(place), 3))
        scores[np.arange(len(place)), of_lesion[place]] += 1.5 + hardness
        exponents = np.exp(scores)
        return exponents / exponents.sum(axis=1, keepdims=True), of_lesion[place], place

    covered = []
    for _ in range(60):
        found = fit_thresholds(*draw(400))
        probabilities, labels, lesions = draw(400)
        figures = measure_sets(
            probabilities >= np.array(found.thresholds), labels, lesions, list("abc"), bootstrap=2
        )
        covered.append([figures["per_class"][code]["coverage"] for code in "abc"])
    assert (np.mean(covered, axis=0) > 0.945).all()
    assert (np.mean(covered, axis=0) < 0.985).all()


def test_coverage_and_size_by_hand() -> None:
    in_set = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], dtype=bool)
    labels, lesions = np.array([0, 0, 0, 1]), np.array(["a", "a", "b", "c"])
    figures = measure_sets(in_set, labels, lesions, ["x", "y"], bootstrap=50)
    # By lesion: a is held with 1.5 diagnoses on average, b and c are not, with one each.
    assert figures["coverage"] == pytest.approx(1 / 3)
    assert figures["mean_size"] == pytest.approx((1.5 + 1 + 1) / 3)
    assert figures["single"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert figures["per_class"]["x"]["coverage"] == pytest.approx(0.5)
    assert figures["per_class"]["y"]["coverage"] == 0.0
    low, high = figures["per_class"]["y"]["coverage_ci95"]
    assert (low, high > 0.5) == (0.0, True)
    assert (figures["lesions"], figures["photographs"]) == (3, 4)


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(ValueError, match="a level between 0 and 1"):
        fit_thresholds(np.ones((3, 2)), np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="a level of 1"):
        fit_thresholds(np.ones((3, 2)), np.zeros(3), np.zeros(3), level=1)
