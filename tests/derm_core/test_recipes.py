"""Every recipe trains: an epoch on a few made-up pictures, from a random start, through the real training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from derm_core.data.table import Dataset
from derm_core.models import fixed_image_size
from derm_core.training.config import load_recipe, recipe_names
from derm_core.training.loop import fit
from derm_core.training.records import read_records
from derm_core.training.sections import RunConfig
from tests.derm_core.data.coloured import coloured_dataset

# ConvNeXt-L needs 6 GB to be trained: its settings are tried on the smallest network of its family.
STAND_INS = {"convnext_large": "convnext_tiny"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return coloured_dataset(tmp_path_factory.mktemp("recipes") / "set", train=12, valid=6)


def small(recipe: str) -> RunConfig:
    """The recipe on pictures as small as its network takes, one epoch long."""
    asked = load_recipe(recipe)
    architecture = STAND_INS.get(asked.model.architecture, asked.model.architecture)
    size = fixed_image_size(architecture) or 64
    return load_recipe(
        recipe,
        [
            "training.epochs=1",
            "data.limit=6",
            f"data.image_size={size}",
            f"model.architecture={architecture}",
            "model.pretrained=false",
            "training.batch_size=3",
            "training.accumulation=1",
            "training.threads=1",
            "training.workers=0",
            *(["training.first_image_size=32"] if asked.training.first_image_size else []),
        ],
    )


@pytest.mark.parametrize("recipe", recipe_names())
def test_recipe_trains_an_epoch(recipe: str, pictures: Dataset, tmp_path: Path) -> None:
    run = fit(small(recipe), pictures, tmp_path / "run")
    (record,) = read_records(run).to_dict("records")
    assert record["epoch"] == 1
    assert record["train_loss"] > 0
    assert len(record["confusion_matrix"]) == len(record["classifier.bias"])
    weights = torch.load(run / "best.pt", weights_only=True)["model"]
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())


@pytest.mark.parametrize("recipe", recipe_names())
def test_recipe_says_where_it_comes_from(recipe: str) -> None:
    text = (Path("derm_core") / "recipes" / f"{recipe}.toml").read_text("utf-8")
    comment = [line for line in text.splitlines() if line.startswith("#")]
    assert len(" ".join(comment)) > 80
    assert all(len(line) <= 120 for line in comment)
