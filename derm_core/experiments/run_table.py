"""The runs of a report: the records of all of them in one table, and what tells them apart. Draws nothing."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derm_core.diagnoses import get_task
from derm_core.errors import DatasetError
from derm_core.files import replace_file
from derm_core.training.config import RunConfig, changed_settings
from derm_core.training.records import COLUMNS, read_records
from derm_core.training.run_folder import read_run_config

ABOUT = ("run", "task", "architecture", "data_fingerprint")
"""The columns that stand before those of the records."""
WEIGHTS = ("classifier.weight", "classifier.bias")


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """A run folder with the records of its epochs.

    `label` tells it from the other runs of the report. `records` has a row an epoch, in order, and each of the records'
    COLUMNS; a column that was not written yet when the run was trained is empty.
    """

    folder: Path
    label: str
    config: RunConfig
    made_with: dict[str, Any]
    records: pd.DataFrame

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.config.data.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Codes in the order of the confusion matrix."""
        return get_task(self.task).classes

    @property
    def augmented(self) -> bool:
        """Whether training pictures were altered, as the records say; where they do not, as the settings say."""
        told = self.records["used_data_augmentation"].dropna()
        return bool(told.iloc[0]) if len(told) else self.config.training.augmentation.active

    @property
    def epochs(self) -> int:
        """The last epoch that ended."""
        return int(self.records["epoch"].iloc[-1])

    @property
    def metric(self) -> str:
        """The figure that chose the best epoch; higher is better."""
        return self.config.evaluation.metric

    @cached_property
    def best_row(self) -> int:
        """The row of the best epoch: the first with the highest metric, as training chose it."""
        values = self.values(self.metric)
        if np.isnan(values).all():
            values = -self.values("valid_errs")
        return int(np.argmax(np.nan_to_num(values, nan=-math.inf)))

    @property
    def best_epoch(self) -> int:
        """Its number."""
        return int(self.records["epoch"].iloc[self.best_row])

    @property
    def command(self) -> str:
        """The command that trains such a run."""
        words = ["scripts/train.py", self.config.name, *changed_settings(self.config)]
        return shlex.join([*words, "--data", "DATASET", "--out", self.label])

    def values(self, column: str) -> np.ndarray:
        """Returns float64 (E,): a column of the records, NaN where it is empty."""
        return pd.to_numeric(self.records[column]).to_numpy(dtype=np.float64)

    def best_value(self, column: str) -> float:
        """Returns a column's value at the best epoch, NaN where it is empty."""
        return float(self.values(column)[self.best_row])

    def array(self, column: str, row: int) -> np.ndarray | None:
        """Returns float64 (C,) or (C, K): a vector or matrix of the record in a row, or None where it has none."""
        value = self.records[column].iloc[row]
        if not isinstance(value, np.ndarray):
            return None
        return np.array(value.tolist(), dtype=np.float64)

    def confusion_matrix(self, row: int) -> np.ndarray | None:
        """Returns int64 (C, C), truth in rows, of the record in a row, or None where it has none."""
        matrix = self.array("confusion_matrix", row)
        return None if matrix is None else matrix.astype(np.int64)


def read_runs(folders: Sequence[Path]) -> list[ReportedRun]:
    """Reads run folders, each once however often it is named, in the order given.

    Raises:
        ConfigError: a folder is not a run's.
        DatasetError: a run has no record yet, or one that is not of its task.
    """
    distinct = list({folder.resolve(): folder for folder in folders}.values())
    return [_read_run(folder, label) for folder, label in zip(distinct, _labels(distinct), strict=True)]


def shown_runs(runs: Sequence[ReportedRun], limit: int) -> list[ReportedRun]:
    """Returns the runs with the highest metric at their best epoch, at most `limit`, in the order given."""

    def rank(run: ReportedRun) -> tuple[float, float]:
        metric, error = run.best_value(run.metric), run.best_value("valid_errs")
        return (-math.inf if math.isnan(metric) else metric, -math.inf if math.isnan(error) else -error)

    best = sorted(runs, key=rank, reverse=True)[:limit]
    return [run for run in runs if run in best]


def append_records(runs: Sequence[ReportedRun]) -> pd.DataFrame:
    """Returns the records of all runs, a row an epoch, after the columns ABOUT that say which run they are of."""
    parts = []
    for run in runs:
        about = (run.label, run.task, run.config.model.architecture, run.made_with.get("data_fingerprint"))
        part = run.records.copy()
        for place, (name, value) in enumerate(zip(ABOUT, about, strict=True)):
            part.insert(place, name, value)
        parts += part.astype(object).to_dict("records")
    names = dict.fromkeys(name for row in parts for name in row)
    return pd.DataFrame(parts, columns=list(names)).infer_objects()


def write_records(table: pd.DataFrame, folder: Path) -> None:
    """Writes `records.parquet`, and `records.csv` without the weights; a confusion matrix in it is JSON."""
    content = table.to_parquet(index=False)
    replace_file(folder / "records.parquet", content)
    plain = table.drop(columns=[name for name in WEIGHTS if name in table])
    matrices = [
        json.dumps([[int(count) for count in row] for row in matrix])
        if isinstance(matrix, np.ndarray)
        else None
        for matrix in plain["confusion_matrix"]
    ]
    text = plain.assign(confusion_matrix=matrices).to_csv(index=False, lineterminator="\n")
    replace_file(folder / "records.csv", text.encode())


def _read_run(folder: Path, label: str) -> ReportedRun:
    config, made_with = read_run_config(folder)
    records = read_records(folder)
    for name in COLUMNS:
        if name not in records:
            records[name] = None
    run = ReportedRun(folder, label, config, made_with, records.sort_values("epoch", ignore_index=True))
    matrix, size = run.confusion_matrix(-1), len(run.classes)
    if matrix is not None and matrix.shape != (size, size):
        raise DatasetError(
            f"{folder} counts {matrix.shape[0]} classes, and its task {run.task!r} has {size}. "
            "Train it anew, or report it with the version that trained it."
        )
    return run


def _labels(folders: Sequence[Path]) -> list[str]:
    """Names the folders by the fewest last parts of their paths that tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(map(len, parts), default=1) + 1):
        labels = ["/".join(names[-depth:]) for names in parts]
        if len(set(labels)) == len(labels):
            break
    return labels
