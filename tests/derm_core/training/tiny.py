"""Settings under which a network is trained within a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

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
    pretrained: bool = False,
    **training: Any,
) -> RunConfig:
    """Two epochs on the task of coloured_dataset; `data` and `training` change what is given of these sections."""
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
            "model": {"architecture": architecture, "pretrained": pretrained},
            "training": {**settings, **training},
        },
        "tiny",
    )


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
