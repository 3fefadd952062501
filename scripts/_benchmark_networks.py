"""What is measured: models by name or folder, and networks with random weights, each as a bundle on the disk."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core.errors import ConfigError

if TYPE_CHECKING:
    from derm_core.serving.bundle import Bundle

DEFAULT_ARCHITECTURES = ("resnet50",)
MAIN = "main"
MAIN_ARCHITECTURES = (
    *("resnet18", "resnet50", "efficientnet_b0"),
    *("mobilenet_v3_large", "convnext_tiny", "vit_b_16"),
)
"""What MAIN stands for among the architectures: what people train on photographs of skin."""
SIDE = 224


@dataclass(frozen=True)
class Network:
    """A bundle that is measured; `title` says which and at what size."""

    title: str
    bundle: Bundle

    @property
    def folder(self) -> Path:
        return self.bundle.folder


def open_networks(model: str, architectures: Sequence[str], folder: Path) -> list[Network]:
    """Returns a model by name or folder, unless empty, and networks of seven classes with random weights.

    Args:
        model, architectures: which; MAIN among these stands for MAIN_ARCHITECTURES.
        folder: where the latter are written; those that are there already are taken as they are.

    Raises:
        ConfigError: that is nothing, or an architecture is not known.
    """
    from derm_core.serving.bundle import find_bundle, load_bundle

    folders = [find_bundle(model)] if model else []
    named = [inner for name in architectures for inner in (MAIN_ARCHITECTURES if name == MAIN else (name,))]
    folders += [_random_bundle(name, folder / name) for name in dict.fromkeys(named)]
    if not folders:
        raise ConfigError("There is nothing to measure. Name a --model or an --architecture.")
    bundles = [load_bundle(place) for place in folders]
    return [Network(_title(bundle), bundle) for bundle in bundles]


def drawn_photograph() -> bytes:
    """A JPEG of 600 x 450 pixels: a dark spot on skin, with noise so that it decodes at the usual cost."""
    import numpy as np
    from PIL import Image

    rows, columns = np.mgrid[:450, :600]
    spot = ((rows - 225) ** 2 + (columns - 300) ** 2 < 120**2)[..., None]
    noise = np.random.default_rng(0).normal(0, 12, (450, 600, 3))
    pixels = (np.where(spot, (110, 70, 60), (215, 175, 160)) + noise).clip(0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def _title(bundle: Bundle) -> str:
    description = bundle.description
    return f"{description.name} ({description.preprocessing.image_size} px)"


def _random_bundle(architecture: str, folder: Path) -> Path:
    import torch

    from derm_core.data.transforms import Preprocessing
    from derm_core.diagnoses import TASKS
    from derm_core.models import build_model
    from derm_core.serving.bundle import BundleDescription, OperatingPoint, save_bundle

    if folder.is_dir():
        return folder
    classes = TASKS["ham7"].classes
    description = BundleDescription(
        name=f"{architecture}, random",
        version="0",
        architecture=architecture,
        task="ham7",
        classes=classes,
        preprocessing=Preprocessing(image_size=SIDE, working_side=300),
        temperature=1.0,
        operating_points=(OperatingPoint("half", 0.5),),
        default_operating_point="half",
    )
    torch.manual_seed(0)
    save_bundle(
        folder, model_state=build_model(architecture, len(classes)).state_dict(), description=description
    )
    return folder
