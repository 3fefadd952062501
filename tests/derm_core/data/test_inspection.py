"""Inspection: every missing, unreadable or repeated picture is counted and named, and only those."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from derm_core.data.ham10000 import read_ham10000
from derm_core.data.image_folder import read_image_folder
from derm_core.data.inspection import KINDS, Inspection, inspect_pictures
from derm_core.data.source import Source
from derm_core.errors import ConfigError, DatasetError
from tests.derm_core.data.sources import (
    ROWS,
    class_folders,
    ham10000_pictures,
    jpeg,
    write_files,
    write_ham10000,
)


def inspect_folder(folder: Path, files: dict[str, bytes]) -> Inspection:
    return inspect_pictures(read_image_folder(write_files(folder, files)).rows)


def found(inspection: Inspection) -> list[tuple[str, str]]:
    return [(problem.kind, problem.name) for problem in inspection.problems]


def test_good_pictures_pass(tmp_path: Path) -> None:
    inspection = inspect_folder(tmp_path, class_folders("nv", "mel"))
    assert found(inspection) == []
    assert inspection.accept() == inspection.rows


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    pictures = ham10000_pictures()
    del pictures["ISIC_0000002.jpg"], pictures["ISIC_0000005.jpg"]
    inspection = inspect_pictures(read_ham10000(write_ham10000(tmp_path, pictures=pictures)).rows)
    assert found(inspection) == [("missing", "ISIC_0000002.jpg"), ("missing", "ISIC_0000005.jpg")]


def test_unreadable_pictures_are_named_with_the_reason(tmp_path: Path) -> None:
    bad = {"nv/text.jpg": b"text", "nv/empty.jpg": b"", "mel/half.jpg": jpeg(1, size=(200, 200))[:2000]}
    inspection = inspect_folder(tmp_path, {**class_folders("nv", "mel"), **bad})
    assert found(inspection) == [
        ("unreadable", "mel/half.jpg"),
        ("unreadable", "nv/empty.jpg"),
        ("unreadable", "nv/text.jpg"),
    ]
    assert "not a picture" in inspection.of_kind("unreadable")[2].reason


def test_bytes_and_pixels_that_repeat_another_picture_are_duplicates(tmp_path: Path) -> None:
    picture = jpeg(1)
    path = tmp_path / "same pixels.png"
    write_files(tmp_path, {"original.jpg": picture})
    with Image.open(tmp_path / "original.jpg") as opened:
        opened.save(path)
    files = {"nv/1.jpg": picture, "nv/2.jpg": picture, "nv/3.png": path.read_bytes(), "nv/4.jpg": jpeg(2)}
    inspection = inspect_folder(tmp_path / "set", files)
    assert found(inspection) == [("duplicate", "nv/2.jpg"), ("duplicate", "nv/3.png")]
    assert {problem.reason for problem in inspection.problems} == {"the same picture as nv/1.jpg"}
    assert [row.name for row in inspection.accept(leave_out=["duplicate"])] == ["nv/1.jpg", "nv/4.jpg"]


def test_pictures_of_the_same_bytes_in_another_shape_are_no_duplicates(tmp_path: Path) -> None:
    for name, size in (("wide.png", (6, 4)), ("high.png", (4, 6))):
        Image.new("RGB", size, "brown").save(tmp_path / name)
    files = {f"nv/{name}": (tmp_path / name).read_bytes() for name in ("wide.png", "high.png")}
    assert found(inspect_folder(tmp_path / "set", files)) == []


def test_the_same_picture_under_two_diagnoses_conflicts_and_neither_is_kept(tmp_path: Path) -> None:
    inspection = inspect_folder(tmp_path, {"nv/1.jpg": jpeg(1), "mel/9.jpg": jpeg(1), "nv/2.jpg": jpeg(2)})
    assert found(inspection) == [("conflicting", "mel/9.jpg"), ("conflicting", "nv/1.jpg")]
    assert "called mel and nv" in inspection.problems[0].reason
    assert [row.name for row in inspection.accept(leave_out=["conflicting"])] == ["nv/2.jpg"]


def test_of_copies_in_two_splits_the_one_for_test_stays(tmp_path: Path) -> None:
    files = {
        "test/nv/1.jpg": jpeg(1),
        "train/nv/1.jpg": jpeg(1),
        "val/nv/1.jpg": jpeg(1),
        "train/nv/2.jpg": jpeg(2),
    }
    kept = inspect_folder(tmp_path, files).accept(leave_out=["duplicate"])
    assert [row.name for row in kept] == ["test/nv/1.jpg", "train/nv/2.jpg"]


def test_copies_within_one_lesion_are_told_and_stay(tmp_path: Path) -> None:
    pictures = ham10000_pictures()
    pictures["ISIC_0000002.jpg"] = pictures["ISIC_0000001.jpg"]
    inspection = inspect_pictures(read_ham10000(write_ham10000(tmp_path, pictures=pictures)).rows)
    assert found(inspection) == []
    assert inspection.copies == ("ISIC_0000002.jpg",)
    assert len(inspection.accept()) == len(ROWS)


def test_copies_in_two_lesions_are_duplicates(tmp_path: Path) -> None:
    pictures = ham10000_pictures()
    pictures["ISIC_0000004.jpg"] = pictures["ISIC_0000003.jpg"]
    inspection = inspect_pictures(read_ham10000(write_ham10000(tmp_path, pictures=pictures)).rows)
    assert found(inspection) == [("duplicate", "ISIC_0000004.jpg")]


def test_a_picture_that_the_table_lists_twice_is_a_duplicate_even_of_one_lesion(tmp_path: Path) -> None:
    source = read_ham10000(write_ham10000(tmp_path, rows=(*ROWS, ROWS[0])))
    inspection = inspect_pictures(source.rows)
    assert found(inspection) == [("duplicate", "ISIC_0000001.jpg")]
    assert len(inspection.accept(leave_out=["duplicate"])) == len(ROWS)


def test_bad_pictures_stop_the_run_with_counts_names_and_the_way_on(tmp_path: Path) -> None:
    bad = {f"nv/bad {number:02d}.jpg": b"text" for number in range(13)}
    inspection = inspect_folder(tmp_path, {**bad, "nv/1.jpg": jpeg(1), "nv/2.jpg": jpeg(1)})
    with pytest.raises(DatasetError) as caught:
        inspection.accept()
    message = str(caught.value)
    assert "13 unreadable (nv/bad 00.jpg, " in message
    assert "nv/bad 09.jpg and 3 more)" in message
    assert "1 duplicate (nv/2.jpg)" in message
    assert message.endswith("--leave-out unreadable,duplicate.")
    with pytest.raises(DatasetError, match=r"--leave-out duplicate\."):
        inspection.accept(leave_out=["unreadable"])
    assert [row.name for row in inspection.accept(leave_out=["unreadable", "duplicate"])] == ["nv/1.jpg"]


def test_an_unknown_kind_is_refused_and_so_is_a_source_with_nothing_good(tmp_path: Path) -> None:
    inspection = inspect_folder(tmp_path, {"nv/1.jpg": b""})
    with pytest.raises(ConfigError, match="Did you mean 'missing'"):
        inspection.accept(leave_out=["mising"])
    with pytest.raises(DatasetError, match="None of the 1 pictures"):
        inspection.accept(leave_out=KINDS)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_findings_do_not_depend_on_the_number_of_workers(tmp_path: Path, workers: int) -> None:
    files = class_folders("nv", "mel", each=40)
    files.update({"nv/a.jpg": files["nv/7.jpg"], "mel/b.jpg": b"", "nv/c.jpg": files["mel/3.jpg"]})
    rows = read_image_folder(write_files(tmp_path, files)).rows
    assert inspect_pictures(rows, workers=workers) == inspect_pictures(rows)
    assert len(inspect_pictures(rows, workers=workers).problems) == 4


def test_progress_is_told_of_every_picture(tmp_path: Path) -> None:
    told = []

    def progress(iterable, total, description):  # type: ignore[no-untyped-def]
        told.append((total, description))
        for item in iterable:
            told.append(item)
            yield item

    rows = read_image_folder(write_files(tmp_path, class_folders("nv", each=3))).rows
    inspect_pictures(rows, progress=progress)
    assert told[0] == (3, "checking pictures")
    assert len(told) == 4


def test_the_real_ham10000_has_nothing_missing_and_copies_only_within_lesions(
    real_ham10000: Source,
) -> None:
    inspection = inspect_pictures(real_ham10000.rows)
    assert found(inspection) == []
    assert inspection.copies == ("ISIC_0029861.jpg", "ISIC_0029938.jpg")


def test_the_real_benign_malignant_set_has_one_duplicate(test_data: Path) -> None:
    inspection = inspect_pictures(read_image_folder(test_data / "isic_malignant_benign" / "train.zip").rows)
    assert found(inspection) == [("duplicate", "train/malignant/769.jpg")]
