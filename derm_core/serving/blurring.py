"""Gaussian blur of a small picture, as two products of matrices. Knows no picture's meaning."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def blurred(luma: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Returns float32 (H, W) blurred by `sigma` pixels; weights that would lie outside are shared out inside."""
    rows, columns = (_gaussian(length, sigma) for length in luma.shape)
    return np.asarray(rows @ luma @ columns.T)


@lru_cache(maxsize=64)
def _gaussian(length: int, sigma: float) -> NDArray[np.float32]:
    """Returns float32 (length, length): each row the weights that make one blurred value, summing to 1."""
    place = np.arange(length, dtype=np.float32)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
