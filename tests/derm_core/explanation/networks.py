"""Small networks to explain: one with random weights, and one that looks at a single place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from derm_core.explanation.split_network import SplitNetwork

SIDE = 32


def random_network(*, views: int = 1, activation: type[nn.Module] = nn.ReLU) -> SplitNetwork:
    """Three resolutions (16, 8 and 4 pixels at 32), a linear head of three classes."""
    torch.manual_seed(7)
    body = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), activation()),
        nn.Conv2d(8, 12, 3, stride=2, padding=1),
        activation(),
        nn.Conv2d(12, 16, 3, stride=2, padding=1),
        activation(),
    )
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        head[2].weight.abs_().mul_(5)  # Every class gains by every channel: no map is empty.
    return _frozen(body, head, views)


def corner_network(*, views: int = 1) -> SplitNetwork:
    """Class 1 gains by the brightness of the upper left quarter, class 0 by that of the lower right one."""

    class Quarters(nn.Module):
        def forward(self, activation: Tensor) -> Tensor:
            half = activation.shape[-1] // 2
            first = activation[:, 0, half:, half:].mean(dim=(1, 2))
            second = activation[:, 0, :half, :half].mean(dim=(1, 2))
            return torch.stack([first, second, torch.zeros_like(first)], dim=1)

    brightness = nn.Conv2d(3, 1, 1, bias=False)
    with torch.no_grad():
        brightness.weight.fill_(1.0)
    return _frozen(nn.Sequential(brightness, nn.AvgPool2d(2)), Quarters(), views)


def _frozen(body: nn.Module, head: nn.Module, views: int) -> SplitNetwork:
    for part in (body, head):
        part.eval().requires_grad_(False)
    return SplitNetwork(body, head, SIDE, lambda activation: activation, views)


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
