"""A network in fewer bits answers where no metric fell: made of a small one, kept beside its bundle, and told of."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quantise

from derm_core.errors import BundleError, ConfigError
from derm_core.serving import runtime_choice
from derm_core.serving.agreement import Agreement
from derm_core.serving.bundle import Bundle
from derm_core.serving.loading import load_predictor
from derm_core.serving.machine import multiplies
from derm_core.serving.quantised import (
    METRICS,
    Quantised,
    QuantisedFigures,
    read_quantised,
    write_quantised,
)
from derm_core.serving.quantising import check_machine
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


def measured_by_script(
    model: Path, data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str
) -> dict[str, Any]:
    """Returns what quantise.py writes of a model; it must be offered."""
    named = ["--model", str(model), "--data", str(data), "--threads", "1"]
    out = folder / "figures.json"
    monkeypatch.setattr(sys, "argv", ["quantise.py", *named, *options, "--json", str(out)])
    assert quantise.main() is None
    figures: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return figures


def test_a_metric_falls_by_more_than_its_slack() -> None:
    assert FIGURES.fallen == ()
    assert replace(FIGURES, after=SAME | {"macro_f1": 0.899, "accuracy": 0.95}).fallen == ()
    assert replace(FIGURES, after=SAME | {"macro_f1": 0.897}).fallen == ("macro_f1",)
    assert replace(FIGURES, after=SAME | {"macro_auc": float("nan")}).fallen == ("macro_auc",)
    assert replace(FIGURES, before=SAME | {"macro_auc": None}, after=SAME | {"macro_auc": None}).fallen == ()
    told = replace(FIGURES, after=SAME | {"macro_f1": 0.8}).sentence()
    assert told.endswith(
        "95.0% have the same top class, heatmaps correlate by 0.9000 or more, and these metrics fell "
        "(macro f1 0.9000 to 0.8000)"
    )
    assert "probabilities differ by up to 0.125, heatmaps" in replace(FIGURES, moved=0.125).sentence()


def test_one_photograph_at_the_threshold_does_not_speak_against_a_network_that_agrees() -> None:
    near = Agreement(812, 1.0, 0.02, 0.9995)
    fallen = replace(
        FIGURES, after=SAME | {"sensitivity_at_operating_point": 0.894}, agreement=near, moved=0.002
    )
    assert fallen.fallen == ("sensitivity_at_operating_point",)
    assert fallen.offered
    assert "and it agrees, though these metrics fell (sensitivity" in fallen.sentence()
    assert not replace(fallen, moved=0.011).offered
    assert not replace(fallen, moved=None).offered
    assert not replace(fallen, agreement=replace(near, same_top=0.998)).offered
    assert not replace(fallen, agreement=replace(near, correlation=0.998)).offered
    assert not replace(fallen, agreement=replace(near, pictures=499)).offered


def test_what_was_made_is_read_again_for_the_very_weights(tmp_path: Path) -> None:
    made = Quantised(FIGURES, (b"layers", b"weights"))
    assert write_quantised(tmp_path, made) == tmp_path / "int8"
    assert read_quantised(tmp_path, "a" * 64, "int8") == made
    assert read_quantised(tmp_path, "a" * 64, "bf16") is None
    assert read_quantised(tmp_path, "b" * 64, "int8") is None
    (tmp_path / "int8" / "network.bin").write_bytes(b"altered")
    with pytest.raises(
        BundleError, match=r"altered or cut short. Make it with scripts/quantise\.py --precision int8"
    ):
        read_quantised(tmp_path, "a" * 64, "int8")


def test_figures_of_earlier_versions_are_read(tmp_path: Path) -> None:
    folder = write_quantised(tmp_path, Quantised(FIGURES, (b"layers", b"weights")))
    values = json.loads((folder / "figures.json").read_text("utf-8"))
    del values["precision"], values["moved"]
    (folder / "figures.json").write_text(json.dumps(values), "utf-8")
    assert read_quantised(tmp_path, "a" * 64, "int8") == Quantised(FIGURES, (b"layers", b"weights"))


def test_in_bf16_the_figures_are_all_that_is_kept(tmp_path: Path) -> None:
    made = Quantised(replace(FIGURES, precision="bf16"))
    folder = write_quantised(tmp_path, made)
    assert folder == tmp_path / "bf16"
    assert [path.name for path in folder.iterdir()] == ["figures.json"]
    assert read_quantised(tmp_path, "a" * 64, "bf16") == made
    assert made.offered
    assert made.figures.form.name == "openvino-bf16-after-30"
    write_quantised(tmp_path, Quantised(replace(made.figures, exact=0.31)))
    with pytest.raises(
        BundleError, match=r"is damaged .* Make it with scripts/quantise\.py --precision bf16"
    ):
        read_quantised(tmp_path, "a" * 64, "bf16")


def test_of_a_network_whose_metrics_fell_the_figures_alone_are_kept(tmp_path: Path) -> None:
    fallen = replace(FIGURES, after=SAME | {"accuracy": 0.5})
    folder = write_quantised(tmp_path, Quantised(fallen, (b"layers", b"weights")))
    assert [path.name for path in folder.iterdir()] == ["figures.json"]
    assert read_quantised(tmp_path, "a" * 64, "int8") == Quantised(fallen)


def test_int8_answers_where_no_metric_fell_and_auto_asks_for_agreement_too(
    bundle: Bundle, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf")
    monkeypatch.setattr("derm_core.serving.quantised.MOST_FALL", 1.0)
    dataset = coloured_dataset(tmp_path / "set", train=12, valid=9, size=(120, 100))
    figures = measured_by_script(copied, dataset.folder, tmp_path, monkeypatch, "--pictures", "6")
    assert figures["offered"]
    assert 0.001 < figures["moved"] < 0.6
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


def test_bf16_that_was_measured_answers_where_it_is_asked_for_by_its_name(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    if not multiplies("bf16"):
        pytest.skip("the processor multiplies no bfloat16 numbers")
    monkeypatch.setattr("derm_core.serving.quantised.MOST_FALL", 1.0)
    dataset = coloured_dataset(tmp_path / "set", train=0, valid=9, size=(120, 100))
    figures = measured_by_script(copied, dataset.folder, tmp_path, monkeypatch, "--precision", "bf16")
    assert (figures["precision"], figures["exact"], figures["offered"]) == ("bf16", 0.0, True)
    assert figures["data"]["calibration_pictures"] == 0
    assert figures["versions"].keys() == {"openvino"}
    photograph = draw_lesion((300, 225))
    wanted = load_predictor(copied, runtime="eager").predict(photograph)
    predictor = load_predictor(copied, runtime="openvino-bf16", threads=1)
    assert predictor.runtime.name == "openvino-bf16"
    assert "on 9 pictures of set, val" in predictor.runtime.reason
    assert dict(predictor.predict(photograph).probabilities) == pytest.approx(
        dict(wanted.probabilities), abs=0.3
    )


def test_bf16_is_for_processors_that_multiply_it(
    copied: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr("derm_core.serving.compiled.multiplies", lambda precision: False)
    sentence = r"openvino-bf16 needs a processor that multiplies bf16 numbers itself, .* the runtime auto"
    with pytest.raises(ConfigError, match=sentence):
        check_machine("bf16")
    figures = replace(FIGURES, weights_sha256=bundle.description.weights_sha256, precision="bf16", exact=0.0)
    write_quantised(copied, Quantised(figures))
    with pytest.raises(ConfigError, match=sentence):
        load_predictor(copied, runtime="openvino-bf16")


def test_bf16_is_not_calibrated(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", str(copied), "--data", "set", "--precision", "bf16", "--pictures", "6"]
    monkeypatch.setattr(sys, "argv", ["quantise.py", *options])
    with pytest.raises(SystemExit):
        quantise.main()
    assert "bf16 is not calibrated: leave out --calibrate-on and --pictures" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_what_was_not_made_or_not_offered_says_so(copied: Path, bundle: Bundle, precision: str) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(
        ConfigError, match=rf"nobody made or measured yet. .*quantise\.py --precision {precision}"
    ):
        load_predictor(copied, runtime=f"openvino-{precision}")
    sha256 = bundle.description.weights_sha256
    fallen = replace(FIGURES, weights_sha256=sha256, after=SAME | {"accuracy": 0.5}, precision=precision)
    write_quantised(copied, Quantised(fallen))
    with pytest.raises(ConfigError, match=r"these metrics fell \(accuracy 0.9000 to 0.5000\)"):
        load_predictor(copied, runtime=f"openvino-{precision}")
