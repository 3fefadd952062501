"""Test-time augmentation: several views of a picture whose logits are averaged, and their heatmaps laid back together.

A lesion has no upright side, so the views are symmetries of the square. Both parts of a network, as split_model cuts
it, are wrapped: the body sees all views of all pictures as one batch, and the head gives the mean of their logits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ViewedBody(nn.Module):
    """Float (N, 3, S, S) to the body's answer to `count` views of each, view by view: (count N, ...)."""

    def __init__(self, body: nn.Module, count: int) -> None:
        super().__init__()
        self.body, self.count = body, count

    def forward(self, images: Tensor) -> Tensor:
        views = torch.cat([_turned(images, view) for view in range(self.count)])
        activation: Tensor = self.body(views.contiguous(memory_format=torch.channels_last))
        return activation


class MeanHead(nn.Module):
    """The body's answers to all views (count N, ...) to the mean logits (N, C)."""

    def __init__(self, head: nn.Module, count: int) -> None:
        super().__init__()
        self.head, self.count = head, count

    def forward(self, activation: Tensor) -> Tensor:
        logits: Tensor = self.head(activation)
        return logits.unflatten(0, (self.count, -1)).mean(dim=0)


def merge_heatmaps(heatmaps: Tensor, count: int) -> Tensor:
    """Lays the heatmaps of all views (count N, ..., h, w) back and averages them: (N, ..., h, w)."""
    views = heatmaps.unflatten(0, (count, -1))
    return torch.stack([_turned_back(views[view], view) for view in range(count)]).mean(dim=0)


def _turned(images: Tensor, view: int) -> Tensor:
    if view & 1:
        images = images.flip(-1)
    if view & 2:
        images = images.flip(-2)
    return images.transpose(-1, -2) if view & 4 else images


def _turned_back(images: Tensor, view: int) -> Tensor:
    if view & 4:
        images = images.transpose(-1, -2)
    if view & 2:
        images = images.flip(-2)
    return images.flip(-1) if view & 1 else images
