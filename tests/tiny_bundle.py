"""A bundle whose network is so small that it is exported in a second: two blocks of MobileNetV2, random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import MobileNetV2

from derm_core.data.transforms import Preprocessing
from derm_core.diagnoses import TASKS
from derm_core.serving.bundle import Bundle, BundleDescription, OperatingPoint, load_bundle, save_bundle

CLASSES = TASKS["ham7"].classes


def tiny_network(architecture: str, classes: int, *, head_units: int = 0) -> nn.Module:
    """Stands in for build_model."""
    return MobileNetV2(classes, width_mult=1.0, inverted_residual_setting=[[1, 8, 1, 2], [4, 16, 1, 2]])


@contextmanager
def tiny_bundle(folder: Path) -> Iterator[Bundle]:
    """Writes the bundle into a folder; inside the block, bundles are built with tiny_network."""
    torch.manual_seed(5)
    network = tiny_network("mobilenet_v2", len(CLASSES))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        network.train()(torch.randn(8, 3, 64, 64))
        network.classifier[-1].weight.mul_(40)
    description = BundleDescription(
        name="tiny",
        version="1.2",
        architecture="mobilenet_v2",
        task="ham7",
        classes=CLASSES,
        preprocessing=Preprocessing(image_size=64, working_side=100),
        temperature=0.75,
        operating_points=(OperatingPoint("sensitivity-0.95", 0.4), OperatingPoint("half", 0.5)),
        default_operating_point="sensitivity-0.95",
        licence="CC0-1.0",
        origin='random "numbers"',
    )
    save_bundle(folder, model_state=network.state_dict(), description=description)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("derm_core.serving.bundle.build_model", tiny_network)
        yield load_bundle(folder)
