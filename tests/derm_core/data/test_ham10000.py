"""HAM10000: one answer for every layout it goes round in, and clear words where it is not whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from derm_core.data import ham10000
from derm_core.data.ham10000 import LICENCE, read_ham10000
from derm_core.data.source import Source
from derm_core.errors import DatasetError
from derm_core.serving.context import AGES
from tests.derm_core.data.sources import (
    LAYOUTS,
    ROWS,
    ham10000_pictures,
    ham10000_table,
    jpeg,
    write_files,
    write_ham10000,
    write_zip,
)


def essence(source: Source) -> list[tuple[object, ...]]:
    """Every row with the content of its picture instead of where that lies."""
    return [
        (
            row.image,
            row.file and row.file.read_bytes(),
            row.diagnosis,
            row.lesion_id,
            row.age,
            row.sex,
            row.site,
            row.confirmed_by,
        )
        for row in source.rows
    ]


def test_the_fields_of_the_table_become_those_of_a_dataset(tmp_path: Path) -> None:
    source = read_ham10000(write_ham10000(tmp_path))
    assert (source.name, source.licence, source.unused) == ("HAM10000", LICENCE, ())
    pictures = ham10000_pictures()
    assert essence(source) == [
        (
            "ISIC_0000001.jpg",
            pictures["ISIC_0000001.jpg"],
            "bkl",
            "HAM_0000001",
            80,
            "male",
            "scalp",
            "histo",
        ),
        (
            "ISIC_0000002.jpg",
            pictures["ISIC_0000002.jpg"],
            "bkl",
            "HAM_0000001",
            80,
            "male",
            "scalp",
            "histo",
        ),
        ("ISIC_0000003.jpg", pictures["ISIC_0000003.jpg"], "nv", "HAM_0000002", 0, "female", "", "follow_up"),
        (
            "ISIC_0000004.jpg",
            pictures["ISIC_0000004.jpg"],
            "nv",
            "HAM_0000003",
            None,
            "",
            "back",
            "follow_up",
        ),
        (
            "ISIC_0000005.jpg",
            pictures["ISIC_0000005.jpg"],
            "mel",
            "HAM_0000004",
            45,
            "male",
            "lower extremity",
            "consensus",
        ),
        (
            "ISIC_0000006.jpg",
            pictures["ISIC_0000006.jpg"],
            "akiec",
            "HAM_0000005",
            60,
            "female",
            "face",
            "confocal",
        ),
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_rows_and_pictures(tmp_path: Path, layout: str) -> None:
    expected = read_ham10000(write_ham10000(tmp_path / "zips"))
    assert essence(read_ham10000(write_ham10000(tmp_path / "other", layout=layout))) == essence(expected)


@pytest.mark.parametrize(
    ("table_name", "delimiter"),
    [
        ("HAM10000_metadata", ","),
        ("HAM10000_metadata", "\t"),
        ("HAM10000_metadata", ";"),
        ("HAM10000_metadata.tab", "\t"),
    ],
)
def test_every_form_of_the_table_gives_the_same_rows(tmp_path: Path, table_name: str, delimiter: str) -> None:
    expected = read_ham10000(write_ham10000(tmp_path / "csv"))
    other = write_ham10000(tmp_path / "other", table_name=table_name, delimiter=delimiter)
    assert essence(read_ham10000(other)) == essence(expected)


def test_the_table_of_the_archive_may_be_quoted_and_have_more_columns(tmp_path: Path) -> None:
    write_ham10000(tmp_path)
    (tmp_path / "HAM10000_metadata.csv").unlink()
    header, *lines = ham10000_table(delimiter="\t").decode().splitlines()
    quoted = ['"' + line.replace("\t", '"\t"') + '"\t"vidir_modern"' for line in lines]
    (tmp_path / "HAM10000_metadata.tab").write_text("\r\n".join([header + "\tdataset", *quoted]))
    assert [row.diagnosis for row in read_ham10000(tmp_path).rows] == [row[2] for row in ROWS]


def test_the_order_of_the_table_does_not_matter(tmp_path: Path) -> None:
    pictures = ham10000_pictures()
    first = read_ham10000(write_ham10000(tmp_path / "a", pictures=pictures))
    second = read_ham10000(write_ham10000(tmp_path / "b", rows=ROWS[::-1], pictures=pictures))
    assert essence(first) == essence(second)


def test_a_picture_that_is_not_there_leaves_its_row_without_a_file(tmp_path: Path) -> None:
    pictures = ham10000_pictures()
    del pictures["ISIC_0000004.jpg"]
    rows = read_ham10000(write_ham10000(tmp_path, pictures=pictures)).rows
    assert [row.image for row in rows if row.file is None] == ["ISIC_0000004.jpg"]


def test_pictures_that_the_table_does_not_list_are_told(tmp_path: Path) -> None:
    source = read_ham10000(
        write_ham10000(tmp_path, pictures={**ham10000_pictures(), "ISIC_0099999.jpg": jpeg(99)})
    )
    assert source.unused == ("ISIC_0099999.jpg",)
    assert len(source.rows) == len(ROWS)


def test_lesion_masks_in_the_same_folder_are_not_taken_for_pictures(tmp_path: Path) -> None:
    write_ham10000(tmp_path)
    write_zip(
        tmp_path / "HAM10000_segmentations_lesion_tschandl.zip",
        {"masks/ISIC_0000001_segmentation.png": b"mask"},
    )
    assert read_ham10000(tmp_path).unused == ()


def test_one_image_id_with_two_different_pictures_is_refused(tmp_path: Path) -> None:
    write_ham10000(tmp_path)
    write_files(tmp_path / "large", {"ISIC_0000001.jpg": jpeg(0, size=(600, 450))})
    with pytest.raises(DatasetError, match=r"ISIC_0000001\.jpg is in .* twice with different content"):
        read_ham10000(tmp_path)


def test_a_folder_without_a_table_or_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has no HAM10000_metadata\.csv"):
        read_ham10000(write_files(tmp_path / "a", ham10000_pictures()))
    with pytest.raises(DatasetError, match=r"has no ISIC_\*\.jpg"):
        read_ham10000(write_files(tmp_path / "b", {"HAM10000_metadata.csv": ham10000_table()}))
    with pytest.raises(DatasetError, match="does not exist"):
        read_ham10000(tmp_path / "c")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (2, "melanom", "line 2 of HAM10000_metadata.csv: Unknown diagnosis 'melanom'.*Did you mean 'mel'"),
        (4, "eighty", "line 2 .*the age is 'eighty'"),
        (4, "-1", "years from 0 to 120"),
        (4, "121", "years from 0 to 120"),
        (1, "", "lacks its image_id"),
        (0, "", "lacks its image_id or lesion_id"),
    ],
)
def test_a_value_that_is_not_ham10000s_is_refused_with_its_line(
    tmp_path: Path, column: int, value: str, message: str
) -> None:
    row = list(ROWS[0])
    row[column] = value
    with pytest.raises(DatasetError, match=message):
        read_ham10000(write_ham10000(tmp_path, rows=(tuple(row), *ROWS[1:])))


def test_a_table_without_a_column_or_not_in_utf_8_is_refused(tmp_path: Path) -> None:
    write_ham10000(tmp_path)
    table = tmp_path / "HAM10000_metadata.csv"
    table.write_bytes(ham10000_table().replace(b"lesion_id", b"lesion"))
    with pytest.raises(DatasetError, match="has no column lesion_id"):
        read_ham10000(tmp_path)
    table.write_bytes(ham10000_table().replace(b"scalp", b"sc\xe4lp"))
    with pytest.raises(DatasetError, match=r"not UTF-8.*Save it as CSV in UTF-8"):
        read_ham10000(tmp_path)


def test_a_table_of_a_header_alone_is_refused(tmp_path: Path) -> None:
    write_ham10000(tmp_path)
    (tmp_path / "HAM10000_metadata.csv").write_bytes(ham10000_table().splitlines()[0] + b"\n")
    with pytest.raises(DatasetError, match=r"HAM10000_metadata\.csv has no line below its header"):
        read_ham10000(tmp_path)


def test_no_patient_may_be_older_than_a_model_is_told_of() -> None:
    assert AGES[1] == ham10000._OLDEST


def test_an_archive_cut_short_is_refused_with_its_name(tmp_path: Path) -> None:
    write_ham10000(tmp_path)
    archive = tmp_path / "HAM10000_images_part_1.zip"
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(
        DatasetError, match=r"HAM10000_images_part_1\.zip is not a zip archive that can be read"
    ):
        read_ham10000(tmp_path)


def test_the_real_data_are_read_whole(real_ham10000: Source) -> None:
    source = real_ham10000
    assert Counter(row.diagnosis for row in source.rows) == {
        "nv": 5361,
        "mel": 888,
        "bkl": 887,
        "bcc": 411,
        "akiec": 261,
        "vasc": 111,
        "df": 93,
    }
    assert len({row.lesion for row in source.rows}) == 5975
    assert all(row.file is not None for row in source.rows)
    assert source.unused == ()
    assert sum(row.age == 0 for row in source.rows) > 0
    assert "unknown" not in {value for row in source.rows for value in (row.sex, row.site, row.confirmed_by)}
