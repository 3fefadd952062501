"""The groups of people and photographs that figures are given for apart. Measures nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

AGE_BANDS = {"<30": (-np.inf, 30.0), "30-49": (30.0, 50.0), "50-69": (50.0, 70.0), "70+": (70.0, np.inf)}
"""Name -> years, from and below."""
UNKNOWN = "unknown"
CONFIRMED_BY = {
    "histo": "histopathology",
    "follow_up": "follow-up",
    "consensus": "consensus of experts",
    "confocal": "confocal microscopy",
}
"""How a diagnosis was confirmed, as people call it."""


def subgroups_of(
    table: pd.DataFrame, acquisition: Sequence[str] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Returns {"sex", "age", "site", "confirmed_by", "acquisition"} -> group -> bool (N,), the rows in it.

    Groups without a row are left out; rows of which it is not known come last, as "unknown".

    Args:
        table: N rows of a dataset, with the columns age (years, NaN where unknown), sex, site and confirmed_by (text,
            empty where unknown).
        acquisition: N texts, how each photograph was taken; None leaves this kind out.
    """
    ages = table["age"].to_numpy(dtype=np.float64)
    bands = {name: (ages >= low) & (ages < high) for name, (low, high) in AGE_BANDS.items()}
    groups = {"sex": _by_value(table["sex"]), "age": bands | {UNKNOWN: np.isnan(ages)}}
    groups |= {column: _by_value(table[column]) for column in ("site", "confirmed_by")}
    if acquisition is not None:
        groups["acquisition"] = _by_value(pd.Series(acquisition, dtype=object))
    return {
        kind: {name: mask for name, mask in members.items() if mask.any()} for kind, members in groups.items()
    }


def _by_value(column: pd.Series) -> dict[str, np.ndarray]:
    values = column.fillna("").astype(str).str.strip().replace({"": UNKNOWN}).to_numpy(dtype=object)
    names = sorted(set(values), key=lambda name: (name == UNKNOWN, name))
    return {name: values == name for name in names}
