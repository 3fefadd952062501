"""Settings under which a network is trained within a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from derm_core.models import build_model, classifier_layer
from derm_core.training.checkpoint import save_best
from derm_core.training.config import RunConfig, parse_config

# Python 3.12 and later warn of any fork where another thread lives, such as that of a test runner.
FORKS = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
AUGMENTATION = {"flips": True, "rotation": 20.0, "brightness": 0.2, "erasing": 0.3}


def tiny_config(
    architecture: str = "shufflenet_v2_x0_5",
    /,
    *,
    image_size: int = 32,
    data: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    pretrained: bool = False,
    **training: Any,
) -> RunConfig:
    """Two epochs on the task of coloured_dataset; what is given changes settings of the section of that name."""
    settings = {
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 2e-3,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "augmentation": AUGMENTATION,
    }
    return parse_config(
        {
            "data": {"task": "nv-bkl-mel", "image_size": image_size, "working_side": 40, **(data or {})},
            "model": {"architecture": architecture, "pretrained": pretrained, **(model or {})},
            "training": {**settings, **training},
            "evaluation": evaluation or {},
        },
        "tiny",
    )


def lively_network(architecture: str, images: torch.Tensor, *, head_units: int = 0) -> torch.nn.Module:
    """A random network of three classes that answers such pictures differently, as built it hardly does."""
    torch.manual_seed(5)
    network = build_model(architecture, 3, head_units=head_units)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0
        network.train()(images)
        classifier_layer(network).weight.mul_(5)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    return network.eval()


def saved_start(folder: Path, network: torch.nn.Module) -> str:
    """A run folder to start from, with a network's weights as its best epoch."""
    folder.mkdir()
    save_best(folder, {"model": network.state_dict(), "epoch": 1, "best": {}})
    return str(folder)


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """The places where two nested values are not the same, bit for bit."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        same = one.dtype == other.dtype and torch.equal(one, other)
        return [] if same else [where]
    if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        return [place for key in one for place in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list | tuple) and type(one) is type(other) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [place for key, pair in pairs for place in differences(*pair, f"{where}/{key}")]
    return [] if type(one) is type(other) and one == other else [where]
