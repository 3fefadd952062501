"""The teacher of a distillation: an earlier run's network, which only answers. Learns nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from derm_core.data.transforms import Preprocessing
from derm_core.diagnoses import get_task
from derm_core.errors import ConfigError
from derm_core.models import build_model, load_weights
from derm_core.training.checkpoint import load_best
from derm_core.training.hardware import Hardware
from derm_core.training.run_folder import read_run_config
from derm_core.training.sections import RunConfig


class Teacher:
    """Answers batches as the teacher's own preprocessing would have shown them.

    `ours` is the preprocessing that the batches come from, `theirs` the teacher's, of the same kind of normalisation.
    """

    def __init__(
        self, model: nn.Module, ours: Preprocessing, theirs: Preprocessing, hardware: Hardware
    ) -> None:
        self._model = (
            model.eval().requires_grad_(False).to(hardware.device).to(memory_format=torch.channels_last)
        )
        self._size, self._hardware = (theirs.image_size, theirs.image_size), hardware
        self._rescale = (ours.mean, ours.std) != (theirs.mean, theirs.std)
        our_mean, our_std, their_mean, their_std = (
            torch.tensor(values, device=hardware.device).view(1, 3, 1, 1)
            for values in (ours.mean, ours.std, theirs.mean, theirs.std)
        )
        self._factor, self._shift = our_std / their_std, (our_mean - their_mean) / their_std

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns logits float32 (N, C) of normalised pictures float32 (N, 3, S, S)."""
        if self._rescale:
            inputs = inputs * self._factor + self._shift
        with (
            torch.no_grad(),
            torch.autocast(
                self._hardware.device.type, self._hardware.dtype, enabled=self._hardware.autocasts
            ),
        ):
            if inputs.shape[-2:] != self._size:
                inputs = nn.functional.interpolate(inputs, size=self._size, mode="bilinear", antialias=True)
            logits: Tensor = self._model(inputs)
        return logits.float()


def open_teacher(config: RunConfig, hardware: Hardware) -> Teacher | None:
    """Returns the teacher that a run's settings name, or None where they name none.

    Raises:
        ConfigError: the folder is not a run's, or its task or normalisation is another.
        CheckpointError: the run has no whole checkpoint.
    """
    name = config.training.distillation.teacher
    if not name:
        return None
    theirs, _ = read_run_config(Path(name))
    for key, its, ours in (
        ("data.task", theirs.data.task, config.data.task),
        ("data.normalization", theirs.data.normalization, config.data.normalization),
    ):
        if its != ours:
            raise ConfigError(
                f"training.distillation.teacher is {name!r}, whose {key} is {its!r}; this run's is {ours!r}. Name a "
                "teacher of the same kind."
            )
    model = build_model(
        theirs.model.architecture,
        len(get_task(theirs.data.task).classes),
        head_units=theirs.model.head_units,
    )
    load_weights(model, load_best(Path(name))["model"])
    return Teacher(model, config.preprocessing, theirs.preprocessing, hardware)
