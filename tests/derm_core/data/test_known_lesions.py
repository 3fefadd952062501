"""Lesion ids that a set of pictures takes from another one that holds the same photographs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from derm_core.data.image_folder import read_image_folder
from derm_core.data.known_lesions import adopt_lesions
from derm_core.data.source import Source
from derm_core.errors import DatasetError
from tests.derm_core.data.drawn import lesion


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A folder with two benign pictures, a and b, that knows no lesion ids but its own names."""
    folder = tmp_path / "known" / "benign"
    folder.mkdir(parents=True)
    for name, seed in (("a", 1), ("b", 2)):
        lesion(seed, size=(200, 150)).save(folder / f"{name}.jpg", quality=92)
    return folder.parent


def strange(tmp_path: Path) -> Source:
    """a smaller and recompressed, a mirrored copy of a third picture beside it, and a fourth picture."""
    folder = tmp_path / "other" / "malignant"
    folder.mkdir(parents=True)
    picture = lesion(1, size=(200, 150))
    picture.resize((picture.width // 2, picture.height // 2)).save(folder / "small.jpg", quality=70)
    third = lesion(3, size=(200, 150))
    third.save(folder / "third.jpg", quality=92)
    third.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mirrored.jpg", quality=92)
    lesion(4, size=(200, 150)).save(folder / "fourth.jpg", quality=92)
    return read_image_folder(folder.parent)


def lesions_of(source: Source) -> dict[str, str]:
    return {Path(row.name).stem: row.lesion_id for row in source.rows}


def test_a_copy_gets_the_lesion_of_what_it_copies(tmp_path: Path, known: Path) -> None:
    found = lesions_of(adopt_lesions(strange(tmp_path), known, workers=1))
    assert found["small"] == "a.jpg"
    assert found["fourth"] == ""


def test_copies_within_the_set_share_a_lesion(tmp_path: Path, known: Path) -> None:
    found = lesions_of(adopt_lesions(strange(tmp_path), known, workers=1))
    assert found["third"] == found["mirrored"] != ""


def test_nothing_else_is_changed(tmp_path: Path, known: Path) -> None:
    source = strange(tmp_path)
    adopted = adopt_lesions(source, known, workers=1)
    assert [(row.image, row.diagnosis, row.file) for row in adopted.rows] == [
        (row.image, row.diagnosis, row.file) for row in source.rows
    ]


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere"):
        adopt_lesions(strange(tmp_path), tmp_path / "nowhere", workers=1)
