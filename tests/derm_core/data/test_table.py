"""The dataset folder: written whole or not at all, and read only if it is in order."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derm_core.data.table import COLUMNS, Dataset, load_dataset, write_dataset
from derm_core.diagnoses import get_task
from derm_core.errors import DatasetError

ROWS = (
    ("1.jpg", "nv", "L1", 45.0, "male", "back", "histo", "train"),
    ("2.jpg", "nv", "L1", 45.0, "male", "back", "histo", "train"),
    ("3.jpg", "mel", "", 0.0, "", "", "", "val"),
    ("4.jpg", "df", "", None, "", "", "", "test"),
)
PICTURES = (b"first", b"second", b"third", b"fourth")


def make_table(rows: tuple[tuple[object, ...], ...] = ROWS) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(
        tmp_path / "set", make_table(), PICTURES, provenance={"source": "hand", "licence": "none"}
    )


def rewrite(dataset: Dataset, old: str, new: str) -> Path:
    path = dataset.folder / "metadata.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return dataset.folder


def test_what_is_written_is_read_again(dataset: Dataset) -> None:
    again = load_dataset(dataset.folder)
    pd.testing.assert_frame_equal(again.table, dataset.table)
    assert again.provenance == {"source": "hand", "licence": "none"}
    assert [again.image_path(index).read_bytes() for index in range(len(again))] == list(PICTURES)
    assert again.fingerprint() == dataset.fingerprint()


def test_the_table_has_exactly_the_agreed_columns_and_unknown_values_are_empty(dataset: Dataset) -> None:
    assert (dataset.folder / "metadata.csv").read_bytes() == (
        b"image,diagnosis,lesion_id,age,sex,site,confirmed_by,split\n"
        b"1.jpg,nv,L1,45.0,male,back,histo,train\n"
        b"2.jpg,nv,L1,45.0,male,back,histo,train\n"
        b"3.jpg,mel,,0.0,,,,val\n"
        b"4.jpg,df,,,,,,test\n"
    )
    assert sorted(path.name for path in dataset.folder.iterdir()) == [
        "dataset.json",
        "images",
        "metadata.csv",
    ]


def test_an_age_of_zero_is_an_age_and_an_empty_one_is_not(dataset: Dataset) -> None:
    ages = load_dataset(dataset.folder).table["age"]
    assert ages.dtype == np.float64
    np.testing.assert_array_equal(ages, [45, 45, 0, np.nan])


def test_words_that_pandas_takes_for_nothing_stay_words(tmp_path: Path) -> None:
    rows = (("1.jpg", "nv", "NA", 1.0, "None", "nan", "null", "train"),)
    table = load_dataset(write_dataset(tmp_path / "set", make_table(rows), [b""]).folder).table
    assert table.iloc[0].tolist() == ["1.jpg", "nv", "NA", 1.0, "None", "nan", "null", "train"]


def test_photographs_without_a_lesion_id_are_lesions_of_their_own(dataset: Dataset) -> None:
    assert dataset.lesions.tolist() == ["L1", "L1", "image:3.jpg", "image:4.jpg"]


def test_a_subset_holds_one_split_and_still_finds_its_pictures(dataset: Dataset) -> None:
    part = dataset.subset("val")
    assert len(part) == 1
    assert part.image_path(0).read_bytes() == b"third"
    with pytest.raises(DatasetError, match=r"no split 'fold-0'\. It has: test, train, val"):
        dataset.subset("fold-0")


def test_splits_are_joined_by_a_plus_in_the_order_of_the_table(dataset: Dataset) -> None:
    assert dataset.subset("val+train").table["image"].tolist() == dataset.table["image"].tolist()[:3]
    with pytest.raises(DatasetError, match=r"no split 'fold-1'\. It has: test, train, val"):
        dataset.subset("train+fold-1")


def test_labels_follow_the_order_of_the_tasks_classes(dataset: Dataset) -> None:
    labels = dataset.labels(get_task("ham7"))
    assert labels.dtype == np.int64
    assert labels.tolist() == [5, 5, 4, 3]
    assert dataset.labels(get_task("malignancy")).tolist() == [0, 0, 1, 0]


def test_a_task_leaves_out_what_it_has_no_label_for(dataset: Dataset) -> None:
    task = get_task("nv-bkl-mel")
    part = dataset.for_task(task)
    assert part.labels(task).tolist() == [2, 2, 1]
    assert part.image_path(2).read_bytes() == b"third"
    with pytest.raises(DatasetError, match=r"no label for 'df'.*for_task"):
        dataset.labels(task)
    with pytest.raises(DatasetError, match=r"nothing for the task 'nv-bkl-mel'.*are: df"):
        dataset.subset("test").for_task(task)


def test_the_fingerprint_tells_rows_their_order_and_the_lengths_of_files_apart(dataset: Dataset) -> None:
    first = dataset.fingerprint()
    assert len(first) == 64
    assert load_dataset(rewrite(dataset, "back", "face")).fingerprint() != first
    assert load_dataset(rewrite(dataset, "face", "back")).fingerprint() == first
    dataset.image_path(0).write_bytes(b"another length")
    assert dataset.fingerprint() != first
    assert dataset.subset("train").fingerprint() != dataset.fingerprint()


def test_the_fingerprint_is_the_one_that_other_machines_found(dataset: Dataset) -> None:
    assert dataset.fingerprint() == "38149d7636501af55aecf748c04b1e343436b77b5579be00e29441a9e451b504"


def test_a_table_may_have_its_columns_in_any_order_and_more_of_them(dataset: Dataset) -> None:
    table = pd.read_csv(dataset.folder / "metadata.csv", dtype=str, keep_default_na=False)
    table.assign(note="x")[["note", *reversed(COLUMNS)]].to_csv(dataset.folder / "metadata.csv", index=False)
    pd.testing.assert_frame_equal(load_dataset(dataset.folder).table, dataset.table)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lesion_id", "lesion", "has no column lesion_id"),
        (",mel,", ",melanom,", "Unknown diagnosis 'melanom'.*Did you mean 'mel'"),
        (",val", ",dev", "has the splits 'dev', 'test', 'train'"),
        (",val", ",fold-0", "has the splits 'fold-0', 'test', 'train'"),
        (",val", ",", "has the splits ''"),
        ("histo,train", "histo,test", "has 1 lesions in more than one split: L1"),
        ("2.jpg", "1.jpg", r"lists 1 pictures more than once: 1\.jpg"),
        ("2.jpg", "9.jpg", r"lacks 1 of 4 pictures: 9\.jpg"),
        ("2.jpg", "../2.jpg", "wanted: a file name within images/"),
        ("2.jpg", "/2.jpg", "wanted: a file name within images/"),
        ("45.0", "old", "has an age that is not a number"),
    ],
)
def test_a_table_that_is_not_in_order_is_refused(dataset: Dataset, old: str, new: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(rewrite(dataset, old, new))


def test_a_folder_without_a_table_an_empty_table_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no metadata\.csv\. Make one with prepare_data"):
        load_dataset(tmp_path)
    table = tmp_path / "metadata.csv"
    table.write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(DatasetError, match="lists no picture"):
        load_dataset(tmp_path)
    for content in (b"", b"\xff\xfe\x00", b'a,b\n"unclosed,1\n'):
        table.write_bytes(content)
        with pytest.raises(DatasetError, match=r"metadata\.csv"):
            load_dataset(tmp_path)


def test_provenance_may_be_absent_but_not_damaged(dataset: Dataset) -> None:
    path = dataset.folder / "dataset.json"
    path.write_text("[1]")
    with pytest.raises(DatasetError, match="holds no JSON object"):
        load_dataset(dataset.folder)
    path.write_text("{")
    with pytest.raises(DatasetError, match="is not JSON"):
        load_dataset(dataset.folder)
    path.unlink()
    assert load_dataset(dataset.folder).provenance == {}


def test_an_existing_out_is_refused_and_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "set"
    out.mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        write_dataset(out, make_table(), PICTURES)
    assert list(out.iterdir()) == []


def failing(error: BaseException) -> Iterator[bytes]:
    yield from PICTURES[:2]
    raise error


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), SystemExit(1)])
def test_nothing_is_left_where_writing_was_interrupted(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write_dataset(tmp_path / "set", make_table(), failing(error))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pictures", [PICTURES[:3], (*PICTURES, b"fifth")])
def test_more_or_fewer_pictures_than_rows_are_refused(tmp_path: Path, pictures: tuple[bytes, ...]) -> None:
    with pytest.raises(DatasetError, match="4 rows"):
        write_dataset(tmp_path / "set", make_table(), pictures)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    crossing = (*ROWS[:1], (*ROWS[1][:-1], "test"))
    escaping = (("../evil.jpg", *ROWS[0][1:]),)
    for rows in (crossing, escaping):
        with pytest.raises(DatasetError):
            write_dataset(tmp_path / "set", make_table(rows), PICTURES[: len(rows)])
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="Nothing can be written beside"):
        write_dataset(tmp_path / "file" / "set", make_table(), PICTURES)


def test_the_dataset_is_as_readable_as_any_new_folder(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (dataset.folder, tmp_path / "plain")}
    assert len(modes) == 1
