"""Whatever lists pictures can be audited; faults that a strict reader refuses are listed as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from derm_core.data.audit_set import read_audit_sets
from derm_core.errors import DatasetError
from tests.derm_core.data.drawn import encoded, lesion, write_table
from tests.derm_core.data.sources import class_folders, write_files, write_ham10000, write_zip


def test_a_dataset_folder_is_read_with_all_that_is_wrong_in_it(tmp_path: Path) -> None:
    rows = [
        ("1.jpg", "nv", "lesion-1", "train"),
        ("2.jpg", "nv", "lesion-1", "test"),
        ("gone.jpg", "no such code", "", ""),
        ("../1.jpg", "mel", "", "train"),
    ]
    pictures = {name: encoded(lesion(1)) for name in ("1.jpg", "2.jpg")}
    (read,) = read_audit_sets([write_table(tmp_path / "set", rows, pictures)])
    assert read.name == "set"
    assert [(row.name, row.diagnosis, row.lesion_id, row.split) for row in read.rows] == rows
    assert [row.file is not None for row in read.rows] == [True, True, False, False]
    assert read.rows[0].file is not None
    assert read.rows[0].file.read_bytes() == pictures["1.jpg"]


def test_class_folders_are_read_with_their_splits_and_diagnoses(tmp_path: Path) -> None:
    write_files(tmp_path, class_folders("train/Melanoma", "test/naevi", each=2))
    (read,) = read_audit_sets([tmp_path])
    assert [(row.name, row.diagnosis, row.split) for row in read.rows] == [
        ("test/naevi/0.jpg", "nv", "test"),
        ("test/naevi/1.jpg", "nv", "test"),
        ("train/Melanoma/0.jpg", "mel", "train"),
        ("train/Melanoma/1.jpg", "mel", "train"),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_class_folders_of_unknown_names_are_taken_at_their_word(tmp_path: Path, packed: bool) -> None:
    files = class_folders("train/rash", "Test/other/deep", each=1) | {"loose.jpg": b"", "note.txt": b""}
    source = write_zip(tmp_path / "set.zip", files) if packed else write_files(tmp_path / "set", files)
    (read,) = read_audit_sets([source])
    assert [(row.name, row.diagnosis, row.split) for row in read.rows] == [
        ("Test/other/deep/0.jpg", "deep", "test"),
        ("loose.jpg", "", ""),
        ("train/rash/0.jpg", "rash", "train"),
    ]


def test_ham10000_is_known_as_it_is_published(tmp_path: Path) -> None:
    (read,) = read_audit_sets([write_ham10000(tmp_path / "ham")])
    assert {row.lesion_id for row in read.rows} == {f"HAM_000000{number}" for number in range(1, 6)}


def test_datasets_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folders = [write_files(tmp_path / name / "set", class_folders("nv", each=1)) for name in ("a", "b")]
    assert [read.name for read in read_audit_sets(folders)] == ["a/set", "b/set"]


def test_what_is_not_there_or_empty_or_given_twice_is_refused(tmp_path: Path) -> None:
    source = write_files(tmp_path / "set", class_folders("nv", each=1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="is given 2 times"):
        read_audit_sets([source, tmp_path / "set" / ".." / "set"])
    with pytest.raises(DatasetError, match="holds no pictures"):
        read_audit_sets([tmp_path / "empty"])
    with pytest.raises(DatasetError, match="does not exist"):
        read_audit_sets([tmp_path / "absent"])
    write_table(tmp_path / "bare", [], {})
    with pytest.raises(DatasetError, match="lists no picture"):
        read_audit_sets([tmp_path / "bare"])
