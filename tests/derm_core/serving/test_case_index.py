"""The index as a folder: what goes in comes out, and what was altered or made by another model is refused."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_core.data.table import COLUMNS, Dataset, write_dataset
from derm_core.errors import DatasetError
from derm_core.serving.case_index import (
    CASES_FILE,
    INDEX_FILE,
    VECTORS_FILE,
    index_cases,
    load_similar_cases,
    save_similar_cases,
)
from derm_core.serving.predictor import Predictor
from derm_core.serving.similar_cases import SimilarCases, unit_vectors

from .conftest import draw_lesion


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Nine photographs of six lesions, one of them without a lesion_id; two are validation."""
    rows, contents = [], []
    for number in range(9):
        rows.append(
            {
                "image": f"p{number}.jpg",
                "diagnosis": ("nv", "mel", "bcc")[number // 2 % 3],
                "lesion_id": "" if number == 8 else f"L{number // 2}" if number < 7 else "L7",
                "age": 30.0 + number if number else np.nan,
                "sex": "male",
                "site": "back",
                "confirmed_by": "histo" if number != 4 else "",
                "split": "val" if number in (6, 8) else "train",
            }
        )
        stream = io.BytesIO()
        draw_lesion((240, 180), seed=number).save(stream, "JPEG")
        contents.append(stream.getvalue())
    folder = tmp_path_factory.mktemp("datasets") / "clinic"
    return write_dataset(folder, pd.DataFrame(rows, columns=list(COLUMNS)), contents)


@pytest.fixture(scope="module")
def index(predictor: Predictor, dataset: Dataset) -> SimilarCases:
    return index_cases(predictor, dataset)


@pytest.fixture
def saved(index: SimilarCases, tmp_path: Path) -> Path:
    save_similar_cases(index, tmp_path / "index")
    return tmp_path / "index"


def test_an_index_holds_every_photograph_with_what_the_predictor_sees(
    index: SimilarCases, predictor: Predictor, dataset: Dataset
) -> None:
    assert len(index) == 9
    assert list(index.cases["image_path"]) == [f"images/p{number}.jpg" for number in range(9)]
    assert list(index.cases["lesion"]) == list(dataset.lesions)
    seen = np.stack([predictor.features(dataset.image_path(row)) for row in range(9)])
    assert np.array_equal(index.vectors, unit_vectors(seen))
    assert index.model == {
        "name": "tiny",
        "version": "1.2",
        "sha256": predictor.description.weights_sha256,
    }
    assert index.data == {"name": "clinic", "split": "", "fingerprint": dataset.fingerprint()}


def test_the_features_beside_an_explanation_are_those_of_the_photograph(
    predictor: Predictor, dataset: Dataset
) -> None:
    path = dataset.image_path(0)
    assert np.array_equal(predictor.explain(path).features, predictor.features(path))


def test_a_photograph_of_the_index_finds_itself_unless_its_lesion_is_named(
    index: SimilarCases, predictor: Predictor, dataset: Dataset
) -> None:
    for row in (0, 3, 8):
        features = predictor.features(dataset.image_path(row))
        first = index.query(features, k=1, confirmed_only=False)[0]
        assert first.image_path == f"images/p{row}.jpg"
        assert first.similarity == pytest.approx(1, abs=1e-5)
        lesion = str(dataset.lesions[row])
        others = index.query(features, k=9, lesion_id=lesion, confirmed_only=False)
        assert len(others) == len(set(dataset.lesions)) - 1
        assert lesion not in [case.lesion_id or f"image:{Path(case.image_path).name}" for case in others]


def test_thumbnails_are_small_jpegs_or_none(
    index: SimilarCases, predictor: Predictor, dataset: Dataset
) -> None:
    with Image.open(io.BytesIO(index.cases["thumbnail"][0])) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (192, 144))
    bare = index_cases(predictor, dataset, split="val", thumbnail_side=0)
    assert list(bare.cases["thumbnail"]) == [b"", b""]
    assert list(bare.cases["image_path"]) == ["images/p6.jpg", "images/p8.jpg"]


def test_what_is_saved_is_loaded(index: SimilarCases, saved: Path, predictor: Predictor) -> None:
    assert sorted(path.name for path in saved.iterdir()) == sorted([INDEX_FILE, CASES_FILE, VECTORS_FILE])
    loaded = load_similar_cases(saved, predictor.description)
    assert np.array_equal(loaded.vectors, index.vectors)
    assert (loaded.model, loaded.data) == (index.model, index.data)
    features = predictor.features(draw_lesion((200, 150), seed=50))
    assert loaded.query(features, k=6) == index.query(features, k=6)


def test_an_index_of_another_model_is_refused(saved: Path, predictor: Predictor) -> None:
    other = dataclasses.replace(predictor.description, name="other", weights_sha256="b" * 64)
    with pytest.raises(DatasetError, match=r"made with the model tiny 1\.2 .* answers is other .*Build"):
        load_similar_cases(saved, other)


@pytest.mark.parametrize("name", [CASES_FILE, VECTORS_FILE])
def test_an_altered_file_is_noticed(saved: Path, predictor: Predictor, name: str) -> None:
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(DatasetError, match="altered or cut short"):
        load_similar_cases(saved, predictor.description)
    (saved / name).unlink()
    with pytest.raises(DatasetError, match="cannot be read"):
        load_similar_cases(saved, predictor.description)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format_version": 1}', "damaged"),
        (None, "has the format 99, and this program reads 1"),
    ],
)
def test_a_strange_description_is_one_sentence(
    saved: Path, predictor: Predictor, content: str | None, sentence: str
) -> None:
    about = json.loads((saved / INDEX_FILE).read_text())
    (saved / INDEX_FILE).write_text(content or json.dumps(about | {"format_version": 99}))
    with pytest.raises(DatasetError, match=sentence):
        load_similar_cases(saved, predictor.description)


def test_a_folder_that_is_no_index_is_refused(tmp_path: Path, predictor: Predictor) -> None:
    with pytest.raises(DatasetError, match=r"no index of similar cases: it has no index\.json"):
        load_similar_cases(tmp_path, predictor.description)


def test_only_an_index_is_replaced_and_only_when_asked(
    index: SimilarCases, saved: Path, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="exists already"):
        save_similar_cases(index, saved)
    save_similar_cases(index, saved, overwrite=True)
    (tmp_path / "photos").mkdir()
    with pytest.raises(DatasetError, match="is no index of similar cases and is not replaced"):
        save_similar_cases(index, tmp_path / "photos", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "photos"]


def test_a_photograph_that_cannot_be_read_ends_the_build(
    predictor: Predictor, dataset: Dataset, tmp_path: Path
) -> None:
    contents = [dataset.image_path(row).read_bytes() for row in range(len(dataset))]
    broken = write_dataset(tmp_path / "broken", dataset.table, [*contents[:4], b"no picture", *contents[5:]])
    with pytest.raises(DatasetError, match=r"p4\.jpg cannot be indexed: p4\.jpg is not a picture"):
        index_cases(predictor, broken)
