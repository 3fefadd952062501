"""Run folders that were never trained: settings and records alone, written within milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tomli_w

from derm_core.diagnoses import get_task
from derm_core.experiments.run_table import ReportedRun, read_runs
from derm_core.training.config import parse_config
from derm_core.training.records import COLUMNS, write_record

FINGERPRINT = "f" * 64


def fake_run(
    folder: Path,
    *,
    task: str = "nv-bkl-mel",
    errors: Sequence[float] = (0.6, 0.4, 0.5),
    augmented: bool = True,
    units: int = 8,
    changed: dict[str, Any] | None = None,
) -> Path:
    """Writes a run of an epoch for each validation error; macro F1 is 1 - error, training error half of it.

    Of ten photographs a class, as many as the error says are taken for the next class. `changed` replaces values of
    every record; None leaves one out of the file, as a run of an earlier version would.
    """
    classes = get_task(task).classes
    (folder / "records").mkdir(parents=True)
    settings = {
        "data": {"task": task},
        "model": {"architecture": "resnet18", "pretrained": False},
        "training": {"epochs": len(errors), "augmentation": {"flips": augmented}},
    }
    config = parse_config(settings, "fake").to_dict() | {"made_with": {"data_fingerprint": FINGERPRINT}}
    (folder / "config.toml").write_text(tomli_w.dumps(config), "utf-8")
    generator = np.random.default_rng(0)
    for epoch, error in enumerate(errors, start=1):
        right = round(10 * (1 - error))
        matrix = right * np.eye(len(classes), dtype=int)
        matrix += (10 - right) * np.roll(np.eye(len(classes), dtype=int), 1, axis=1)
        record: dict[str, Any] = dict.fromkeys(COLUMNS, 1 - error) | {
            "name": "fake",
            "epoch": epoch,
            "lr": 0.001 / epoch,
            "classifier.weight": generator.normal(size=(len(classes), units)).tolist(),
            "classifier.bias": generator.normal(size=len(classes)).tolist(),
            "confusion_matrix": matrix.tolist(),
            "train_errs": error / 2,
            "valid_errs": error,
            "used_data_augmentation": augmented,
            "train_loss": error,
            "valid_loss": 2 * error,
        }
        path = write_record(folder, record | (changed or {}))
        gone = [key for key, value in (changed or {}).items() if value is None]
        if gone:
            pq.write_table(pq.read_table(path).drop_columns(gone), path)
    return folder


def fake_runs(folder: Path, count: int, **settings: Any) -> list[ReportedRun]:
    """Writes and reads runs of one task; the later ones are better."""
    folders = [
        fake_run(folder / f"run-{number}", errors=(0.9 - 0.1 * number, 0.8 - 0.1 * number), **settings)
        for number in range(count)
    ]
    return read_runs(folders)
