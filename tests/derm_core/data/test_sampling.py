"""Smaller sets keep the shares of the whole, or even them out; rare classes are drawn more often."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from derm_core.data.sampling import cap_per_class, draw_shares, limit_by_class
from derm_core.data.table import COLUMNS, Dataset
from derm_core.diagnoses import get_task


def listed(**counts: int) -> Dataset:
    """A dataset of that many photographs of each diagnosis; no file stands behind it."""
    rows = [
        {**dict.fromkeys(COLUMNS, ""), "image": f"{code}-{number}.jpg", "diagnosis": code, "age": 50.0}
        for code, count in counts.items()
        for number in range(count)
    ]
    return Dataset(Path("nowhere"), pd.DataFrame(rows))


WHOLE = listed(nv=60, mel=30, bkl=10)


@pytest.mark.parametrize("limit", [0, 100, 1000])
def test_no_limit_and_one_beyond_the_size_keep_all(limit: int) -> None:
    assert limit_by_class(WHOLE, limit) is WHOLE


def test_the_shares_of_the_diagnoses_are_kept() -> None:
    kept = limit_by_class(WHOLE, 20)
    assert Counter(kept.table["diagnosis"]) == {"nv": 12, "mel": 6, "bkl": 2}


def test_a_rare_diagnosis_keeps_at_least_one_photograph() -> None:
    kept = limit_by_class(listed(nv=999, df=1), 10)
    assert Counter(kept.table["diagnosis"]) == {"nv": 10, "df": 1}


def test_a_larger_limit_keeps_all_that_a_smaller_one_keeps() -> None:
    kept = [set(limit_by_class(WHOLE, limit).table["image"]) for limit in range(1, 101, 7)]
    assert all(smaller <= larger for smaller, larger in pairwise(kept))


def test_the_order_of_the_table_is_kept_and_its_rows_count_from_0() -> None:
    kept = limit_by_class(WHOLE, 20).table
    places = {name: place for place, name in enumerate(WHOLE.table["image"])}
    assert [places[name] for name in kept["image"]] == sorted(places[name] for name in kept["image"])
    assert list(kept.index) == list(range(20))


def test_the_choice_depends_on_the_names_alone() -> None:
    turned = Dataset(WHOLE.folder, WHOLE.table.iloc[::-1].reset_index(drop=True))
    assert set(limit_by_class(turned, 20).table["image"]) == set(limit_by_class(WHOLE, 20).table["image"])


TASK = get_task("nv-bkl-mel")


def test_a_cap_evens_the_classes_out_as_far_as_they_reach() -> None:
    assert Counter(cap_per_class(WHOLE, TASK, 20).table["diagnosis"]) == {"nv": 20, "mel": 20, "bkl": 10}
    assert cap_per_class(WHOLE, TASK, 0) is WHOLE
    assert len(cap_per_class(WHOLE, TASK, 60)) == 100


def test_a_cap_keeps_the_order_of_the_table_and_a_larger_one_keeps_all_that_a_smaller_one_keeps() -> None:
    kept = [cap_per_class(WHOLE, TASK, most).table for most in range(1, 60, 7)]
    assert all(set(smaller["image"]) <= set(larger["image"]) for smaller, larger in pairwise(kept))
    places = {name: place for place, name in enumerate(WHOLE.table["image"])}
    for table in kept:
        assert [places[name] for name in table["image"]] == sorted(places[name] for name in table["image"])
        assert list(table.index) == list(range(len(table)))


def test_a_cap_counts_the_classes_of_the_task_and_not_the_diagnoses() -> None:
    malignancy = get_task("malignancy")
    whole = listed(nv=8, df=8, mel=8, bcc=8).for_task(malignancy)
    kept = cap_per_class(whole, malignancy, 5)
    assert np.bincount(kept.labels(malignancy)).tolist() == [5, 5]


LABELS = np.array([0] * 1 + [1] * 4 + [2] * 16)


def sums_by_class(shares: torch.Tensor) -> list[float]:
    return np.bincount(LABELS, weights=shares.numpy()).tolist()


def test_pictures_drawn_once_each_have_no_shares() -> None:
    assert draw_shares(LABELS, "shuffled") is None


def test_balanced_shares_give_each_class_the_same_chance() -> None:
    shares = draw_shares(LABELS, "balanced")
    assert shares is not None
    assert shares.dtype == torch.float64
    assert sums_by_class(shares) == pytest.approx([1, 1, 1])


def test_sqrt_shares_give_each_class_a_chance_by_the_root_of_its_number() -> None:
    shares = draw_shares(LABELS, "sqrt")
    assert shares is not None
    assert sums_by_class(shares) == pytest.approx([1, 2, 4])
