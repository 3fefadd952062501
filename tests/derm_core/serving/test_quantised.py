"""A network in int8 answers where no metric fell: made of a small network, kept beside its bundle, and told of."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import quantise

from derm_core.errors import BundleError, ConfigError
from derm_core.serving import runtime_choice
from derm_core.serving.agreement import Agreement
from derm_core.serving.bundle import Bundle
from derm_core.serving.loading import load_predictor
from derm_core.serving.quantised import (
    METRICS,
    Quantised,
    QuantisedFigures,
    read_quantised,
    write_quantised,
)
from tests.derm_core.data.coloured import coloured_dataset
from tests.tiny_bundle import tiny_bundle

from .conftest import draw_lesion

SAME = dict.fromkeys(METRICS, 0.9)
FIGURES = QuantisedFigures(
    "a" * 64, 0.3, SAME, SAME, Agreement(20, 0.95, 0.1, 0.9), {"name": "drawn", "split": "val"}, {"nncf": "3"}
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    with tiny_bundle(tmp_path_factory.mktemp("quantised") / "tiny") as made:
        yield made


@pytest.fixture
def copied(bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.folder, tmp_path / "tiny"))


def test_a_metric_falls_by_more_than_its_slack() -> None:
    assert FIGURES.fallen == ()
    assert replace(FIGURES, after=SAME | {"macro_f1": 0.899, "accuracy": 0.95}).fallen == ()
    assert replace(FIGURES, after=SAME | {"macro_f1": 0.897}).fallen == ("macro_f1",)
    assert replace(FIGURES, after=SAME | {"macro_auc": float("nan")}).fallen == ("macro_auc",)
    assert replace(FIGURES, before=SAME | {"macro_auc": None}, after=SAME | {"macro_auc": None}).fallen == ()
    told = replace(FIGURES, after=SAME | {"macro_f1": 0.8}).sentence()
    assert told.endswith("95.0% have the same top class, and these metrics fell (macro f1 0.9000 to 0.8000)")


def test_what_was_made_is_read_again_for_the_very_weights(tmp_path: Path) -> None:
    made = Quantised(FIGURES, (b"layers", b"weights"))
    assert write_quantised(tmp_path, made) == tmp_path / "int8"
    assert read_quantised(tmp_path, "a" * 64) == made
    assert read_quantised(tmp_path, "b" * 64) is None
    (tmp_path / "int8" / "network.bin").write_bytes(b"altered")
    with pytest.raises(BundleError, match=r"altered or cut short. Make it again with scripts/quantise\.py"):
        read_quantised(tmp_path, "a" * 64)


def test_of_a_network_whose_metrics_fell_the_figures_alone_are_kept(tmp_path: Path) -> None:
    fallen = replace(FIGURES, after=SAME | {"accuracy": 0.5})
    folder = write_quantised(tmp_path, Quantised(fallen, (b"layers", b"weights")))
    assert [path.name for path in folder.iterdir()] == ["figures.json"]
    assert read_quantised(tmp_path, "a" * 64) == Quantised(fallen, None)


def test_int8_answers_where_no_metric_fell_and_auto_asks_for_agreement_too(
    bundle: Bundle, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf")
    monkeypatch.setattr("derm_core.serving.quantised.MOST_FALL", 1.0)
    dataset = coloured_dataset(tmp_path / "set", train=12, valid=9, size=(120, 100))
    options = ["--model", str(copied), "--data", str(dataset.folder), "--threads", "1", "--pictures", "6"]
    monkeypatch.setattr(sys, "argv", ["quantise.py", *options, "--json", str(tmp_path / "figures.json")])
    assert quantise.main() is None
    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert figures["offered"]
    assert figures["data"]["calibration_pictures"] == 6
    assert figures["agreement"]["pictures"] == 9
    assert figures["versions"].keys() == {"openvino", "nncf"}

    photograph = draw_lesion((300, 225))
    wanted = load_predictor(copied, runtime="eager").explain_all(photograph)
    predictor = load_predictor(copied, runtime="openvino-int8", threads=1)
    assert predictor.runtime.name == "openvino-int8"
    assert "on 9 pictures of set, val" in predictor.runtime.reason
    found = predictor.explain_all(photograph)
    apart = [
        abs(found.prediction.probabilities[code] - wanted.prediction.probabilities[code])
        for code in predictor.classes
    ]
    # It rounds, and a network of random weights makes much of that.
    assert 0.001 < max(apart) < 0.6
    assert np.corrcoef(found["nv"].ravel(), wanted["nv"].ravel())[0, 1] > 0.9

    monkeypatch.setattr(runtime_choice, "_forms", lambda asked: [])
    chosen = load_predictor(copied, runtime="auto", threads=1)
    (kept,) = (copied / "compiled").glob("auto-*")
    measured = json.loads((kept / "choice.json").read_text("utf-8"))["figures"]["openvino-int8"]
    agrees = Agreement(**measured["agreement"]).within(0.2)
    assert (measured["seconds"] is not None) == agrees
    assert agrees or "openvino-int8 is left out" in chosen.runtime.reason


def test_int8_that_was_not_made_or_not_offered_says_so(copied: Path, bundle: Bundle) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(ConfigError, match=r"none was made. Make one with scripts/quantise\.py"):
        load_predictor(copied, runtime="openvino-int8")
    sha256 = bundle.description.weights_sha256
    fallen = replace(FIGURES, weights_sha256=sha256, after=SAME | {"accuracy": 0.5})
    write_quantised(copied, Quantised(fallen, None))
    with pytest.raises(ConfigError, match=r"these metrics fell \(accuracy 0.9000 to 0.5000\)"):
        load_predictor(copied, runtime="openvino-int8")
