"""Two short runs on one tiny dataset, trained once for all tests of experiments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from derm_core.data.table import Dataset, load_dataset
from derm_core.training.config import parse_config
from derm_core.training.loop import fit
from tests.derm_core.data.coloured import coloured_dataset


@dataclass(frozen=True)
class TinyRuns:
    """`long` was trained for longer than `short`, with everything else equal."""

    dataset: Dataset
    short: Path
    long: Path


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> TinyRuns:
    folder = tmp_path_factory.mktemp("runs")
    dataset = coloured_dataset(folder / "dataset", train=48, valid=24)
    table = dataset.folder / "metadata.csv"
    # Half of the validation pictures become the test split.
    lines = table.read_text("utf-8").splitlines(keepends=True)
    lines[-12:] = [line.replace(",val", ",test") for line in lines[-12:]]
    table.write_text("".join(lines), "utf-8")
    dataset = load_dataset(dataset.folder)
    for name, epochs in (("short", 1), ("long", 5)):
        values = {
            "data": {"task": "nv-bkl-mel", "image_size": 32, "working_side": 40},
            "model": {"architecture": "resnet18", "pretrained": False},
            "training": {"epochs": epochs, "batch_size": 8, "learning_rate": 0.002, "threads": 1},
        }
        fit(parse_config(values, name), dataset, folder / name)
    return TinyRuns(dataset, folder / "short", folder / "long")
