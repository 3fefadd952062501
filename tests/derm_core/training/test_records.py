"""Records of epochs and the log of steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from derm_core.errors import DatasetError
from derm_core.training.records import COLUMNS, RunLog, read_records, write_record

DESIGNED = (
    "name, epoch, lr, classifier.weight, classifier.bias, confusion_matrix, train_errs, valid_errs, "
    "used_data_augmentation"
)


def record(epoch: int, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(COLUMNS, 0.5)
    return values | {
        "name": "tiny",
        "epoch": epoch,
        "classifier.weight": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]],
        "classifier.bias": [0.0, 1.0],
        "confusion_matrix": [[3, 1], [0, 2]],
        "used_data_augmentation": True,
        **changes,
    }


def test_a_record_has_the_columns_that_were_agreed_on_first() -> None:
    assert ", ".join(COLUMNS).startswith(DESIGNED)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = write_record(tmp_path, record(3))
    assert path == tmp_path / "records" / "epoch-0003.parquet"
    (row,) = pq.read_table(path).to_pylist()
    assert tuple(row) == COLUMNS
    assert row == record(3)


def test_an_unknown_figure_stays_unknown(tmp_path: Path) -> None:
    write_record(tmp_path, record(1, macro_auc=None))
    write_record(tmp_path, record(2))
    assert read_records(tmp_path)["macro_auc"].isna().tolist() == [True, False]


def test_there_is_one_file_an_epoch_and_nothing_else(tmp_path: Path) -> None:
    for epoch in (1, 2, 10, 2):
        write_record(tmp_path, record(epoch, train_errs=epoch / 20))
    names = sorted(path.name for path in (tmp_path / "records").iterdir())
    assert names == ["epoch-0001.parquet", "epoch-0002.parquet", "epoch-0010.parquet"]
    table = read_records(tmp_path)
    assert table["epoch"].tolist() == [1, 2, 10]
    assert table["train_errs"].tolist() == [0.05, 0.1, 0.5]
    assert list(table.index) == [0, 1, 2]


@pytest.mark.parametrize("change", ["extra", "lr"])
def test_a_record_with_other_columns_is_not_written(tmp_path: Path, change: str) -> None:
    values = record(1)
    if change in values:
        del values[change]
    else:
        values[change] = 1
    with pytest.raises(ValueError, match=rf"these differ: {change}\."):
        write_record(tmp_path, values)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_records_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no records of epochs"):
        read_records(tmp_path)


def steps(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]


def test_the_log_has_a_line_of_json_for_each_entry(tmp_path: Path) -> None:
    log = RunLog(tmp_path, after_step=0)
    log.append(step=20, epoch=1, loss=0.25, lr=1e-3)
    log.append(step=40, epoch=1, loss=0.125, lr=2e-3)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"step": 20, "epoch": 1, "loss": 0.25, "lr": 1e-3}
    assert steps(tmp_path) == [20, 40]


def test_lines_of_steps_that_will_be_done_again_are_dropped(tmp_path: Path) -> None:
    log = RunLog(tmp_path, after_step=0)
    for step in (20, 40, 60):
        log.append(step=step)
    continued = RunLog(tmp_path, after_step=40)
    assert steps(tmp_path) == [20, 40]
    continued.append(step=60)
    assert steps(tmp_path) == [20, 40, 60]


@pytest.mark.parametrize("half", ['{"step": 40', '{"step": 40, "loss": 0.5}', "{", '{"st'])
def test_a_half_written_line_is_dropped(tmp_path: Path, half: str) -> None:
    RunLog(tmp_path, after_step=0).append(step=20)
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write(half)
    RunLog(tmp_path, after_step=40).append(step=40)
    assert steps(tmp_path) == [20, 40]


def test_a_new_run_begins_with_an_empty_log(tmp_path: Path) -> None:
    RunLog(tmp_path, after_step=0).append(step=20)
    RunLog(tmp_path, after_step=0)
    assert (tmp_path / "log.jsonl").read_text() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
