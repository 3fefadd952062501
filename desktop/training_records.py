"""What a run's epochs left, as a page needs it: losses, figures, learning rate, and the best of them. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from derm_core import read_records

METRICS = ("macro_f1", "balanced_accuracy", "accuracy", "macro_auc")
"""The figures that can choose the best epoch."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch left; a value that was not measured is None."""

    number: int
    learning_rate: float
    train_loss: float | None
    valid_loss: float | None
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class Plan:
    """What a run was made for: recipe, task, epochs at most, and the figure that chooses the best of them."""

    recipe: str = ""
    task: str = ""
    epochs: int = 0
    metric: str = METRICS[0]


def read_epochs(run: Path) -> tuple[Epoch, ...]:
    """Returns the epochs of a run folder so far, in order."""
    files = sorted((run / "records").glob("epoch-*.parquet"))
    return _read(run, len(files), files[-1].stat().st_mtime_ns) if files else ()


def best_epoch(epochs: tuple[Epoch, ...], plan: Plan) -> Epoch | None:
    """Returns the epoch with the highest metric, the first of equals; None where none was measured."""
    measured = [epoch for epoch in epochs if epoch.metrics.get(plan.metric) is not None]
    return max(measured, key=lambda epoch: epoch.metrics[plan.metric] or 0.0, default=None)


@lru_cache(maxsize=64)
def _read(run: Path, count: int, changed: int) -> tuple[Epoch, ...]:
    """Reads the records, anew where there are more or other ones."""
    rows = read_records(run).sort_values("epoch").to_dict("records")
    return tuple(
        Epoch(
            int(row["epoch"]),
            float(row["lr"]),
            _number(row, "train_loss"),
            _number(row, "valid_loss"),
            {name: _number(row, name) for name in METRICS},
        )
        for row in rows
    )


def _number(row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    return None if value is None or value != value else float(value)
