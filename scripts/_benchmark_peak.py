"""What the machine could do and what a network asks of it: the matrix peak, and the operations of a step or a pass."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from derm_core.diagnoses import get_task
from derm_core.models import build_model
from derm_core.serving.bundle import Bundle
from derm_core.training.schedule import picture_size
from derm_core.training.sections import RunConfig

_SIDE = {"cpu": 2048, "cuda": 8192}
_CONVOLUTION = (8, 256, 56)
"""Pictures, channels in and out, and side in pixels of a convolution with kernels of 3 by 3."""
_ROUNDS = 10


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Returns operations a second of the best of some square matrix products; a multiply-add is two operations.

    On a CPU the best of some large convolutions counts where it is faster: another library computes them, which is
    nearer to what some processors can do.
    """
    side = _SIDE[device.type]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    products: list[tuple[float, Callable[[], object]]] = [(2 * side**3, lambda: torch.mm(left, right))]
    if device.type == "cpu":
        count, channels, width = _CONVOLUTION
        pictures = torch.randn(count, channels, width, width).to(dtype, memory_format=torch.channels_last)
        kernels = torch.randn(channels, channels, 3, 3).to(dtype, memory_format=torch.channels_last)
        convolution = 2 * 9 * count * channels**2 * width**2
        products.append((convolution, lambda: nn.functional.conv2d(pictures, kernels, padding=1)))
    best = 0.0
    with torch.inference_mode():
        for operations, product in products * _ROUNDS:
            _finish(device)
            started = time.perf_counter()
            product()
            _finish(device)
            best = max(best, operations / (time.perf_counter() - started))
    return best


def step_operations(config: RunConfig) -> float:
    """Returns the operations of a training step per picture, forward and backward, as PyTorch counts them.

    Those of convolutions and matrix products; where pictures grow, the mean over the epochs.
    """
    sizes = [picture_size(config, epoch) for epoch in range(config.training.epochs)]
    counts = {size: _count(config, size) for size in set(sizes)}
    return sum(counts[size] for size in sizes) / len(sizes)


def pass_operations(bundle: Bundle) -> float:
    """Returns the operations of a forward pass of one picture, those of convolutions and matrix products."""
    side = bundle.description.preprocessing.image_size
    counter = FlopCounterMode(display=False)
    # With gradients: without, attention takes a way of its own, whose products are not counted.
    model = bundle.build_model().requires_grad_(True)
    with counter:
        model(torch.zeros(1, 3, side, side))
    return float(counter.get_total_flops())


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
