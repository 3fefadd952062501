"""The network that a run starts from: random, ImageNet's weights, or those that an earlier run ended with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from derm_core.errors import ConfigError
from derm_core.models import build_model
from derm_core.models.pretrained import load_weights
from derm_core.training.checkpoint import LAST, load_best, load_last_weights
from derm_core.training.sections import ModelConfig


def build_first_model(config: ModelConfig, num_classes: int, *, weights_dir: Path | None = None) -> nn.Module:
    """Builds the network of a run with the weights it starts from.

    Raises:
        ConfigError: `start` names no weights, or those of another network or task.
        CheckpointError: the run that it names has no whole checkpoint.
        WeightsNotFoundError: ImageNet weights are asked for and not to be had.
    """
    model = build_model(
        config.architecture,
        num_classes,
        pretrained=config.pretrained and not config.start,
        weights_dir=weights_dir,
        dropout=None if config.dropout < 0 else config.dropout,
        head_units=config.head_units,
    )
    if config.start:
        weights = _read(Path(config.start))
        try:
            load_weights(model, weights)
        except RuntimeError as err:
            raise ConfigError(
                f"model.start is {config.start!r}, whose weights are not those of {config.architecture} with "
                f"{num_classes} classes ({_difference(model, weights, err)}). Name a run of the same network and task."
            ) from err
    return model


def _difference(model: nn.Module, weights: Mapping[str, torch.Tensor], err: RuntimeError) -> str:
    wanted = model.state_dict()
    missing, others = wanted.keys() - weights.keys(), weights.keys() - wanted.keys()
    if missing or others:
        # PyTorch would name them all, of which there may be hundreds.
        return (
            f"it lacks {len(missing)} of the {len(wanted)} tensors, and has {len(others)} of another network"
        )
    return str(err).splitlines()[-1].strip()


def _read(start: Path) -> dict[str, torch.Tensor]:
    if start.is_dir():
        weights: dict[str, torch.Tensor] = load_best(start)["model"]
        return weights
    if start.name == LAST:
        return load_last_weights(start.parent)
    if start.suffix != ".safetensors" or not start.is_file():
        raise ConfigError(
            f"model.start is {str(start)!r}, which is neither a run folder, nor the last.pt in one, nor a .safetensors "
            "file. Check the path."
        )
    try:
        return {name: _full(tensor) for name, tensor in load_file(start).items()}
    except SafetensorError as err:
        raise ConfigError(f"{start} is not a whole safetensors file ({err}). Copy it again.") from err


def _full(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
