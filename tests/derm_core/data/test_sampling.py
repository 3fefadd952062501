"""Smaller sets keep the shares of the whole."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from derm_core.data.sampling import limit_by_class
from derm_core.data.table import COLUMNS, Dataset


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
