"""Which pictures are drawn: a smaller set with the shares of the whole, or rare classes more often. Reads no pixels."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch

from derm_core.data.table import Dataset
from derm_core.diagnoses import Task


def limit_by_class(dataset: Dataset, limit: int) -> Dataset:
    """Keeps about `limit` photographs, stratified by diagnosis and at least one of each; 0 keeps all.

    Which ones depends on the pictures' names alone, so a larger limit keeps all that a smaller one keeps.
    """
    if not limit or limit >= len(dataset):
        return dataset
    table = dataset.table
    digests = _digests(dataset)
    kept: list[int] = []
    for code in sorted(set(table["diagnosis"])):
        rows = np.flatnonzero((table["diagnosis"] == code).to_numpy())
        wanted = max(1, round(limit * len(rows) / len(table)))
        kept += rows[np.argsort(digests[rows])][:wanted].tolist()
    return replace(dataset, table=table.iloc[sorted(kept)].reset_index(drop=True))


def cap_per_class(dataset: Dataset, task: Task, most: int) -> Dataset:
    """Keeps at most that many photographs of each class of a task, as limit_by_class chooses them; 0 keeps all."""
    if not most:
        return dataset
    labels, digests = dataset.labels(task), _digests(dataset)
    kept = [
        rows[np.argsort(digests[rows])][:most]
        for rows in (np.flatnonzero(labels == index) for index in range(len(task.classes)))
    ]
    rows = np.sort(np.concatenate(kept))
    return replace(dataset, table=dataset.table.iloc[rows].reset_index(drop=True))


def draw_shares(labels: np.ndarray, mode: str) -> torch.Tensor | None:
    """Returns each picture's share of the draws, float64 (N,); None for `shuffled`, where each is drawn once.

    `balanced` gives each class the same chance, `sqrt` one in proportion to the square root of its number of pictures
    (Mahajan et al. 2018, arXiv 1805.00932).
    """
    if mode == "shuffled":
        return None
    counts = np.bincount(labels).astype(np.float64)[labels]
    return torch.from_numpy(1.0 / (counts if mode == "balanced" else np.sqrt(counts)))


def _digests(dataset: Dataset) -> np.ndarray:
    """An order of the photographs that has nothing to do with how they are numbered, the same on every machine."""
    return np.array([hashlib.sha256(name.encode()).hexdigest() for name in dataset.table["image"]])
