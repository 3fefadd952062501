"""Paired tests: what is common to both falls out, lesions are the unit, and many comparisons need more evidence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score, roc_auc_score

from derm_core.evaluation.intervals import bootstrap_over_lesions, percentile_interval
from derm_core.experiments.comparison import Comparison, compare_with, exact_mcnemar, holm

RANDOM = np.random.default_rng(11)
N, C = 240, 3
LABELS = RANDOM.integers(0, C, N)
LESIONS = np.array([f"lesion-{index // 2}" for index in range(N)])
"""Two photographs of each lesion."""
MALIGNANT = (False, True, False)


def answers_with(wrong: np.ndarray) -> np.ndarray:
    """Probabilities whose top class is right but where `wrong`, bool (N,), says so."""
    top = np.where(wrong, (LABELS + 1) % C, LABELS)
    return 0.1 / (C - 1) * (1 - np.eye(C))[top] + 0.9 * np.eye(C)[top]


def wrong_at(share: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(N) < share


def compare(reference: np.ndarray, *candidates: np.ndarray, metric: str = "macro_f1") -> list[Comparison]:
    return compare_with(
        reference, candidates, LABELS, LESIONS, malignant=MALIGNANT, metric=metric, replicates=1000
    )


def test_holm_by_hand() -> None:
    # In order: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04 raised to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_mcnemar_by_hand() -> None:
    # Nine lesions differ; one or none on one side has probability (1 + 9) / 2^9, and there are two sides.
    assert exact_mcnemar(1, 8) == pytest.approx(2 * 10 / 2**9)
    assert exact_mcnemar(8, 1) == exact_mcnemar(1, 8)
    assert exact_mcnemar(0, 0) == 1.0


@pytest.mark.parametrize("metric", ["macro_f1", "accuracy", "macro_auc", "malignant_auc", "brier"])
def test_the_same_answers_are_never_told_apart(metric: str) -> None:
    answers = answers_with(wrong_at(0.3))
    (found,) = compare(answers, answers, metric=metric)
    assert found == Comparison(0.0, (0.0, 0.0), 1.0, 1.0, 0, 0, 1.0)
    assert not found.told_apart


def test_the_difference_is_that_of_scikit_learn() -> None:
    reference, candidate = answers_with(wrong_at(0.2)), answers_with(wrong_at(0.4))
    (found,) = compare(reference, candidate)
    f1 = [f1_score(LABELS, answers.argmax(axis=1), average="macro") for answers in (candidate, reference)]
    assert found.difference == pytest.approx(f1[0] - f1[1])
    low, high = found.difference_ci95
    assert low < found.difference < high < 0
    (found,) = compare(reference, candidate, metric="malignant_auc")
    auc = [roc_auc_score(LABELS == 1, answers[:, 1]) for answers in (candidate, reference)]
    assert found.difference == pytest.approx(auc[0] - auc[1])


def test_what_is_hard_for_both_falls_out_of_the_difference() -> None:
    hard = wrong_at(0.4)
    worse = hard | (np.arange(N) % 24 < 2)
    reference, candidate = answers_with(hard), answers_with(worse)
    (found,) = compare(reference, candidate, metric="accuracy")

    def interval(wrong: np.ndarray) -> list[float]:
        drawn = bootstrap_over_lesions(LESIONS, lambda w: {"accuracy": w @ ~wrong / w.sum(axis=1)})
        return percentile_interval(drawn["accuracy"], float((~wrong).mean())) or []

    # Side by side the intervals overlap; lesion by lesion there is no doubt.
    assert interval(worse)[1] > interval(hard)[0]
    assert found.told_apart
    assert found.difference_ci95[1] < 0


def test_photographs_of_one_lesion_are_no_evidence_of_their_own() -> None:
    wrong = wrong_at(0.0)
    # Six lesions, with both photographs each; and one of which one photograph is better and the other worse.
    worse = wrong | (np.arange(N) < 12)
    reference = answers_with(wrong | (np.arange(N) == 12))
    (found,) = compare(reference, answers_with(worse | (np.arange(N) == 13)), metric="accuracy")
    assert (found.lesions_better, found.lesions_worse) == (0, 6)
    assert found.p_mcnemar == pytest.approx(binomtest(0, 6).pvalue)
    assert found.p_mcnemar > binomtest(0, 12).pvalue


def test_among_many_candidates_the_same_difference_is_less_evidence() -> None:
    reference = answers_with(wrong_at(0.0))
    one = answers_with(wrong_at(0.02, seed=5))
    (alone,) = compare(reference, one, metric="accuracy")
    among = compare(
        reference, one, *(answers_with(wrong_at(0.02, seed=5)) for _ in range(19)), metric="accuracy"
    )
    assert among[0].p == alone.p == alone.p_holm
    assert among[0].p_holm == pytest.approx(min(1.0, 20 * alone.p))


def test_the_same_seed_gives_the_same_digits() -> None:
    reference, candidate = answers_with(wrong_at(0.2)), answers_with(wrong_at(0.25, seed=2))
    assert compare(reference, candidate) == compare(reference, candidate)


def test_candidates_that_are_equally_good_are_seldom_told_apart() -> None:
    pairs = [[answers_with(wrong_at(0.3, seed=2 * pair + one)) for one in (0, 1)] for pair in range(40)]
    apart = sum(compare(*pair, metric="accuracy")[0].p < 0.05 for pair in pairs)
    # Two of forty are expected.
    assert apart <= 6
