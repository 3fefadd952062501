"""The pictures of a run: those of its splits and of a second dataset, chosen, then opened. Trains nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from derm_core.data.dataset import JoinedPixels, Pixels
from derm_core.data.table import Dataset
from derm_core.diagnoses import get_task
from derm_core.training.extra_pictures import ExtraPictures, open_extra
from derm_core.training.features import FeatureSource
from derm_core.training.hardware import Hardware
from derm_core.training.sections import RunConfig
from derm_core.training.sources import (
    PictureSource,
    Prepare,
    Source,
    channel_statistics,
    open_split_pixels,
    select_pictures,
)


@dataclass(frozen=True, eq=False)
class RunPictures:
    """What a run learns from and is checked on; no pixel of it is read yet.

    Attributes:
        train, valid: the photographs of the two splits.
        extra: those of a second dataset to learn from; None where there is none.
        class_labels, valid_labels: int64, the classes of `train` and `valid`.
    """

    train: Dataset
    valid: Dataset
    extra: ExtraPictures | None
    class_labels: np.ndarray
    valid_labels: np.ndarray

    @property
    def train_labels(self) -> np.ndarray:
        """int64, the labels of `train`, and behind them those of `extra`."""
        return (
            self.class_labels
            if self.extra is None
            else np.concatenate([self.class_labels, self.extra.labels])
        )

    @property
    def beside(self) -> Dataset | None:
        """The photographs of the second dataset."""
        return None if self.extra is None else self.extra.dataset


def choose_pictures(config: RunConfig, dataset: Dataset) -> RunPictures:
    """Returns the photographs that the settings name; raises as select_pictures and open_extra do."""
    task = get_task(config.data.task)
    train, valid = (
        select_pictures(dataset, config, split)
        for split in (config.data.train_split, config.data.valid_split)
    )
    return RunPictures(train, valid, open_extra(config, dataset), train.labels(task), valid.labels(task))


def open_source(
    config: RunConfig,
    pictures: RunPictures,
    model: nn.Module,
    hardware: Hardware,
    prepare: Prepare | None,
) -> tuple[RunConfig, Source]:
    """Opens the pixels, decoding those that no run has decoded before, and runs a frozen body over them.

    Returns:
        `(config, source)`: the settings with the statistics of the training pictures where they are asked for and not
        given, and what the network is shown.
    """
    pixels = (
        open_split_pixels(pictures.train, config, prepare),
        open_split_pixels(pictures.valid, config, prepare),
    )
    if config.data.normalization == "featurewise" and not config.data.mean:
        mean, std = channel_statistics(pixels[0])
        config = replace(config, data=replace(config.data, mean=mean, std=std))
    labels = pictures.train_labels
    if config.trains_features:
        subsets = pictures.train, pictures.valid
        return config, FeatureSource(config, model, subsets, pixels, labels, hardware, prepare)
    train_pixels: Pixels = pixels[0]
    if pictures.beside is not None:
        train_pixels = JoinedPixels(train_pixels, open_split_pixels(pictures.beside, config, prepare))
    return config, PictureSource(config, (train_pixels, pixels[1]), labels, hardware)
