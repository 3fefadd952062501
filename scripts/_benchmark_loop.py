"""What the peers of the training benchmark share: network, loss, changes to pictures, and the loop that most write."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from _benchmark_sides import Assignment, Waiting
from _benchmark_turns import Turn
from sklearn.metrics import recall_score
from torch import Tensor, nn
from torchvision.transforms import v2

from derm_core.data.augmentation import Augmentation
from derm_core.data.transforms import IMAGENET_MEAN
from derm_core.diagnoses import get_task
from derm_core.models import freeze_blocks
from derm_core.serving.devices import set_threads
from derm_core.training.hardware import choose_hardware
from derm_core.training.losses import build_loss
from derm_core.training.sections import RunConfig
from derm_core.training.start import build_first_model

Batches = Iterable[tuple[Tensor, Tensor]]


def random_changes(augmentation: Augmentation) -> list[v2.Transform]:
    """Returns what the engine does to a training picture, for PIL pictures: there, this is the faster form."""
    steps: list[v2.Transform] = []
    if augmentation.flips:
        # Two mirrors and a quarter turn: the square's eight symmetries.
        steps += [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
        steps.append(v2.RandomApply([v2.RandomRotation((90, 90))]))
    if augmentation.rotation or augmentation.zoom:
        steps.append(
            v2.RandomAffine(
                augmentation.rotation,
                scale=(1 - augmentation.zoom, 1 + augmentation.zoom),
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=[round(255 * mean) for mean in IMAGENET_MEAN],
            )
        )
    if augmentation.brightness or augmentation.contrast or augmentation.saturation:
        steps.append(v2.ColorJitter(augmentation.brightness, augmentation.contrast, augmentation.saturation))
    return steps


def balanced_accuracy(labels: np.ndarray, answers: np.ndarray) -> float:
    """Returns the mean recall over the classes that occur."""
    return float(recall_score(labels, answers, labels=np.unique(labels), average="macro"))


class Loop:
    """Network, loss, training and validation, so that nothing but how they are run differs from our side.

    With `reduced`, in bfloat16 and with channels last.
    """

    def __init__(self, assignment: Assignment, turn: Turn, *, reduced: bool = False) -> None:
        set_threads(assignment.threads)
        self.config: RunConfig = assignment.config
        self.device = choose_hardware(self.config.training).device
        self._turn, self._reduced = turn, reduced
        self._layout = torch.channels_last if reduced else torch.contiguous_format

    def build_model(self) -> nn.Module:
        """Returns the network with the weights that `fit` begins with."""
        torch.manual_seed(self.config.training.seed)
        model = build_first_model(self.config.model, self._num_classes)
        return model.to(self.device, memory_format=self._layout)  # type: ignore[call-overload]

    def build_loss(self, labels: list[int]) -> nn.Module:
        return build_loss(np.array(labels), self._num_classes, self.config.training).to(self.device)

    def run(
        self,
        model: nn.Module,
        train: Batches,
        valid: Batches,
        labels: list[int],
        optimizer: torch.optim.Optimizer,
        after_update: Callable[[int], object],
    ) -> None:
        """Trains and validates; `after_update` is told how many updates there were."""
        loss_function, updates = self.build_loss(labels), itertools.count(1)
        with Waiting() as waiting:
            for _ in range(self.config.training.epochs):
                started, pictures = time.perf_counter(), 0
                model.train()
                freeze_blocks(model, self.config.model.architecture, self.config.model.frozen)
                waiting.begin()
                for images, targets in train:
                    images, targets = self._place(images), targets.to(self.device)
                    with self._autocast():
                        loss = loss_function(model(images), targets)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    after_update(next(updates))
                    loss.item()
                    pictures += len(targets)
                    waiting.begin()
                seconds = time.perf_counter() - started
                self._turn.end_epoch(
                    balanced_accuracy=self._validate(model, valid),
                    pictures=pictures,
                    training_seconds=seconds,
                    waiting_seconds=waiting.take(),
                )

    @property
    def _num_classes(self) -> int:
        return len(get_task(self.config.data.task).classes)

    def _validate(self, model: nn.Module, batches: Batches) -> float:
        model.eval()
        labels, answers = [], []
        with torch.inference_mode(), self._autocast():
            for images, targets in batches:
                labels.append(targets.cpu())
                answers.append(model(self._place(images)).argmax(dim=1).cpu())
        return balanced_accuracy(torch.cat(labels).numpy(), torch.cat(answers).numpy())

    def _place(self, images: Tensor) -> Tensor:
        return images.to(self.device, memory_format=self._layout)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._reduced)
