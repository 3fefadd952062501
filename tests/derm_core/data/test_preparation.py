"""From a source to a dataset folder: which split each photograph gets, and what is written beside it."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from derm_core.data.ham10000 import read_ham10000
from derm_core.data.image_folder import read_image_folder
from derm_core.data.inspection import inspect_pictures
from derm_core.data.preparation import SplitPlan, prepare
from derm_core.data.source import Source
from derm_core.data.splits import lesions_across_splits
from derm_core.data.table import Dataset, load_dataset
from derm_core.errors import ConfigError, DatasetError
from tests.derm_core.data.sources import ROWS, class_folders, write_files, write_ham10000


def make(source: Source, out: Path, **options: object) -> Dataset:
    return prepare(source, inspect_pictures(source.rows), out, **options)


def splits_of(dataset: Dataset) -> Counter[str]:
    return Counter(dataset.table["split"])


@pytest.fixture
def with_split(tmp_path: Path) -> Source:
    """60 pictures for training and 30 of another diagnosis for test, as their source has it."""
    files = class_folders("train/nv", "train/mel", "test/bkl", each=30)
    return read_image_folder(write_files(tmp_path / "source", files))


def test_ham10000_becomes_a_dataset_with_its_pictures_byte_for_byte(tmp_path: Path) -> None:
    source = read_ham10000(write_ham10000(tmp_path / "source"))
    make(source, tmp_path / "set", plan=SplitPlan(val=0.2, test=0.2, seed=5))
    dataset = load_dataset(tmp_path / "set")
    assert dataset.table["image"].tolist() == [f"{row[1]}.jpg" for row in ROWS]
    for index, row in enumerate(source.rows):
        assert row.file is not None
        assert dataset.image_path(index).read_bytes() == row.file.read_bytes()
    assert dataset.provenance == {
        "source": "HAM10000",
        "licence": "CC BY-NC 4.0",
        "task": "",
        "split": {"val": 0.2, "test": 0.2, "seed": 5},
        "left_out": {},
    }


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    source = write_ham10000(tmp_path / "source")
    digests = []
    for name in ("first", "second"):
        folder = make(read_ham10000(source), tmp_path / name).folder
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        digests.append([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])
    assert digests[0] == digests[1]


def test_without_a_plan_the_split_is_60_20_20(tmp_path: Path) -> None:
    source = read_image_folder(write_files(tmp_path / "source", class_folders("nv", "mel", each=50)))
    assert splits_of(make(source, tmp_path / "set")) == {"train": 60, "val": 20, "test": 20}


def test_a_split_that_the_source_has_is_kept(tmp_path: Path, with_split: Source) -> None:
    dataset = make(with_split, tmp_path / "set")
    assert splits_of(dataset) == {"train": 60, "test": 30}
    assert dataset.provenance["split"] == {"kept": ["test", "train"]}


def test_a_validation_share_is_taken_from_what_is_not_the_sources_test_split(
    tmp_path: Path, with_split: Source
) -> None:
    dataset = make(with_split, tmp_path / "set", plan=SplitPlan(val=0.1))
    assert splits_of(dataset) == {"train": 54, "val": 6, "test": 30}
    assert Counter(dataset.subset("test").table["diagnosis"]) == {"bkl": 30}


def test_both_shares_split_everything_anew(tmp_path: Path, with_split: Source) -> None:
    dataset = make(with_split, tmp_path / "set", plan=SplitPlan(val=0.1, test=0.1))
    assert splits_of(dataset) == {"train": 72, "val": 9, "test": 9}


def test_folds_take_the_place_of_the_sources_split(tmp_path: Path, with_split: Source) -> None:
    dataset = make(with_split, tmp_path / "set", plan=SplitPlan(folds=5, seed=2))
    assert splits_of(dataset) == {f"fold-{number}": 18 for number in range(5)}
    assert dataset.provenance["split"] == {"folds": 5, "seed": 2}


def test_one_share_alone_leaves_the_other_split_empty(tmp_path: Path) -> None:
    source = read_image_folder(write_files(tmp_path / "source", class_folders("nv", each=20)))
    assert splits_of(make(source, tmp_path / "a", plan=SplitPlan(val=0.15))) == {"train": 17, "val": 3}
    assert splits_of(make(source, tmp_path / "b", plan=SplitPlan(test=0.15))) == {"train": 17, "test": 3}


def test_pictures_left_out_are_counted_in_the_provenance_and_cannot_cross_a_split(tmp_path: Path) -> None:
    files = {**class_folders("nv", each=10), "nv/bad.jpg": b""}
    files.update({f"nv/copy {number}.jpg": files[f"nv/{number}.jpg"] for number in range(10)})
    source = read_image_folder(write_files(tmp_path / "source", files))
    with pytest.raises(DatasetError, match="10 duplicate"):
        make(source, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    dataset = make(source, tmp_path / "set", leave_out=("duplicate", "unreadable"))
    assert dataset.provenance["left_out"] == {"unreadable": 1, "duplicate": 10}
    assert len(dataset) == 10


def test_a_picture_that_is_gone_by_the_time_it_is_copied_leaves_nothing_behind(tmp_path: Path) -> None:
    source = read_image_folder(write_files(tmp_path / "source", class_folders("nv", each=4)))
    inspection = inspect_pictures(source.rows)
    (tmp_path / "source" / "nv" / "3.jpg").unlink()
    with pytest.raises(ValueError, match=r"nv/3\.jpg in source cannot be read"):
        prepare(source, inspection, tmp_path / "out" / "set")
    assert list((tmp_path / "out").iterdir()) == []


def test_plans_that_make_no_split_are_refused_before_anything_is_read() -> None:
    for options in ({"folds": 5, "val": 0.1}, {"folds": 1}, {"val": 0.6, "test": 0.4}, {"test": 1.5}):
        with pytest.raises(ConfigError):
            SplitPlan(**options)


def test_the_real_ham10000_is_split_by_lesion_and_the_same_as_on_other_machines(
    real_ham10000: Source,
) -> None:
    rows = real_ham10000.rows
    splits, _ = SplitPlan(val=0.1, test=0.1, seed=0).assign(rows)
    assert lesions_across_splits([row.lesion for row in rows], splits) == []
    assert Counter(splits.tolist()) == {"train": 6404, "val": 812, "test": 796}
    assert (
        hashlib.sha256(" ".join(splits).encode()).hexdigest()
        == "a3bc738e38fbdd7337d4f37dd910868428f42676264525a3ab82e7cda75d3adb"
    )
