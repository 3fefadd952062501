"""The audit of a dataset in a few sentences."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from derm_core.data.audit_summary import audit_dataset
from derm_core.data.table import Dataset
from derm_core.errors import DatasetError
from tests.derm_core.data.coloured import coloured_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return coloured_dataset(tmp_path / "set", train=9, valid=6)


def test_a_sound_dataset_is_counted_and_has_no_fault(dataset: Dataset, tmp_path: Path) -> None:
    found = audit_dataset(dataset.folder, page=tmp_path / "audit.html", workers=1)
    assert found.headline == "15 pictures in 1 dataset: nothing found that would make results wrong."
    assert (found.pictures, found.lesions) == (15, 15)
    assert found.splits == {"train": 9, "val": 6}
    assert found.classes == {"bkl": 5, "mel": 5, "nv": 5}
    assert {level for level, _ in found.findings} <= {"note"}
    assert (tmp_path / "audit.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_copy_on_both_sides_of_the_split_is_a_fault_and_comes_first(dataset: Dataset) -> None:
    shutil.copyfile(dataset.folder / "images" / "000.png", dataset.folder / "images" / "009.png")
    found = audit_dataset(dataset.folder, workers=1)
    level, sentence = found.findings[0]
    assert level == "fault"
    assert "in more than one split" in sentence


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        audit_dataset(tmp_path, workers=1)
