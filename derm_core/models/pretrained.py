"""ImageNet weights to start from: a folder of files on machines with no internet, torchvision's hub on all others."""

from __future__ import annotations

import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from derm_core.errors import ConfigError, WeightsNotFoundError
from derm_core.models.tokens import build_timm, is_timm
from derm_core.models.torchvision_lean import torchvision

WEIGHTS_DIR_VARIABLE = "DERM_WEIGHTS_DIR"
# The hub's DenseNets are older than the rule that a module's name holds no dot: norm.1 there is norm1 here.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""Classifiers of Inception's that no network has here."""
# ViT-H's usual ones are for pictures of 518 pixels.
_HUB_WEIGHTS = {"vit_h_14": "IMAGENET1K_SWAG_LINEAR_V1"}
_DOTTED_LAYER = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def load_pretrained(model: nn.Module, architecture: str, weights_dir: Path | None = None) -> None:
    """Loads ImageNet-1k weights into a torchvision network that still has its 1000 classes.

    `<weights_dir>/<architecture>_imagenet.safetensors` (a state dict under torchvision's names) comes first; where no
    folder is given or named by DERM_WEIGHTS_DIR, torchvision downloads its default weights, checked by their hash.

    Raises:
        WeightsNotFoundError: the folder does not hold the file, or the hub was not reached.
        ConfigError: the file is not a state dict of this architecture.
    """
    folder = weights_dir or _folder_from_environment()
    state = _from_hub(architecture) if folder is None else _from_folder(folder, architecture)
    try:
        load_weights(
            model,
            {
                name: tensor.float() if tensor.is_floating_point() else tensor
                for name, tensor in state.items()
                if not name.startswith(_AUXILIARY)
            },
        )
    except RuntimeError as err:
        raise ConfigError(
            f"The pretrained weights do not fit torchvision's {architecture} ({str(err).splitlines()[-1].strip()}). "
            "Save its 1000-class state dict under torchvision's names."
        ) from err


def load_weights(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Loads a state dict as a safetensors file holds it: tensors under torchvision's names, and nothing else.

    MNASNet asks a state dict for the version of its layout, which only torch's own files tell: it is this one's.

    Raises:
        RuntimeError: the names or shapes are not the network's.
    """
    named = OrderedDict(state)
    named._metadata = {"": {"version": model._version}}  # type: ignore[attr-defined]
    model.load_state_dict(named)


def weights_file(folder: Path, architecture: str) -> Path:
    """Returns the path that a weights folder keeps an architecture's ImageNet weights under."""
    return folder / f"{architecture}_imagenet.safetensors"


def _folder_from_environment() -> Path | None:
    value = os.environ.get(WEIGHTS_DIR_VARIABLE)
    return Path(value) if value else None


def _from_folder(folder: Path, architecture: str) -> dict[str, torch.Tensor]:
    path = weights_file(folder, architecture)
    if not path.is_file():
        raise WeightsNotFoundError(
            f"No pretrained weights at {path}. On a machine with internet, save torchvision's {architecture} weights "
            f"with safetensors under that name, or unset {WEIGHTS_DIR_VARIABLE} to download them, "
            "or train from a random start with --set model.pretrained=false."
        )
    try:
        return load_file(path)
    except SafetensorError as err:
        raise ConfigError(f"{path} is not a whole safetensors file ({err}). Copy it again.") from err


def _from_hub(architecture: str) -> dict[str, torch.Tensor]:
    if is_timm(architecture):
        return _from_timm(architecture)
    known = torchvision.models.get_model_weights(architecture)
    weights = known[_HUB_WEIGHTS.get(architecture, "DEFAULT")]
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as err:
        kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        if kept.is_file():
            raise WeightsNotFoundError(f"{kept} is damaged. Remove it, and it is downloaded again.") from err
        raise WeightsNotFoundError(
            f"The pretrained weights of {architecture} could not be fetched from {weights.url} ({err}). Without "
            f"internet, put {architecture}_imagenet.safetensors into a folder and name it in {WEIGHTS_DIR_VARIABLE}, "
            "or train from a random start with --set model.pretrained=false."
        ) from err
    return {_DOTTED_LAYER.sub(r"\1\2", name): tensor for name, tensor in state.items()}


def _from_timm(architecture: str) -> dict[str, torch.Tensor]:
    # timm's hub raises whatever the library under it does, of which there are several.
    try:
        return build_timm(architecture, pretrained=True).state_dict()
    except Exception as err:
        raise WeightsNotFoundError(
            f"The pretrained weights of timm's {architecture} could not be fetched ({err}). Without internet, put "
            f"{architecture}_imagenet.safetensors into a folder and name it in {WEIGHTS_DIR_VARIABLE}, or train from a "
            "random start with --set model.pretrained=false."
        ) from err
