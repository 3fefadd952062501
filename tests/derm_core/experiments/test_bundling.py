from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from derm_core.data.table import Dataset
from derm_core.errors import BundleError, CheckpointError
from derm_core.evaluation.calibration import fit_temperature
from derm_core.experiments.bundling import make_bundle
from derm_core.serving.bundle import load_bundle
from derm_core.serving.predictor import load_predictor
from derm_core.training.checkpoint import load_best
from tests.derm_core.experiments.conftest import TinyRuns


def test_the_chosen_size_travels_in_the_bundle(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    make_bundle([tiny_runs.long], tiny_runs.dataset, tmp_path / "b", name="tiny", version="1", image_size=64)
    assert load_bundle(tmp_path / "b").description.preprocessing.image_size == 64


def test_the_bundle_answers_as_the_best_epoch_does(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    description = make_bundle([tiny_runs.long], tiny_runs.dataset, tmp_path / "b", name="tiny", version="7")
    state, bundle = load_best(tiny_runs.long)["model"], load_bundle(tmp_path / "b")
    assert (description.name, description.version) == ("tiny", "7")
    assert set(state) == set(bundle.model_state)
    for name, tensor in bundle.model_state.items():
        np.testing.assert_allclose(tensor.numpy(), state[name].numpy(), rtol=1e-3, atol=1e-6)
    subset = tiny_runs.dataset.subset("val")
    answers = list(
        load_predictor(tmp_path / "b").predict_many(subset.image_path(i) for i in range(len(subset)))
    )
    assert all(answer.model_sha256 == description.weights_sha256 for answer in answers)
    assert all(abs(sum(answer.probabilities.values()) - 1) < 1e-9 for answer in answers)


def test_temperature_and_operating_points_are_those_of_the_validation_split(
    tiny_runs: TinyRuns, tmp_path: Path
) -> None:
    description = make_bundle([tiny_runs.short], tiny_runs.dataset, tmp_path / "b", name="tiny", version="1")
    subset = tiny_runs.dataset.subset("val")
    answers = list(
        load_predictor(tmp_path / "b").predict_many(subset.image_path(i) for i in range(len(subset)))
    )
    probabilities = np.array(
        [[answer.probabilities[code] for code in description.classes] for answer in answers]
    )
    labels = np.array([description.classes.index(code) for code in subset.table["diagnosis"]])
    # Fitted once more on calibrated answers, the temperature has nothing left to do.
    assert fit_temperature(np.log(probabilities.clip(1e-300)), labels) == pytest.approx(1.0, abs=1e-3)
    malignant = subset.table["diagnosis"].to_numpy() == "mel"
    risk = np.array([answer.malignant_probability for answer in answers])
    names = [point.name for point in description.operating_points]
    assert names == ["sensitivity-0.95", "sensitivity-0.90"]
    assert description.default_operating_point == "sensitivity-0.95"
    for point, wanted in zip(description.operating_points, (0.95, 0.90), strict=True):
        assert (risk[malignant] >= point.threshold).mean() >= wanted
        # One step higher, and too few would be found.
        assert (risk[malignant] > point.threshold).mean() < wanted


def test_operating_points_are_measured_on_the_test_split(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    description = make_bundle([tiny_runs.short], tiny_runs.dataset, tmp_path / "b", name="tiny", version="1")
    subset = tiny_runs.dataset.subset("test")
    answers = load_predictor(tmp_path / "b").predict_many(subset.image_path(i) for i in range(len(subset)))
    risk = np.array([answer.malignant_probability for answer in answers])
    malignant = subset.table["diagnosis"].to_numpy() == "mel"
    for point in description.operating_points:
        referred = risk >= point.threshold
        assert point.sensitivity == pytest.approx(referred[malignant].mean())
        assert point.specificity == pytest.approx(1 - referred[~malignant].mean())
        assert (point.lesions, point.photographs) == (12, 12)
        assert point.measured_on.startswith("test split of")
    assert description.metrics["sensitivity_at_operating_point"] == description.operating_point.sensitivity


def test_the_card_and_the_metrics_come_from_the_test_split(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    description = make_bundle(
        [tiny_runs.long],
        tiny_runs.dataset,
        tmp_path / "b",
        name="tiny",
        version="1",
        evaluate_command="measure it",
    )
    assert description.metrics["data"]["split"] == "test"
    assert description.metrics["n"] == 12
    card = (tmp_path / "b" / "MODEL_CARD.md").read_text("utf-8")
    assert f"{description.metrics['accuracy']:.3f}" in card
    assert "measure it" in card
    assert description.weights_sha256 in card
    assert description.training["command"].startswith("scripts/train.py long --set ")
    assert description.data["counts"]["photographs trained on"] == 48
    assert json.loads((tmp_path / "b" / "model.json").read_text("utf-8"))["metrics"] == description.metrics


def test_without_a_test_split_the_bundle_claims_nothing(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    table = tiny_runs.dataset.table
    without = dataclasses.replace(tiny_runs.dataset, table=table.replace({"split": {"test": "other"}}))
    run = _rebranded(tiny_runs.long, tmp_path / "run", without)
    description = make_bundle([run], without, tmp_path / "b", name="tiny", version="1")
    assert description.metrics == {}
    assert description.operating_point.measured_on == "val split of dataset, on which the threshold was set"


def test_a_run_without_its_best_epoch_is_refused(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_runs.short, run)
    (run / "best.pt").unlink()
    with pytest.raises(CheckpointError, match=r"best\.pt is missing"):
        make_bundle([run], tiny_runs.dataset, tmp_path / "b", name="tiny", version="1")
    assert not (tmp_path / "b").exists()


def test_an_existing_bundle_is_kept_unless_told_otherwise(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(BundleError, match="exists already"):
        make_bundle([tiny_runs.long], tiny_runs.dataset, tmp_path / "b", name="tiny", version="1")
    make_bundle([tiny_runs.long], tiny_runs.dataset, tmp_path / "b", name="tiny", version="1", overwrite=True)
    assert load_bundle(tmp_path / "b").description.name == "tiny"


def _rebranded(run: Path, target: Path, dataset: Dataset) -> Path:
    """Copies a run so that it counts as trained on another table of the same pictures."""
    shutil.copytree(run, target)
    config = target / "config.toml"
    lines = config.read_text("utf-8").splitlines()
    lines = [
        f'data_fingerprint = "{dataset.fingerprint()}"' if line.startswith("data_fingerprint") else line
        for line in lines
    ]
    config.write_text("\n".join(lines) + "\n", "utf-8")
    return target
