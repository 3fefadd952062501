"""One step of training: mix, answer, loss, gradients, and the optimizer's turn. Reads no data and writes no file."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from derm_core.data.transforms import draw_seed
from derm_core.diagnoses import get_task
from derm_core.training.extra_pictures import side_members
from derm_core.training.hardware import Hardware
from derm_core.training.losses import distillation_loss
from derm_core.training.sections import RunConfig
from derm_core.training.state import TrainingState
from derm_core.training.teacher import Teacher


class Step:
    """What is done with each batch; `hardware` says where."""

    def __init__(
        self, config: RunConfig, loss_function: nn.Module, hardware: Hardware, teacher: Teacher | None = None
    ) -> None:
        self.hardware = hardware
        self._config, self._loss_function, self._teacher = config, loss_function, teacher
        task = get_task(config.data.task)
        # Right answers to each label: the class itself, or any of the side's.
        self._right = torch.eye(len(task.classes), dtype=torch.bool)
        if config.data.extra:
            self._right = torch.cat([self._right, torch.from_numpy(side_members(task))])
        self._mix = config.training.augmentation.build_mixing(len(self._right))

    def __call__(
        self, run: TrainingState, network: nn.Module, inputs: Tensor, labels: Tensor, batches: int
    ) -> tuple[float, int]:
        """Learns from a batch; the optimizer has its turn once enough batches have been gathered.

        Args:
            run: is changed, but for its `position` and sums.
            network: maps `inputs` to logits (N, C).
            labels: int64 (N,), class indices, behind them benign and malignant where `data.extra` is given.
            batches: how many the epoch has.

        Returns:
            `(loss, errors)`: the mean loss, and how many of the batch were answered wrongly.
        """
        training, position = self._config.training, run.position
        targets = labels.to(self.hardware.device)
        if self._mix is not None:
            with torch.random.fork_rng(devices=()):
                torch.random.default_generator.manual_seed(draw_seed(training.seed, run.epoch, position))
                inputs, targets = self._mix(inputs, targets)
        with torch.autocast(self.hardware.device.type, self.hardware.dtype, enabled=self.hardware.autocasts):
            logits = network(inputs)
        logits = logits.float()
        loss = self._loss(logits, targets, inputs)
        gathered = position % training.accumulation
        group = min(training.accumulation, batches - position + gathered)
        if gathered == 0:
            run.optimizer.zero_grad()
        (loss / group).backward()
        if gathered + 1 == group:
            self._update(run)
        # A mixed picture counts as one of the class with the larger share.
        wanted = targets if targets.ndim == 1 else targets.argmax(dim=1)
        right = self._right[wanted.cpu(), logits.detach().argmax(dim=1).cpu()]
        return loss.item(), int((~right).sum())

    def _loss(self, logits: Tensor, targets: Tensor, inputs: Tensor) -> Tensor:
        loss: Tensor = self._loss_function(logits, targets)
        if self._teacher is None:
            return loss
        settings = self._config.training.distillation
        soft = distillation_loss(logits, self._teacher(inputs), settings.temperature)
        return settings.alpha * soft + (1 - settings.alpha) * loss

    def _update(self, run: TrainingState) -> None:
        if self._config.training.clip_norm:
            nn.utils.clip_grad_norm_(run.model.parameters(), self._config.training.clip_norm)
        run.optimizer.step()
        run.scheduler.step()
        run.step += 1
        if run.ema is not None:
            run.ema.update_parameters(run.model)
