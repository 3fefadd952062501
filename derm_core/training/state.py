"""The state of a run: network, moving average, optimizer, schedule, place in the data. All that a checkpoint holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from derm_core.models import body_blocks
from derm_core.training.hardware import Hardware
from derm_core.training.schedule import MovingAverage, WarmupCosine
from derm_core.training.sections import RunConfig
from derm_core.training.start import build_first_model

_MOMENTUM = 0.9


@dataclass
class TrainingState:
    """What training changes as it goes; all that a checkpoint holds."""

    model: nn.Module
    ema: AveragedModel | None
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    epoch: int = 0
    step: int = 0
    position: int = 0
    sums: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("loss", "errors", "pictures", "seconds"), 0.0)
    )
    best: dict[str, float] = field(default_factory=dict)
    metric: float | None = None

    def to_checkpoint(self, config: RunConfig, hardware: Hardware) -> dict[str, Any]:
        """Returns the tensors and plain values of a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "rng": {
                "torch": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all() if hardware.device.type == "cuda" else [],
            },
            "sampler": {"position": self.position, "sums": self.sums, "metric": self.metric},
            "best": self.best,
            "config": config.to_dict(),
        }

    def restore(self, state: dict[str, Any], hardware: Hardware) -> None:
        """Takes over what to_checkpoint gave."""
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.epoch, self.step, self.best = state["epoch"], state["step"], state["best"]
        self.position, self.sums = state["sampler"]["position"], state["sampler"]["sums"]
        self.metric = state["sampler"]["metric"]
        torch.set_rng_state(state["rng"]["torch"])
        if hardware.device.type == "cuda" and state["rng"]["cuda"]:
            torch.cuda.set_rng_state_all(state["rng"]["cuda"])

    @property
    def learning_rate(self) -> float:
        """That of the next step."""
        return float(self.scheduler.get_last_lr()[0])

    def evaluated_model(self) -> nn.Module:
        """Returns the network that is validated and kept: the moving average where there is one."""
        return self.model if self.ema is None else self.ema.module


def build_state(
    config: RunConfig,
    num_classes: int,
    batches: int,
    hardware: Hardware,
    *,
    weights_dir: Path | None = None,
    checkpoint: dict[str, Any] | None = None,
) -> TrainingState:
    """Returns the state before the first step, or that of a checkpoint; `batches` are the steps of an epoch."""
    settings = config.training
    # What a checkpoint writes over need not be at hand any more.
    start = config.model if checkpoint is None else replace(config.model, pretrained=False, start="")
    model = build_first_model(start, num_classes, weights_dir=weights_dir)
    model = model.to(hardware.device).to(memory_format=torch.channels_last)
    groups = _parameter_groups(model, config)
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=settings.learning_rate, momentum=_MOMENTUM, fused=True)
    else:
        # One pass over the weights instead of one for each operation.
        optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
    steps = math.ceil(batches / settings.accumulation)
    share = WarmupCosine(
        round(settings.warmup_epochs * steps), settings.epochs * steps, settings.schedule == "constant"
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    ema = None
    if settings.ema_decay:
        ema = AveragedModel(model, avg_fn=MovingAverage(settings.ema_decay), use_buffers=True)
    run = TrainingState(model, ema, optimizer, scheduler)
    if checkpoint is not None:
        run.restore(checkpoint, hardware)
    return run


def _parameter_groups(model: nn.Module, config: RunConfig) -> list[dict[str, Any]]:
    """Returns the head's group first: its learning rate is the one that is reported."""
    settings = config.training
    blocks = body_blocks(model, config.model.architecture)
    depth = {
        id(parameter): len(blocks) - index
        for index, block in enumerate(blocks)
        for parameter in block.parameters()
    }
    if settings.layer_decay == 1:
        depth = {}
    groups = []
    for distance in sorted({depth.get(id(parameter), 0) for parameter in model.parameters()}):
        members = [p for p in model.parameters() if depth.get(id(p), 0) == distance]
        rate = settings.learning_rate * settings.layer_decay**distance
        # Biases and normalisation weights have nothing to shrink towards (Goyal et al. 2017, arXiv 1706.02677).
        for parameters, decay in (
            ([p for p in members if p.ndim > 1], settings.weight_decay),
            ([p for p in members if p.ndim <= 1], 0.0),
        ):
            groups.append({"params": parameters, "weight_decay": decay, "lr": rate})
    return groups
