"""A training that takes seconds: a small dataset, and settings under which a recipe of the core learns from it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from derm_core import Dataset
from desktop.training_job import Job
from tests.derm_core.data.coloured import coloured_dataset

RECIPE = "ham7-resnet18-scratch"
PATIENCE = 300.0
TINY = (
    "data.task=nv-bkl-mel",
    "data.image_size=32",
    "data.working_side=40",
    "model.architecture=mnasnet0_5",
    "training.batch_size=8",
    "training.device=cpu",
    "training.precision=float32",
    "training.threads=1",
    "training.workers=0",
)


def tiny_dataset(folder: Path) -> Dataset:
    """60 pictures to learn from and 24 to validate on."""
    return coloured_dataset(folder, train=60, valid=24)


def train_task(run: Path, dataset: Dataset, *, epochs: int, resume: bool = False) -> dict[str, Any]:
    """What the process of such a training is told to do."""
    return {
        "do": "train",
        "run": str(run),
        "dataset": str(dataset.folder),
        "recipe": RECIPE,
        "overrides": [*TINY, f"training.epochs={epochs}"],
        "resume": resume,
    }


def wait_until(reached: Any, job: Job) -> None:
    """Waits until something is so; says what the job printed where that takes too long."""
    until = time.monotonic() + PATIENCE
    while not reached():
        printed = job.output.read_text("utf-8") if job.output.exists() else ""
        assert time.monotonic() < until, f"{job.state()} {printed}"
        time.sleep(0.05)
