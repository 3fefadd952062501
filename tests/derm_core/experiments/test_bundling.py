"""A run becomes a bundle: calibrated on validation pictures, measured on test ones, with and without the patient."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derm_core.data.table import Dataset
from derm_core.errors import BundleError, CheckpointError, ConfigError
from derm_core.evaluation.calibration import TEMPERATURES, fit_temperature
from derm_core.evaluation.logit_adjustment import STRENGTHS, class_adjustment
from derm_core.experiments.bundling import make_bundle
from derm_core.experiments.calibrating import STEADY
from derm_core.experiments.candidate import answer_split
from derm_core.experiments.context_fitting import fit_weight
from derm_core.serving.bundle import load_bundle
from derm_core.serving.context import contexts_of
from derm_core.serving.description import BundleDescription
from derm_core.serving.evaluation import evaluate_predictor
from derm_core.serving.loading import load_predictor
from derm_core.serving.prediction import Prediction
from derm_core.serving.predictor import Predictor
from derm_core.training.checkpoint import load_best
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.experiments.conftest import TinyRuns


@dataclasses.dataclass(frozen=True)
class Made:
    """A bundle, and the dataset that its run counts as trained on."""

    dataset: Dataset
    folder: Path
    description: BundleDescription
    predictor: Predictor

    def answers(self, split: str, *, told: bool = False) -> list[Prediction]:
        subset = self.dataset.subset(split)
        return answer_split(self.predictor, subset, contexts=contexts_of(subset) if told else ())

    def malignant(self, split: str) -> np.ndarray:
        return self.dataset.subset(split).table["diagnosis"].to_numpy() == "mel"

    def labels(self, split: str) -> np.ndarray:
        codes = self.dataset.subset(split).table["diagnosis"]
        return np.array([self.description.classes.index(code) for code in codes])


def make(run: Path, dataset: Dataset, folder: Path) -> Made:
    description = make_bundle([run], dataset, folder, name="tiny", version="1", evaluate_command="measure it")
    return Made(dataset, folder, description, load_predictor(folder))


@pytest.fixture(scope="module")
def made(tiny_runs: TinyRuns, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Made of the longer run, as it is."""
    return make(tiny_runs.long, tiny_runs.dataset, tmp_path_factory.mktemp("made") / "bundle")


