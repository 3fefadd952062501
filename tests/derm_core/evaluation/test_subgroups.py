"""Groups of rows: every row in exactly one group of each kind, unknown ones last."""

from __future__ import annotations

import numpy as np
import pandas as pd

from derm_core.evaluation.subgroups import subgroups_of

TABLE = pd.DataFrame(
    {
        "age": [0.0, 29.9, 30.0, 49.0, 50.0, 69.5, 70.0, 95.0, np.nan],
        "sex": ["male", "female", "", "male", "female", "male", " ", "female", "male"],
        "site": ["back"] * 9,
        "confirmed_by": ["histo"] * 4 + [""] * 5,
    }
)


def test_ages_fall_into_bands_closed_below() -> None:
    ages = {name: np.flatnonzero(mask).tolist() for name, mask in subgroups_of(TABLE)["age"].items()}
    assert ages == {"<30": [0, 1], "30-49": [2, 3], "50-69": [4, 5], "70+": [6, 7], "unknown": [8]}


def test_empty_values_are_unknown_and_come_last() -> None:
    groups = subgroups_of(TABLE)
    assert list(groups["sex"]) == ["female", "male", "unknown"]
    assert groups["sex"]["unknown"].sum() == 2
    assert list(groups["confirmed_by"]) == ["histo", "unknown"]


def test_every_row_is_in_one_group_of_each_kind() -> None:
    groups = subgroups_of(TABLE)
    assert list(groups) == ["sex", "age", "site", "confirmed_by"]
    for members in groups.values():
        assert (np.sum(list(members.values()), axis=0) == 1).all()


def test_groups_without_a_row_are_not_listed() -> None:
    assert list(subgroups_of(TABLE.iloc[:2])["age"]) == ["<30"]
