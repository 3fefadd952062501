"""A smaller set with the shares of the whole, for trying things out. Reads no pixels."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from derm_core.data.table import Dataset


def limit_by_class(dataset: Dataset, limit: int) -> Dataset:
    """Keeps about `limit` photographs, stratified by diagnosis and at least one of each; 0 keeps all.

    Which ones depends on the pictures' names alone, so a larger limit keeps all that a smaller one keeps.
    """
    if not limit or limit >= len(dataset):
        return dataset
    table = dataset.table
    digests = np.array([hashlib.sha256(name.encode()).hexdigest() for name in table["image"]])
    kept: list[int] = []
    for code in sorted(set(table["diagnosis"])):
        rows = np.flatnonzero((table["diagnosis"] == code).to_numpy())
        wanted = max(1, round(limit * len(rows) / len(table)))
        kept += rows[np.argsort(digests[rows])][:wanted].tolist()
    return replace(dataset, table=table.iloc[sorted(kept)].reset_index(drop=True))