@pytest.fixture(scope="module")
def erring(tiny_runs: TinyRuns, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Made of a run that errs: each split calls one naevus a keratosis, and one keratosis a naevus."""
    folder = tmp_path_factory.mktemp("erring")
    table = tiny_runs.dataset.table.copy()
    for split in ("val", "test"):
        for code, called in (("nv", "bkl"), ("bkl", "nv")):
            right = tiny_runs.dataset.table
            first = right.index[(right["split"] == split) & (right["diagnosis"] == code)][0]
            table.loc[first, "diagnosis"] = called
    dataset = dataclasses.replace(tiny_runs.dataset, table=table)
    return make(_rebranded(tiny_runs.short, folder / "run", dataset), dataset, folder / "bundle")


@pytest.fixture(scope="module")
def told(tiny_runs: TinyRuns, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Made of a run on more pictures: a quarter is called wrong, and four of five body sites tell the diagnosis."""
    folder = tmp_path_factory.mktemp("told")
    written = coloured_dataset(folder / "dataset", train=90, valid=60)
    called = written.table["diagnosis"].map({"bkl": "mel", "mel": "nv", "nv": "bkl"})
    table = written.table.assign(
        diagnosis=written.table["diagnosis"].where(written.table.index % 4 > 0, called)
    )
    table = _with_sites(table)
    # Of a third of the pictures nothing is known.
    table.loc[table.index % 9 > 5, ["age", "sex", "site"]] = [np.nan, "", ""]
    table.loc[table.index >= 120, "split"] = "test"
    dataset = dataclasses.replace(written, table=table)
    return make(_rebranded(tiny_runs.short, folder / "run", dataset), dataset, folder / "bundle")


def _with_sites(table: pd.DataFrame) -> pd.DataFrame:
    site = table["diagnosis"].map({"bkl": "face", "mel": "back", "nv": "foot"})
    return table.assign(site=site.where(table.index % 5 > 0, "back"))


def test_the_chosen_size_travels_in_the_bundle(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    make_bundle([tiny_runs.long], tiny_runs.dataset, tmp_path / "b", name="tiny", version="1", image_size=64)
    assert load_bundle(tmp_path / "b").description.preprocessing.image_size == 64


def test_the_bundle_answers_as_the_best_epoch_does(tiny_runs: TinyRuns, made: Made) -> None:
    state, bundle = load_best(tiny_runs.long)["model"], load_bundle(made.folder)
    assert (made.description.name, made.description.version) == ("tiny", "1")
    assert bundle.description == made.description
    assert set(state) == set(bundle.model_state)
    for name, tensor in bundle.model_state.items():
        np.testing.assert_allclose(tensor.numpy(), state[name].numpy(), rtol=1e-3, atol=1e-6)
    answers = made.answers("val")
    assert all(answer.model_sha256 == made.description.weights_sha256 for answer in answers)
    assert all(abs(sum(answer.probabilities.values()) - 1) < 1e-9 for answer in answers)


def test_temperature_and_operating_points_are_those_of_the_validation_split(erring: Made) -> None:
    description, answers = erring.description, erring.answers("val")
    probabilities = np.array(
        [[answer.probabilities[code] for code in description.classes] for answer in answers]
    )
    # Fitted once more on calibrated answers, the temperature has nothing left to do.
    assert TEMPERATURES[0] * 1.1 < description.temperature < TEMPERATURES[1] / 1.1
    logits = np.log(probabilities.clip(1e-300))
    assert fit_temperature(logits, erring.labels("val")) == pytest.approx(1.0, abs=1e-3)
    risk, malignant = (
        np.array([answer.malignant_probability for answer in answers]),
        erring.malignant("val"),
    )
    names = [point.name for point in description.operating_points]
    assert names == ["sensitivity-0.95", "sensitivity-0.90"]
    assert description.default_operating_point == "sensitivity-0.95"
    for point, wanted in zip(description.operating_points, (0.95, 0.90), strict=True):
        assert (risk[malignant] >= point.threshold).mean() >= wanted
        # One step higher, and too few would be found.
        assert (risk[malignant] > point.threshold / STEADY).mean() < wanted


def test_rounding_on_another_machine_flips_no_answer(erring: Made) -> None:
    for split in ("val", "test"):
        answers = erring.answers(split)
        for point in erring.description.operating_points:
            for answer in answers:
                assert abs(answer.malignant_probability - point.threshold) > 1e-5 * point.threshold


def test_operating_points_are_measured_on_the_test_split(erring: Made) -> None:
    description, malignant = erring.description, erring.malignant("test")
    risk = np.array([answer.malignant_probability for answer in erring.answers("test")])
    for point in description.operating_points:
        referred = risk >= point.threshold
        assert point.sensitivity == pytest.approx(referred[malignant].mean())
        assert point.specificity == pytest.approx(1 - referred[~malignant].mean())
        assert (point.lesions, point.photographs) == (12, 12)
        assert point.measured_on.startswith("test split of")
    assert description.metrics["sensitivity_at_operating_point"] == description.operating_point.sensitivity


def test_plausible_diagnoses_and_prevalence_come_from_the_validation_split(erring: Made) -> None:
    description = erring.description
    conformal, prevalence = description.conformal, description.prevalence
    assert conformal is not None
    assert prevalence is not None
    # Twelve lesions promise nothing of any diagnosis: each stays plausible.
    assert conformal.photograph.thresholds == (0.0, 0.0, 0.0)
    assert conformal.context is None
    measured = conformal.photograph.measured
    assert measured is not None
    assert (measured["coverage"], measured["mean_size"], measured["lesions"]) == (1.0, 3.0, 12)
    assert measured["measured_on"].startswith("test split of")
    assert prevalence.data == erring.malignant("val").mean()
    assert prevalence.stated is None
    assert all(set(answer.plausible) == set(description.classes) for answer in erring.answers("val"))


def test_a_stated_prevalence_changes_no_advice(erring: Made) -> None:
    rare = load_predictor(erring.folder, prevalence=0.01)
    subset = erring.dataset.subset("test")
    for usual, moved in zip(erring.answers("test"), answer_split(rare, subset), strict=True):
        assert usual.advice == moved.advice
        assert usual.plausible == moved.plausible
        assert moved.malignant_probability <= usual.malignant_probability
        assert sum(moved.probabilities.values()) == pytest.approx(1, abs=1e-9)


def test_what_the_environment_says_of_a_clinic_has_no_part_in_a_bundle(
    made: Made, tiny_runs: TinyRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_PREVALENCE", "0.01")
    again = make_bundle(
        [tiny_runs.long],
        tiny_runs.dataset,
        tmp_path / "b",
        name="tiny",
        version="1",
        evaluate_command="measure it",
    )
    assert again == made.description


def test_a_bundle_is_made_anew_of_itself_with_the_same_weights(made: Made, tmp_path: Path) -> None:
    again = make_bundle(
        [made.folder], made.dataset, tmp_path / "b", name="tiny", version="1", evaluate_command="measure it"
    )
    assert again.weights_sha256 == made.description.weights_sha256
    for name in ("temperature", "operating_points", "prevalence", "conformal", "calibration", "metrics"):
        assert getattr(again, name) == getattr(made.description, name)


def test_answers_can_lean_to_rare_diagnoses(told: Made, tmp_path: Path) -> None:
    names = {"name": "tiny", "version": "1"}
    leaning = make_bundle([told.folder], told.dataset, tmp_path / "b", adjustment=0.5, **names)
    before, after = told.description.calibration, leaning.calibration
    assert before is not None
    assert after is not None
    assert (before.adjustment, after.adjustment) == (0.0, 0.5)
    counts = [list(told.dataset.subset("train").table["diagnosis"]).count(code) for code in leaning.classes]
    assert len(set(counts)) > 1
    moved = class_adjustment(np.array(counts), 0.5)
    np.testing.assert_allclose(np.subtract(after.bias, before.bias), moved, atol=1e-9)
    np.testing.assert_allclose(np.subtract(after.context_bias, before.context_bias), moved, atol=1e-9)
    assert "0.500 of the logarithm" in (tmp_path / "b" / "MODEL_CARD.md").read_text("utf-8")
    assert "lean to" not in (told.folder / "MODEL_CARD.md").read_text("utf-8")


def test_how_far_answers_lean_can_be_left_to_the_validation_lesions(told: Made, tmp_path: Path) -> None:
    chosen = make_bundle(
        [told.folder], told.dataset, tmp_path / "b", name="tiny", version="1", adjustment=None
    )
    assert chosen.calibration is not None
    assert chosen.calibration.adjustment in STRENGTHS
    tried = chosen.training["logit adjustments on validation"].split("; ")
    assert [one.split(":")[0] for one in tried] == ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]
    assert tried[0] in (tmp_path / "b" / "MODEL_CARD.md").read_text("utf-8")


def test_nothing_leans_to_a_diagnosis_that_was_not_trained_on(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    table = tiny_runs.dataset.table.copy()
    table.loc[(table["split"] == "train") & (table["diagnosis"] == "mel"), "split"] = "val"
    dataset = dataclasses.replace(tiny_runs.dataset, table=table)
    run = _rebranded(tiny_runs.short, tmp_path / "run", dataset)
    with pytest.raises(ConfigError, match=r"hold none of .*mel.*Leave the logit adjustment at 0"):
        make_bundle([run], dataset, tmp_path / "b", name="tiny", version="1", adjustment=0.2)
    assert not (tmp_path / "b").exists()


def test_too_few_patients_make_a_bundle_of_the_photograph_alone(erring: Made) -> None:
    """48 photographs to train on say nothing of their patients that is worth learning."""
    assert erring.description.context is None
    assert erring.description.context_operating_points == ()
    assert (erring.description.metrics["context"], erring.description.metrics["photograph_alone"]) == (
        0,
        None,
    )


def test_what_is_known_of_patients_is_learnt_in_training_and_weighed_in_validation(told: Made) -> None:
    model, valid = told.description.context, told.dataset.subset("val")
    assert model is not None
    assert (model.sexes, model.sites) == (("female", "male"), ("back", "face", "foot"))
    assert 0 < model.weight < 2
    counts = [
        list(told.dataset.subset("train").table["diagnosis"]).count(code) for code in ("bkl", "mel", "nv")
    ]
    np.testing.assert_allclose(np.exp(model.log_prior), np.array(counts) / 90)
    # The photographs alone give the logits back, scaled; only those of which something is known are weighed.
    known = np.array([bool(context.known) for context in contexts_of(valid)])
    assert 0 < known.sum() < len(known)
    logits = told.description.temperature * np.log(
        [list(answer.probabilities.values()) for answer in told.answers("val")]
    )
    evidence = np.stack([model.evidence(context) for context in contexts_of(valid)])
    expected = fit_weight(logits[known], evidence[known], told.labels("val")[known])
    assert (model.weight, model.temperature) == pytest.approx(expected, rel=1e-3)


def test_answers_that_know_of_the_patient_have_operating_points_of_their_own(told: Made) -> None:
    description = told.description
    risk = np.array([answer.malignant_probability for answer in told.answers("val", told=True)])
    malignant = told.malignant("val")
    assert [point.name for point in description.context_operating_points] == [
        "sensitivity-0.95",
        "sensitivity-0.90",
    ]
    for point, wanted in zip(description.context_operating_points, (0.95, 0.90), strict=True):
        assert (risk[malignant] >= point.threshold).mean() >= wanted
        assert (risk[malignant] > point.threshold / STEADY).mean() < wanted
        assert (point.lesions, point.photographs) == (30, 30)
    alone = np.array([answer.malignant_probability for answer in told.answers("val")])
    for point, wanted in zip(description.operating_points, (0.95, 0.90), strict=True):
        assert (alone[malignant] >= point.threshold).mean() >= wanted
        assert (alone[malignant] > point.threshold / STEADY).mean() < wanted
    assert description.context_operating_points != description.operating_points


def test_the_figures_use_the_patients_and_stand_beside_those_of_the_photographs_alone(told: Made) -> None:
    metrics = told.description.metrics
    test = told.dataset.subset("test")
    assert metrics["context"] == sum(bool(context.known) for context in contexts_of(test))
    assert 0 < metrics["context"] < metrics["n"] == 30
    point, alone = told.description.context_operating_point, metrics["photograph_alone"]
    assert metrics["operating_point"]["threshold"] == point.threshold
    assert metrics["sensitivity_at_operating_point"] == point.sensitivity
    assert alone == evaluate_predictor(told.predictor, told.dataset, use_context=False).figures
    assert alone["sensitivity_at_operating_point"] == told.description.operating_point.sensitivity
    card = (told.folder / "MODEL_CARD.md").read_text("utf-8")
    assert "| Figure | Value | 95% interval | Photograph alone | What it says |" in card


def test_validation_patients_of_whom_nothing_is_known_weigh_nothing(
    told: Made, tiny_runs: TinyRuns, tmp_path: Path
) -> None:
    table = told.dataset.table.copy()
    table.loc[table["split"] == "val", ["age", "sex", "site"]] = [np.nan, "", ""]
    dataset = dataclasses.replace(told.dataset, table=table)
    made = make(_rebranded(tiny_runs.short, tmp_path / "run", dataset), dataset, tmp_path / "bundle")
    assert made.description.context is None
    assert made.description.metrics["photograph_alone"] is None


def test_the_card_and_the_metrics_come_from_the_test_split(made: Made) -> None:
    description = made.description
    assert description.metrics["data"]["split"] == "test"
    assert description.metrics["n"] == 12
    card = (made.folder / "MODEL_CARD.md").read_text("utf-8")
    assert f"{description.metrics['accuracy']:.3f}" in card
    assert "measure it" in card
    assert description.weights_sha256 in card
    assert description.training["command"].startswith("scripts/train.py long --set ")
    assert description.data["counts"]["photographs trained on"] == 48
    assert json.loads((made.folder / "model.json").read_text("utf-8"))["metrics"] == description.metrics


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
    folder, dataset = tmp_path / "b", tiny_runs.dataset
    folder.mkdir()
    with pytest.raises(BundleError, match="exists already"):
        make_bundle([tiny_runs.long], dataset, folder, name="tiny", version="1")
    # That is said before anything is read, let alone measured.
    with pytest.raises(BundleError, match="exists already"):
        make_bundle([tmp_path / "no run"], dataset, folder, name="tiny", version="1")
    make_bundle([tiny_runs.long], dataset, folder, name="tiny", version="1", overwrite=True)
    assert load_bundle(folder).description.name == "tiny"


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
