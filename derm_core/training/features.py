"""The other source: a frozen body is run once, and the head is trained on its answers. Trains nothing itself.

Behind the body come the head's first steps that have no weights (pooling, mostly); what they give is kept as float16
in one file beside the decoded pixels, so that runs that differ in what they do with it, such as in the learning rate,
share it. With augmentation, each picture is seen in `training.feature_views` ways, one an epoch in turn; validation
pictures are seen in all the symmetries that `evaluation.views` asks for.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from derm_core.data.augmentation import Augmentation
from derm_core.data.batch_augmentation import VERSION, BatchAugmentation
from derm_core.data.cache import cache_folder
from derm_core.data.dataset import ResumableBatches, TrainingPictures
from derm_core.data.table import Dataset
from derm_core.models import body_blocks, split_model
from derm_core.models.views import MeanHead, ViewedBody
from derm_core.training.hardware import Hardware
from derm_core.training.passes import pass_batch, run_passes
from derm_core.training.sections import RunConfig
from derm_core.training.weights_digest import weights_digest

_BATCH = 32


class FeatureSource:
    """A frozen body's answers, for the rest of the network."""

    def __init__(
        self,
        config: RunConfig,
        model: nn.Module,
        subsets: tuple[Dataset, Dataset],
        pixels: tuple[np.ndarray, np.ndarray],
        train_labels: np.ndarray,
        hardware: Hardware,
        prepare: Callable[[int], Callable[[int], object]] | None = None,
    ) -> None:
        self._config, self._hardware = config, hardware
        augmentation = config.training.augmentation
        views = config.training.feature_views
        make = _Maker(config, model, hardware, prepare)
        self._train = [make(subsets[0], pixels[0], augmentation, view)[:, 0] for view in range(views)]
        self._valid = make(subsets[1], pixels[1], Augmentation(), 0, symmetries=config.evaluation.views)
        self._labels = train_labels

    def loader(self, batches: ResumableBatches, epoch: int) -> DataLoader[Any]:
        rows = _Rows(self._train[epoch % len(self._train)], self._labels)
        return DataLoader(rows, sampler=batches, batch_size=None, generator=torch.Generator())

    def inputs(self, batch: Tensor, epoch: int) -> Tensor:
        return batch.to(self._hardware.device).float()

    def network(self, model: nn.Module) -> nn.Module:
        return split_at_weights(model, self._config.model.architecture)[1]

    def valid_logits(self, model: nn.Module) -> np.ndarray:
        was_training = model.training
        model.eval()
        try:
            answer = MeanHead(self.network(model), self._config.evaluation.views)
            with torch.inference_mode():
                parts = [
                    answer(self.inputs(torch.from_numpy(rows.swapaxes(0, 1).copy()).flatten(0, 1), 0))
                    for rows in np.split(self._valid, range(_BATCH, len(self._valid), _BATCH))
                ]
        finally:
            model.train(was_training)
        return torch.cat(parts).float().cpu().numpy()


class _Rows(TorchDataset[tuple[Tensor, Tensor]]):
    """Feature rows with their class indices, a whole batch at a time."""

    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        self._features, self._labels = features, torch.from_numpy(labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, keys: list[int]) -> tuple[Tensor, Tensor]:
        # A picture that a sampler draws again has the same features in this epoch.
        indices = np.array(keys) % len(self)
        return torch.from_numpy(self._features[indices]), self._labels[indices]


def split_at_weights(model: nn.Module, architecture: str) -> tuple[nn.Sequential, nn.Sequential]:
    """Cuts a network behind its body and the steps after it that have no weights; both parts are views of it."""
    body, head = split_model(model, architecture)
    steps = list(head)
    first = next(index for index, step in enumerate(steps) if any(True for _ in step.parameters()))
    return (
        nn.Sequential(*body, *steps[:first]).train(model.training),
        nn.Sequential(*steps[first:]).train(model.training),
    )


class _Maker:
    """Computes what is not in the cache yet."""

    def __init__(
        self,
        config: RunConfig,
        model: nn.Module,
        hardware: Hardware,
        prepare: Callable[[int], Callable[[int], object]] | None,
    ) -> None:
        self._config, self._hardware, self._prepare = config, hardware, prepare
        self._body, _ = split_at_weights(model, config.model.architecture)
        # Not the state of the body, which for timm's networks holds the classifier that is learnt.
        self._weights = weights_digest(body_blocks(model, config.model.architecture))

    def __call__(
        self,
        subset: Dataset,
        pixels: np.ndarray,
        augmentation: Augmentation,
        view: int,
        *,
        symmetries: int = 1,
    ) -> np.ndarray:
        """Returns float16 (N, symmetries, ...), mapped from the disk."""
        config = self._config
        made_of = [
            subset.fingerprint(),
            config.preprocessing.to_dict(),
            config.model.architecture,
            self._weights,
            asdict(augmentation),
            (config.training.seed, view, VERSION) if augmentation.active else None,
            str(self._hardware.dtype),
            symmetries,
        ]
        name = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
        path = cache_folder(subset) / f"features-{name}.npy"
        if not path.is_file():
            _save(path, self._compute(pixels, augmentation, view, symmetries))
        return np.load(path, mmap_mode="r")

    def _compute(
        self, pixels: np.ndarray, augmentation: Augmentation, view: int, symmetries: int
    ) -> np.ndarray:
        config, hardware = self._config, self._hardware
        body = ViewedBody(self._body, symmetries).eval()

        def answer(pixels: Tensor) -> Tensor:
            inputs = config.preprocessing.tensor(pixels.to(hardware.device))
            answers = body(hardware.place(inputs)).unflatten(0, (symmetries, -1)).transpose(0, 1)
            return answers.to(torch.float16).cpu()

        report = (lambda count: None) if self._prepare is None else self._prepare(len(pixels))
        parts = []
        with closing(run_passes(answer, self._batches(pixels, augmentation, view), hardware)) as passes:
            for rows in passes:
                parts.append(rows.numpy())
                report(len(rows))
        return np.concatenate(parts)

    def _batches(self, pixels: np.ndarray, augmentation: Augmentation, view: int) -> Iterator[Tensor]:
        """Yields (N, S, S, 3) in [0, 255], uint8 or float32, in order."""
        size = pass_batch(self._hardware.device)
        if not augmentation.active:
            # As they are, they need no processes that prepare them.
            for start in range(0, len(pixels), size):
                yield torch.from_numpy(np.array(pixels[start : start + size]))
            return
        training = self._config.training
        pictures = TrainingPictures(
            pixels, np.zeros(len(pixels), dtype=np.int64), augmentation, seed=training.seed
        )
        pictures.epoch, change = view, BatchAugmentation(augmentation)
        batches = [[*range(start, min(start + size, len(pixels)))] for start in range(0, len(pixels), size)]
        for (images, numbers), _ in pictures.loader(batches, training.workers):
            yield (change(images, numbers) if change.active else images).permute(0, 2, 3, 1)


def _save(path: Path, features: np.ndarray) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            np.save(stream, features)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
