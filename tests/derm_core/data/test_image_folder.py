"""Class folders: what they may be called, where they may stand, and what the pictures are called in the end."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from derm_core.data.image_folder import SYNONYMS, read_image_folder
from derm_core.diagnoses import DIAGNOSES
from derm_core.errors import ConfigError, DatasetError
from tests.derm_core.data.sources import class_folders, jpeg, write_files, write_zip


def diagnoses_of(folder: Path, **options: object) -> dict[str, str]:
    """The diagnosis of each path."""
    return {row.name: row.diagnosis for row in read_image_folder(folder, **options).rows}


def test_one_folder_a_class_gives_the_diagnosis_of_each_picture(tmp_path: Path) -> None:
    write_files(tmp_path, class_folders("mel", "nv", each=2))
    assert diagnoses_of(tmp_path) == {
        "mel/0.jpg": "mel",
        "mel/1.jpg": "mel",
        "nv/0.jpg": "nv",
        "nv/1.jpg": "nv",
    }


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("NV", "nv"),
        ("Melanoma", "mel"),
        ("basal_cell-carcinoma", "bcc"),
        ("Melanocytic nevi", "nv"),
        ("Actinic Keratoses and Intraepithelial Carcinoma", "akiec"),
        ("Bowen's disease", "akiec"),
        ("benign keratosis-like lesions", "bkl"),
        ("SEBORRHEIC_KERATOSIS", "bkl"),
        ("Dermatofibroma", "df"),
        ("Vascular lesions", "vasc"),
        ("Benign", "benign"),
        ("malignant", "malignant"),
    ],
)
def test_a_class_folder_may_have_the_code_the_name_or_a_synonym_in_any_case(
    tmp_path: Path, folder: str, code: str
) -> None:
    write_files(tmp_path, class_folders(folder, "df" if code != "df" else "nv", each=1))
    assert diagnoses_of(tmp_path)[f"{folder}/0.jpg"] == code


def test_no_synonym_stands_for_two_diagnoses() -> None:
    names = [name for code in DIAGNOSES for name in (code, DIAGNOSES[code].name.lower(), *SYNONYMS[code])]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert set(SYNONYMS) == set(DIAGNOSES)


def test_unknown_class_folders_are_named_and_the_known_listed(tmp_path: Path) -> None:
    write_files(tmp_path, class_folders("nv", "wart", "Squamous cell", each=1))
    with pytest.raises(DatasetError) as caught:
        read_image_folder(tmp_path)
    message = str(caught.value)
    assert "2 folders whose diagnosis is not known: Squamous cell, wart" in message
    assert "akiec (Actinic keratosis)" in message
    assert '--class "Squamous cell=CODE"' in message
    write_files(tmp_path / "one", class_folders("nv", "wart", each=1))
    with pytest.raises(DatasetError, match="a folder whose diagnosis is not known: wart"):
        read_image_folder(tmp_path / "one")


def test_a_folder_with_a_name_of_its_own_is_mapped_or_left_out(tmp_path: Path) -> None:
    write_files(tmp_path, class_folders("nv", "Klasse 7", "rest", each=1))
    source = read_image_folder(tmp_path, classes={"klasse 7": "mel", "rest": ""})
    assert {row.name: row.diagnosis for row in source.rows} == {"nv/0.jpg": "nv", "Klasse 7/0.jpg": "mel"}
    assert source.unused == ("rest/0.jpg",)
    with pytest.raises(ConfigError, match="Unknown diagnosis 'melanom'"):
        read_image_folder(tmp_path, classes={"klasse 7": "melanom"})


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "val", "test"), {"train", "val", "test"}),
        (("Training", "Validation", "Testing"), {"train", "val", "test"}),
        (("TRAIN", "valid"), {"train", "val"}),
        (("train",), {"train"}),
        (("train", "test"), {"train", "test"}),
    ],
)
def test_split_folders_above_the_classes_are_kept(
    tmp_path: Path, folders: tuple[str, ...], splits: set[str]
) -> None:
    write_files(
        tmp_path, class_folders(*(f"{split}/{name}" for split in folders for name in ("nv", "mel")), each=1)
    )
    rows = read_image_folder(tmp_path).rows
    assert {row.split for row in rows} == splits
    assert all(row.split[:2] == row.name[:2].lower() for row in rows)
    assert Counter(row.diagnosis for row in rows) == {"nv": len(folders), "mel": len(folders)}


def test_without_split_folders_no_split_is_claimed(tmp_path: Path) -> None:
    assert {
        row.split for row in read_image_folder(write_files(tmp_path, class_folders("nv", "mel"))).rows
    } == {""}


@pytest.mark.parametrize("around", ["", "data/", "archive/isic set/"])
def test_a_zip_archive_and_its_unpacked_folder_are_read_alike(tmp_path: Path, around: str) -> None:
    files = {
        around + name: content
        for name, content in class_folders("train/benign", "train/malignant", "test/benign").items()
    }
    unpacked = read_image_folder(write_files(tmp_path / "set", files))
    packed = read_image_folder(write_zip(tmp_path / "set.zip", files))
    assert unpacked.name == packed.name == "set"
    keys = [
        [(row.image, row.diagnosis, row.split, row.file.read_bytes()) for row in source.rows if row.file]
        for source in (unpacked, packed)
    ]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 15
    assert {split for _, _, split, _ in keys[0]} == {"train", "test"}


def test_one_class_folder_alone_is_a_class_and_not_passed_over(tmp_path: Path) -> None:
    write_files(tmp_path, class_folders("nv", each=2))
    assert set(diagnoses_of(tmp_path).values()) == {"nv"}


def test_pictures_in_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    write_files(tmp_path, class_folders("mel/patient 1", "mel/patient 2", "nv", each=1))
    assert diagnoses_of(tmp_path)["mel/patient 2/0.jpg"] == "mel"


def test_pictures_of_no_class_and_split_folders_beside_class_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no folders that name their classes"):
        read_image_folder(write_files(tmp_path / "a", {"1.jpg": jpeg(1)}))
    with pytest.raises(DatasetError, match=r"under train, val or test and 1 beside them: nv/0\.jpg"):
        read_image_folder(write_files(tmp_path / "b", class_folders("train/nv", "nv", each=1)))
    with pytest.raises(DatasetError, match="holds no pictures"):
        read_image_folder(write_files(tmp_path / "c", {"nv/notes.txt": b"none"}))


def test_a_folder_that_holds_the_archive_says_that_it_is_the_one_to_name(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "set", {"train.zip": b""})
    with pytest.raises(
        DatasetError, match=r"holds no pictures.*It holds train\.zip: name that, or unpack it\."
    ):
        read_image_folder(folder)


def test_files_that_are_no_pictures_are_told_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    files = {
        "nv/a.jpg": jpeg(1),
        "mel/b.PNG": jpeg(2),
        "about.txt": b"",
        "nv/c.gif": b"",
        "stray.jpg": jpeg(3),
    }
    hidden = {"nv/.DS_Store": b"", "__MACOSX/nv/._a.jpg": b"", "nv/Thumbs.db": b"", ".cache/nv/a.jpg": b""}
    source = read_image_folder(write_files(tmp_path, {**files, **hidden}))
    assert [row.name for row in source.rows] == ["mel/b.PNG", "nv/a.jpg"]
    assert source.unused == ("about.txt", "nv/c.gif", "stray.jpg")


def test_names_are_kept_where_they_are_alone_and_get_their_folders_where_not(tmp_path: Path) -> None:
    files = {
        "train/nv/1.jpg": b"",
        "train/mel/1.jpg": b"",
        "test/mel/1.JPG": b"",
        "train/nv/ISIC_0024306.jpg": b"",
    }
    rows = read_image_folder(write_files(tmp_path, files)).rows
    assert {row.name: row.image for row in rows} == {
        "train/nv/1.jpg": "train-nv-1.jpg",
        "train/mel/1.jpg": "train-mel-1.jpg",
        "test/mel/1.JPG": "test-mel-1.jpg",
        "train/nv/ISIC_0024306.jpg": "ISIC_0024306.jpg",
    }


def test_names_are_safe_unique_and_not_too_long_whatever_the_files_are_called(tmp_path: Path) -> None:
    stems = [
        "läsion 1",
        "lasion?1",
        "-..a",
        "-rf",
        "con",
        "x" * 200,
        "a:b",
        "Ä",
        "ö",
        "emoji 🔬",
        "a b",
        "a_b",
    ]
    files = {f"{folder}/{stem}.jpg": b"" for folder in ("nv", "mel") for stem in stems}
    files["nv/nv-a_b.jpg"] = b""
    names = [row.image for row in read_image_folder(write_files(tmp_path, files)).rows]
    assert len(names) == len(files)
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,130}\.jpg", name), name
        assert name.partition(".")[0].lower() != "con"


def test_an_umlaut_gives_the_same_name_however_the_file_system_writes_it(tmp_path: Path) -> None:
    names = [
        read_image_folder(write_files(tmp_path / form, {f"nv/{name}.jpg": b""})).rows[0].image
        for form, name in (("composed", "l\u00e4sion"), ("decomposed", "la\u0308sion"))
    ]
    assert names == ["lasion.jpg", "lasion.jpg"]


def test_names_do_not_depend_on_what_lies_around_the_classes(tmp_path: Path) -> None:
    files = class_folders("nv", "mel")
    plain = read_image_folder(write_files(tmp_path / "a", files))
    wrapped = read_image_folder(write_files(tmp_path / "b" / "data" / "v2", files).parents[1])
    assert [row.image for row in plain.rows] == [row.image for row in wrapped.rows]


def test_the_public_benign_malignant_set_is_read_from_its_zip(test_data: Path) -> None:
    rows = read_image_folder(test_data / "isic_malignant_benign" / "train.zip").rows
    assert Counter(row.diagnosis for row in rows) == {"benign": 1157, "malignant": 1072}
    assert {row.split for row in rows} == {"train"}
