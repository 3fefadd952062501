"""What a run trains on: which pictures, and how they come to the network. Decodes and augments; changes no weight.

A source gives the loop batches of inputs, and the network that they are for: pictures and the whole network here;
features.py has the other one, for a body that is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn
from torch.utils.data import DataLoader

from derm_core.data.batch_augmentation import BatchAugmentation
from derm_core.data.cache import open_pixels
from derm_core.data.dataset import Pixels, ResumableBatches, TrainingPictures
from derm_core.data.sampling import cap_per_class, limit_by_class
from derm_core.data.table import Dataset
from derm_core.diagnoses import get_task
from derm_core.training.hardware import Hardware
from derm_core.training.schedule import picture_size
from derm_core.training.sections import RunConfig
from derm_core.training.validation import predict_logits

Prepare = Callable[[int], Callable[[int], object]]


class Source(Protocol):
    """Batches to train on, and the validation pictures."""

    def loader(self, batches: ResumableBatches, epoch: int) -> DataLoader[Any]:
        """Returns the batches of an epoch: what `inputs` takes, and class indices int64 (N,)."""

    def inputs(self, batch: Any, epoch: int) -> Tensor:
        """Returns a batch as the network takes it, on the device."""

    def network(self, model: nn.Module) -> nn.Module:
        """Returns the part of the model that answers such inputs with logits (N, C)."""

    def valid_logits(self, model: nn.Module) -> np.ndarray:
        """Returns the model's answers to the validation pictures, float32 (N, C)."""


def select_pictures(dataset: Dataset, config: RunConfig, split: str) -> Dataset:
    """Returns the photographs of a split that a run uses: those of its task, limited as its settings say."""
    task = get_task(config.data.task)
    subset = limit_by_class(dataset.for_task(task).subset(split), config.data.limit)
    return cap_per_class(subset, task, config.data.per_class if split == config.data.train_split else 0)


def channel_statistics(pixels: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the mean and standard deviation of each channel of uint8 (N, S, S, 3), of values in [0, 1]."""
    total, squares = np.zeros(3), np.zeros(3)
    for picture in pixels:
        values = picture.reshape(-1, 3).astype(np.float64) / 255
        total += values.mean(axis=0)
        squares += (values**2).mean(axis=0)
    mean = total / len(pixels)
    deviation = np.sqrt(np.maximum(squares / len(pixels) - mean**2, 1e-6))
    return tuple(mean.tolist()), tuple(deviation.tolist())


class PictureSource:
    """Augmented pictures for a whole network.

    Attributes:
        train_pixels, valid_pixels: uint8 (N, S, S, 3).
    """

    def __init__(
        self,
        config: RunConfig,
        pixels: tuple[Pixels, np.ndarray],
        train_labels: np.ndarray,
        hardware: Hardware,
    ) -> None:
        self._config, self._hardware = config, hardware
        train_pixels, self._valid_pixels = pixels
        training = config.training
        self._pictures = TrainingPictures(
            train_pixels, train_labels, training.augmentation, seed=training.seed
        )
        self._change = BatchAugmentation(training.augmentation)

    def loader(self, batches: ResumableBatches, epoch: int) -> DataLoader[Any]:
        self._pictures.epoch = epoch
        return self._pictures.loader(batches, self._config.training.workers)

    def inputs(self, batch: tuple[Tensor, Tensor], epoch: int) -> Tensor:
        pictures, numbers = batch
        preprocessing, device = self._config.preprocessing, self._hardware.device
        size = picture_size(self._config, epoch)
        if size < preprocessing.image_size:
            # Before they are changed: that takes as much less time as they have less pixels.
            pictures = nn.functional.interpolate(pictures, size=(size, size), mode="bilinear", antialias=True)
        pictures = pictures.to(device)
        if self._change.active:
            pictures = self._change(pictures, numbers.to(device))
        return self._hardware.place(preprocessing.tensor(pictures.permute(0, 2, 3, 1)))

    def network(self, model: nn.Module) -> nn.Module:
        return model

    def valid_logits(self, model: nn.Module) -> np.ndarray:
        return predict_logits(model, self._valid_pixels, self._config, self._hardware)


def open_split_pixels(subset: Dataset, config: RunConfig, prepare: Prepare | None) -> np.ndarray:
    """Returns uint8 (N, S, S, 3), decoded where no run has decoded them before."""
    report = None if prepare is None else prepare(len(subset))
    return open_pixels(subset, config.preprocessing, on_progress=report)
