"""A small model with random weights to answer with, and pictures to ask about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from derm_core.data.transforms import Preprocessing
from derm_core.diagnoses import TASKS
from derm_core.models import build_model
from derm_core.serving.bundle import BundleDescription, OperatingPoint, save_bundle
from derm_core.serving.loading import load_predictor
from derm_core.serving.predictor import Predictor

ARCHITECTURE = "mobilenet_v3_small"


@pytest.fixture(scope="session")
def description() -> BundleDescription:
    return BundleDescription(
        name="tiny",
        version="1.2",
        architecture=ARCHITECTURE,
        task="ham7",
        classes=TASKS["ham7"].classes,
        preprocessing=Preprocessing(image_size=64, working_side=100),
        temperature=0.75,
        operating_points=(
            OperatingPoint(
                "sensitivity-0.95", 0.4, 0.95, 0.7, (0.9, 0.98), (0.6, 0.8), 120, 150, "drawn pictures"
            ),
            OperatingPoint("half", 0.5),
        ),
        default_operating_point="sensitivity-0.95",
        metrics={"accuracy": 0.5, "classes": ["nv"]},
        data={"name": "drawn", "fingerprint": "f" * 64},
        licence="CC0-1.0",
        origin="random numbers",
        training={"recipe": "none"},
    )


@pytest.fixture(scope="session")
def model_state() -> dict[str, torch.Tensor]:
    """Random weights whose answers differ well from picture to picture."""
    torch.manual_seed(11)
    model = build_model(ARCHITECTURE, 7)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        model.train()(torch.randn(8, 3, 64, 64))
        model.classifier[-1].weight.mul_(40)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="session")
def bundle_folder(
    tmp_path_factory: pytest.TempPathFactory,
    description: BundleDescription,
    model_state: dict[str, torch.Tensor],
) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    save_bundle(folder, model_state=model_state, description=description)
    return folder


@pytest.fixture(scope="session")
def predictor(bundle_folder: Path) -> Predictor:
    return load_predictor(bundle_folder, device="cpu")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six files of different sizes and formats, all fit to be answered."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number, (size, extension) in enumerate(
        [
            ((200, 150), "jpg"),
            ((450, 600), "jpg"),
            ((1600, 1200), "jpg"),
            ((300, 300), "png"),
            ((640, 200), "webp"),
            ((210, 140), "bmp"),
        ]
    ):
        paths.append(folder / f"{number}.{extension}")
        draw_lesion(size, seed=number).save(paths[-1])
    return paths


def draw_lesion(size: tuple[int, int], *, seed: int = 0) -> Image.Image:
    """A dark, blotched spot on skin."""
    random = np.random.default_rng(seed)
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    centre = (height * random.uniform(0.4, 0.6), width * random.uniform(0.4, 0.6))
    spot = np.hypot(rows - centre[0], columns - centre[1]) < min(size) * random.uniform(0.2, 0.35)
    pixels = np.where(spot[..., None], random.integers(40, 120, 3), random.integers(160, 230, 3))
    blotches = np.asarray(
        Image.fromarray(random.integers(0, 60, (9, 12, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BILINEAR
        )
    )
    image = Image.fromarray((pixels - 30 + blotches).clip(0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(1))


@pytest.fixture
def folder(tmp_path: Path, description: BundleDescription, model_state: dict[str, torch.Tensor]) -> Path:
    """A bundle that a test may spoil."""
    save_bundle(tmp_path / "bundle", model_state=model_state, description=description)
    return tmp_path / "bundle"
