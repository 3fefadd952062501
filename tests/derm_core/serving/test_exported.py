"""exported.py: a predictor of an ONNX file, which answers as the model does, and refuses what does not belong to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from derm_core.errors import BundleError
from derm_core.serving.bundle import Bundle
from derm_core.serving.description import DESCRIPTION_FILE
from derm_core.serving.export import export_model
from derm_core.serving.exported import MODEL_FILE, load_exported
from derm_core.serving.predictor import Predictor
from tests.tiny_bundle import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    with tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny") as made:
        yield made


@pytest.fixture(scope="module")
def folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("exported")
    export_model(bundle, "onnx", place / MODEL_FILE)
    shutil.copyfile(bundle.folder / DESCRIPTION_FILE, place / DESCRIPTION_FILE)
    return place


def test_it_answers_and_explains_as_the_model_does(
    bundle: Bundle, folder: Path, tiny_pictures: list[Path]
) -> None:
    exported, model = load_exported(folder, threads=1), Predictor(bundle)
    assert exported.runtime.name == "onnxruntime"
    for picture, answer in zip(tiny_pictures, exported.predict_many(tiny_pictures), strict=True):
        wanted = model.explain_all(picture)
        assert answer.probabilities == pytest.approx(dict(wanted.prediction.probabilities), abs=1e-5)
        assert answer.advice == wanted.prediction.advice
        found = exported.explain_all(picture)
        for code, heatmap in wanted.items():
            assert np.abs(found[code] - heatmap).max() < 1e-3
        shown = exported.explain(picture)
        assert shown.code == answer.top
        assert np.array_equal(shown.heatmap, found[answer.top])
        assert np.array_equal(exported.explain(picture, "mel").heatmap, found["mel"])


def test_a_file_that_is_missing_damaged_or_of_other_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    told = (other / DESCRIPTION_FILE).read_text("utf-8")
    digest = load_exported(folder, threads=1).description.weights_sha256
    (other / DESCRIPTION_FILE).write_text(told.replace(digest, "0" * 64), "utf-8")
    with pytest.raises(BundleError, match="other weights"):
        load_exported(other, threads=1)
    (other / MODEL_FILE).write_bytes((folder / MODEL_FILE).read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"cannot be run \(.*Export the model again"):
        load_exported(other, threads=1)
    (other / MODEL_FILE).unlink()
    with pytest.raises(BundleError, match=r"model\.onnx cannot be run"):
        load_exported(other, threads=1)
