"""What an answer of a network costs: its parameters and the multiply-adds of a picture. Runs nothing, times nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, order=True)
class Cost:
    """Ordered by parameters, then by multiply-adds; both are the same on every machine."""

    parameters: int
    multiply_adds: int

    def __str__(self) -> str:
        return f"{self.parameters / 1e6:.1f} million parameters, {self.multiply_adds / 1e9:.2f} billion multiply-adds"


def network_cost(model: nn.Module, image_size: int, views: int = 1) -> Cost:
    """Returns what a picture of `image_size` x `image_size` pixels costs that is seen in so many views.

    Multiply-adds are those of convolutions, matrix products and attention, as PyTorch counts them. The model loses its
    weights by it.
    """
    model = model.to("meta").eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.empty(1, 3, image_size, image_size, device="meta"))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters, views * counter.get_total_flops() // 2)
