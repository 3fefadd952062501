"""What the machine could do and what a network asks of it: the matrix peak, and the operations of a training step."""

from __future__ import annotations

import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from derm_core.diagnoses import get_task
from derm_core.models import build_model
from derm_core.training.schedule import picture_size
from derm_core.training.sections import RunConfig

_SIDE = {"cpu": 2048, "cuda": 8192}
_ROUNDS = 10


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Returns operations a second of the best of some square matrix products; a multiply-add is two operations."""
    side = _SIDE[device.type]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(_ROUNDS):
        _finish(device)
        started = time.perf_counter()
        torch.mm(left, right)
        _finish(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best


def step_operations(config: RunConfig) -> float:
    """Returns the operations of a training step per picture, forward and backward, as PyTorch counts them.

    Those of convolutions and matrix products; where pictures grow, the mean over the epochs.
    """
    sizes = [picture_size(config, epoch) for epoch in range(config.training.epochs)]
    counts = {size: _count(config, size) for size in set(sizes)}
    return sum(counts[size] for size in sizes) / len(sizes)


def _count(config: RunConfig, size: int) -> float:
    classes, batch = len(get_task(config.data.task).classes), 2
    model = build_model(config.model.architecture, classes, head_units=config.model.head_units).to("meta")
    counter = FlopCounterMode(display=False)
    with counter:
        logits = model(torch.empty(batch, 3, size, size, device="meta"))
        nn.functional.cross_entropy(logits, torch.zeros(batch, dtype=torch.int64, device="meta")).backward()
    return counter.get_total_flops() / batch


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
