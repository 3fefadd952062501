"""The record of every epoch: a Parquet file with one row of plain values, for plots and comparisons to be made from."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from derm_core.errors import DatasetError
from derm_core.files import write_synced

RECORDS, LOG = "records", "log.jsonl"
COLUMNS = (
    "name",
    "epoch",
    "lr",
    "classifier.weight",
    "classifier.bias",
    "confusion_matrix",
    "train_errs",
    "valid_errs",
    "used_data_augmentation",
    "train_loss",
    "valid_loss",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auc",
    "malignant_auc",
    "seconds",
    "images_per_second",
)


def write_record(run: Path, record: Mapping[str, Any]) -> Path:
    """Writes the row of an epoch to `records/epoch-0001.parquet`, whole or not at all, in place of an earlier one.

    Args:
        run: the run folder.
        record: a value for each of COLUMNS. `epoch` counts from 1; `train_errs` and `valid_errs` are shares in [0, 1];
            `classifier.weight` is a list of rows (C, K), `classifier.bias` (C,), `confusion_matrix` (C, C) with the
            truth in rows, on the validation pictures.
    """
    if set(record) != set(COLUMNS):
        wrong = ", ".join(sorted(set(record).symmetric_difference(COLUMNS)))
        raise ValueError(f"A record needs exactly the columns {', '.join(COLUMNS)}; these differ: {wrong}.")
    folder = run / RECORDS
    folder.mkdir(exist_ok=True)
    path = folder / f"epoch-{record['epoch']:04d}.parquet"
    growing = path.with_name(f".{path.name}.partial")
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{name: record[name] for name in COLUMNS}]), stream)
    write_synced(growing, stream.getvalue())
    os.replace(growing, path)
    return path


def read_records(run: Path) -> pd.DataFrame:
    """Returns the records of a run, a row an epoch; raises DatasetError where there are none."""
    paths = sorted((run / RECORDS).glob("epoch-*.parquet"))
    if not paths:
        raise DatasetError(f"{run} holds no records of epochs. Is it a run folder, and has an epoch ended?")
    return pd.concat([pq.read_table(path).to_pandas() for path in paths], ignore_index=True)


class RunLog:
    """`log.jsonl`: a line for each logged step, for those who follow a run as it goes."""

    def __init__(self, run: Path, *, after_step: int) -> None:
        """Opens the log; lines of later steps, from a run that was killed, are dropped."""
        self._path = run / LOG
        kept = [line for line in self._lines() if json.loads(line)["step"] <= after_step]
        growing = self._path.with_name(f".{LOG}.partial")
        growing.write_text("".join(kept), "utf-8")
        os.replace(growing, self._path)

    def append(self, **values: float | str) -> None:
        """Adds a line of plain values; `step` must be among them."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values) + "\n")

    def _lines(self) -> list[str]:
        if not self._path.exists():
            return []
        # A line without its end was being written when the run was killed.
        return [
            line for line in self._path.read_text("utf-8").splitlines(keepends=True) if line.endswith("}\n")
        ]
