"""What changes from step to step and epoch to epoch: learning rate, moving average, picture size, frozen blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from derm_core.training.sections import RunConfig


def picture_size(config: RunConfig, epoch: int) -> int:
    """Returns the side in pixels of training pictures in an epoch (from 0): a multiple of 32, or the full size."""
    full, first = config.data.image_size, config.training.first_image_size or config.data.image_size
    grown = min(1.0, epoch / max(1.0, 0.75 * config.training.epochs))
    size = first + (full - first) * grown
    return full if first >= full or grown == 1.0 else min(full, max(32, 32 * round(size / 32)))


def frozen_blocks(config: RunConfig, blocks: int, epoch: int) -> int:
    """Returns how many of the body's leading blocks do not learn in an epoch (from 0)."""
    base = blocks if config.model.frozen == -1 else min(config.model.frozen, blocks)
    if not config.training.unfreeze_epochs:
        return base
    thawed = min(1.0, epoch / config.training.unfreeze_epochs)
    return blocks - round((blocks - base) * thawed)


@dataclass(frozen=True)
class MovingAverage:
    """Exponential moving average whose memory grows with the number of updates, so that it forgets the random start."""

    decay: float

    def __call__(
        self, average: torch.Tensor, value: torch.Tensor, updates: torch.Tensor | int
    ) -> torch.Tensor:
        decay = min(self.decay, (1 + int(updates)) / (10 + int(updates)))
        return average.lerp(value, 1 - decay) if average.is_floating_point() else value


@dataclass(frozen=True)
class WarmupCosine:
    """Share of the learning rate at a step: a linear rise over `warmup` steps, then half a cosine to 0 at `total`.

    With `constant` it stays at 1 instead.
    """

    warmup: int
    total: int
    constant: bool = False

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.constant:
            return 1.0
        return 0.5 * (
            1 + math.cos(math.pi * min(1.0, (step - self.warmup) / max(1, self.total - self.warmup)))
        )
