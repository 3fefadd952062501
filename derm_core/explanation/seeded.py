"""Draws that come out the same each time, from libraries that draw from the process's own generators."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_drawing = threading.Lock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds PyTorch's and NumPy's global generators, and puts them back as they were; one thread at a time.

    Args:
        seed: 0 or more, below 2**32.
    """
    with _drawing, torch.random.fork_rng():
        before = np.random.get_state()
        try:
            torch.manual_seed(seed)
            np.random.seed(seed)
            yield
        finally:
            np.random.set_state(before)
