"""The teacher of a distillation: an earlier network, which only answers. Learns nothing, and reads no bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from derm_core.data.transforms import Preprocessing
from derm_core.diagnoses import get_task
from derm_core.errors import ConfigError
from derm_core.models import build_model, load_weights
from derm_core.training.checkpoint import load_best
from derm_core.training.hardware import Hardware
from derm_core.training.run_folder import CONFIG, read_run_config
from derm_core.training.sections import RunConfig
from derm_core.training.weights_digest import weights_digest


@dataclass(frozen=True, eq=False)
class TeacherNetwork:
    """A network that may teach, and the settings that it was trained with, as far as they are known."""

    config: RunConfig
    model: nn.Module


OpenBundle = Callable[[str], TeacherNetwork]
"""Opens a teacher that is no run folder, by what the settings call it; raises ConfigError."""


class Teacher:
    """Answers batches as the teacher's own preprocessing would have shown them.

    `ours` is the preprocessing that the batches come from, `theirs` the teacher's, of the same kind of normalisation.
    `fingerprint` is the digest of the weights, which tells whether a run that is continued has the same teacher.
    """

    def __init__(
        self, model: nn.Module, ours: Preprocessing, theirs: Preprocessing, hardware: Hardware
    ) -> None:
        self.fingerprint = weights_digest([model])
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


def open_teacher(
    config: RunConfig, hardware: Hardware, open_bundle: OpenBundle | None = None
) -> Teacher | None:
    """Returns the teacher that a run's settings name, or None where they name none.

    Args:
        config: the run's settings.
        hardware: where the teacher answers.
        open_bundle: is asked for what is not a run folder; None where only run folders will do.

    Raises:
        ConfigError: the folder is not a run's, or its task or normalisation is another; or as `open_bundle`.
        CheckpointError: the run has no whole checkpoint.
    """
    name = config.training.distillation.teacher
    if not name:
        return None
    opener = open_bundle if open_bundle and not (Path(name) / CONFIG).is_file() else _open_run
    network = opener(name)
    theirs = network.config
    for key, its, ours in (
        ("data.task", theirs.data.task, config.data.task),
        ("data.normalization", theirs.data.normalization, config.data.normalization),
    ):
        if its != ours:
            raise ConfigError(
                f"training.distillation.teacher is {name!r}, whose {key} is {its!r}; this run's is {ours!r}. Name a "
                "teacher of the same kind."
            )
    return Teacher(network.model, config.preprocessing, theirs.preprocessing, hardware)


def _open_run(name: str) -> TeacherNetwork:
    run = Path(name)
    config, _ = read_run_config(run)
    model = build_model(
        config.model.architecture,
        len(get_task(config.data.task).classes),
        head_units=config.model.head_units,
    )
    load_weights(model, load_best(run)["model"])
    return TeacherNetwork(config, model)
