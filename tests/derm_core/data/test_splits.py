"""Splits: no lesion on two sides, every diagnosis in proportion, the same everywhere."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from derm_core.data.source import Source
from derm_core.data.splits import k_folds, lesions_across_splits, split_by_lesion
from derm_core.errors import ConfigError, DatasetError

MIX = {"nv": 311, "bkl": 97, "mel": 53, "bcc": 29, "df": 7, "vasc": 3}


@pytest.fixture
def photographs() -> tuple[list[str], list[str]]:
    """Lesions and diagnoses of photographs: one to four photographs a lesion, in an order of no meaning."""
    random = np.random.default_rng(7)
    pairs = [
        (f"{code}-{number:04d}", code)
        for code, count in MIX.items()
        for number in range(count)
        for _ in range(int(random.integers(1, 5)))
    ]
    random.shuffle(pairs)
    return [str(lesion) for lesion, _ in pairs], [str(code) for _, code in pairs]


def lesions_of(lesions: list[str], splits: np.ndarray) -> dict[str, Counter[str]]:
    """How many lesions of each diagnosis a split has."""
    pairs = set(zip(lesions, splits.tolist(), strict=True))
    return {
        split: Counter(lesion.partition("-")[0] for lesion, found in pairs if found == split)
        for split in sorted(set(splits.tolist()))
    }


@pytest.mark.parametrize("shares", [(0.2, 0.2), (0.15, 0.0), (0.1, 0.1), (0.0, 0.25)])
def test_no_lesion_is_on_both_sides_of_a_split(
    photographs: tuple[list[str], list[str]], shares: tuple[float, float]
) -> None:
    lesions, diagnoses = photographs
    splits = split_by_lesion(lesions, diagnoses, val=shares[0], test=shares[1])
    assert len(splits) == len(lesions)
    assert lesions_across_splits(lesions, splits) == []


@pytest.mark.parametrize("shares", [(0.2, 0.2), (0.15, 0.0), (0.1, 0.1), (0.0, 0.25), (0.33, 0.33)])
def test_every_diagnosis_is_within_one_lesion_of_its_exact_share(
    photographs: tuple[list[str], list[str]], shares: tuple[float, float]
) -> None:
    lesions, diagnoses = photographs
    found = lesions_of(lesions, split_by_lesion(lesions, diagnoses, val=shares[0], test=shares[1]))
    for code, count in MIX.items():
        for split, share in (("train", 1 - sum(shares)), ("val", shares[0]), ("test", shares[1])):
            assert abs(found.get(split, Counter())[code] - share * count) < 1


def test_85_to_15_leaves_the_test_split_empty(photographs: tuple[list[str], list[str]]) -> None:
    assert set(split_by_lesion(*photographs, val=0.15, test=0)) == {"train", "val"}


def test_shares_that_come_out_even_are_met_exactly() -> None:
    lesions = [f"lesion {number}" for number in range(20)]
    splits = split_by_lesion(lesions, ["nv"] * 20, val=0.15, test=0.1)
    assert Counter(splits.tolist()) == {"train": 15, "val": 3, "test": 2}


def test_the_split_does_not_depend_on_the_order_of_the_rows(
    photographs: tuple[list[str], list[str]],
) -> None:
    lesions, diagnoses = photographs
    order = np.random.default_rng(1).permutation(len(lesions))
    shuffled = [lesions[i] for i in order], [diagnoses[i] for i in order]
    for split in (
        lambda *rows: split_by_lesion(*rows, val=0.2, test=0.2, seed=3),
        lambda *rows: k_folds(*rows, folds=5, seed=3),
    ):
        np.testing.assert_array_equal(split(lesions, diagnoses)[order], split(*shuffled))


def test_another_seed_gives_another_split_and_the_same_seed_the_same(
    photographs: tuple[list[str], list[str]],
) -> None:
    first, again, other = (split_by_lesion(*photographs, val=0.2, test=0.2, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.2


def test_a_new_lesion_moves_few_others() -> None:
    lesions = [f"lesion {number}" for number in range(200)]
    before = split_by_lesion(lesions, ["nv"] * 200, val=0.2, test=0.2)
    after = split_by_lesion([*lesions, "one more"], ["nv"] * 201, val=0.2, test=0.2)[:-1]
    assert (before != after).sum() <= 3


GOLDEN = "2ffac1575e4d95949aca2e4055a05f28d9174e7e6ce7034d8bfe5ce92bd55455"


def golden_splits() -> str:
    """A digest of splits of made-up lesions, which must be the same on any machine."""
    lesions = [f"HAM_{number:07d}" for number in range(500)]
    diagnoses = [("nv", "nv", "nv", "mel", "bkl", "bcc")[number % 6] for number in range(500)]
    splits = [
        *split_by_lesion(lesions, diagnoses, val=0.2, test=0.2, seed=0),
        *split_by_lesion(lesions, diagnoses, val=0.15, test=0.0, seed=42),
        *k_folds(lesions, diagnoses, folds=5, seed=0),
    ]
    return hashlib.sha256(" ".join(splits).encode()).hexdigest()


def test_the_split_is_the_one_that_other_machines_found() -> None:
    assert golden_splits() == GOLDEN


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_fresh_process_with_other_hashes_finds_the_same_split(hash_seed: str) -> None:
    command = "from tests.derm_core.data.test_splits import golden_splits; print(golden_splits())"
    found = subprocess.run(
        [sys.executable, "-c", command],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == GOLDEN


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_folds_differ_by_at_most_one_lesion_in_each_diagnosis_and_in_all(
    photographs: tuple[list[str], list[str]], folds: int
) -> None:
    lesions, diagnoses = photographs
    splits = k_folds(lesions, diagnoses, folds=folds)
    assert lesions_across_splits(lesions, splits) == []
    found = lesions_of(lesions, splits)
    assert sorted(found) == sorted(f"fold-{number}" for number in range(folds))
    totals = [sum(fold.values()) for fold in found.values()]
    assert max(totals) - min(totals) <= 1
    for code in MIX:
        counts = [fold[code] for fold in found.values()]
        assert max(counts) - min(counts) <= 1


def test_a_lesion_with_two_diagnoses_counts_as_its_more_frequent_one_and_stays_whole() -> None:
    lesions = ["both"] * 3 + [f"lesion {number}" for number in range(9)]
    diagnoses = ["mel", "mel", "nv"] + ["mel"] * 9
    splits = split_by_lesion(lesions, diagnoses, val=0.2, test=0.2)
    assert len(set(splits[:3])) == 1
    assert Counter(dict(zip(lesions, splits, strict=True)).values()) == {"train": 6, "val": 2, "test": 2}


@pytest.mark.parametrize("shares", [(-0.1, 0.2), (0.2, 1.0), (0.5, 0.5), (0.7, 0.4), (float("nan"), 0.1)])
def test_shares_that_make_no_split_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"share|nothing for training"):
        split_by_lesion(["a"], ["nv"], val=shares[0], test=shares[1])


def test_fewer_than_two_folds_and_more_folds_than_lesions_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        k_folds(["a", "b"], ["nv", "nv"], folds=1)
    with pytest.raises(DatasetError, match="2 lesions cannot fill 3 folds"):
        k_folds(["a", "b", "b"], ["nv", "nv", "nv"], folds=3)


def test_no_lesion_of_ham10000_is_on_both_sides_of_a_split(real_ham10000: Source) -> None:
    rows = real_ham10000.rows
    lesions, diagnoses = [row.lesion for row in rows], [row.diagnosis for row in rows]
    assert len(set(lesions)) < len(lesions)
    for splits in (
        split_by_lesion(lesions, diagnoses, val=0.2, test=0.2),
        split_by_lesion(lesions, diagnoses, val=0.15, test=0),
        k_folds(lesions, diagnoses, folds=5),
    ):
        assert lesions_across_splits(lesions, splits) == []
