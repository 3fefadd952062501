"""The exports to TensorFlow and LiteRT: any batch, names and metadata kept, and the model's answers."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from derm_core.serving.bundle import Bundle
from derm_core.serving.export import export_model
from derm_core.serving.export_graph import OUTPUTS, export_metadata
from tests.tiny_bundle import tiny_bundle

tf = pytest.importorskip(
    "tensorflow", reason="THE EXPORTS TO TENSORFLOW ARE NOT TESTED: tensorflow is not installed"
)
pytestmark = pytest.mark.filterwarnings("ignore:::tensorflow", "ignore:::keras")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    with tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny") as made:
        yield made


def test_a_saved_model_answers_any_batch_and_says_what_it_is(bundle: Bundle, tmp_path: Path) -> None:
    agreement = export_model(bundle, "savedmodel", tmp_path / "model")
    assert agreement.difference < 1e-4
    told = json.loads((tmp_path / "model" / "assets.extra" / "metadata.json").read_text("utf-8"))
    assert told == export_metadata(bundle.description)
    answer = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    answers = answer(pixels=tf.zeros((3, 64, 64, 3), tf.uint8))
    assert set(answers) == set(OUTPUTS)
    assert answers["probabilities"].shape == (3, 7)


def test_a_litert_file_answers_any_batch_and_says_what_it_is(bundle: Bundle, tmp_path: Path) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    path = tmp_path / "model.tflite"
    agreement = export_model(bundle, "tflite", path)
    assert agreement.difference < 1e-4
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("metadata.json")) == export_metadata(bundle.description)
    runner = litert.Interpreter(str(path)).get_signature_runner()
    answers = runner(pixels=np.zeros((3, 64, 64, 3), np.uint8))
    assert set(answers) == set(OUTPUTS)
    assert answers["heatmaps"].shape[:2] == (3, 7)
