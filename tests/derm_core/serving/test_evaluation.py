"""A predictor is measured on a dataset through predict_many, on the rows and with the labels that are meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from derm_core.data.table import load_dataset
from derm_core.errors import DatasetError
from derm_core.evaluation.metrics import KEYS
from derm_core.serving.evaluation import evaluate_predictor
from tests.derm_core.evaluation.fake_predictor import HAM7, FakePredictor, make_dataset

ADDED = {"scope", "left_out", "advice", "model", "data"}


def test_every_photograph_of_the_split_is_asked_about_once_and_in_order(tmp_path: Path) -> None:
    dataset, predictor = make_dataset(tmp_path / "data"), FakePredictor()
    figures = evaluate_predictor(predictor, dataset, batch_size=5, bootstrap=20)
    part = dataset.subset("test")
    assert predictor.asked == [part.image_path(index) for index in range(len(part))]
    assert predictor.batch_sizes == [5]
    assert figures["n"] == len(part) == 56
    assert figures["lesions"] == 28


def test_the_figures_are_those_of_the_answers(tmp_path: Path) -> None:
    dataset, predictor = make_dataset(tmp_path / "data"), FakePredictor()
    figures = evaluate_predictor(predictor, dataset, bootstrap=20)
    part = dataset.subset("test")
    answers = list(FakePredictor().predict_many(part.image_path(index) for index in range(len(part))))
    right = [answer.top == code for answer, code in zip(answers, part.table["diagnosis"], strict=True)]
    malignant = part.table["diagnosis"].isin(["akiec", "bcc", "mel"]).to_numpy()
    referred = np.array([answer.malignant_probability >= 0.25 for answer in answers])
    assert figures["accuracy"] == np.mean(right)
    assert figures["sensitivity_at_operating_point"] == referred[malignant].mean()
    assert figures["specificity_at_operating_point"] == (~referred)[~malignant].mean()
    assert figures["operating_point"] == {"name": "sensitivity-0.95", "threshold": 0.25}
    assert sum(figures["advice"].values()) == 56
    assert figures["advice"]["unsure"] == sum(answer.advice == "unsure" for answer in answers)


def test_it_says_which_model_answered_on_which_data(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    figures = evaluate_predictor(FakePredictor(), dataset, bootstrap=20)
    json.dumps(figures, allow_nan=False)
    assert set(figures) == {*KEYS, *ADDED}
    assert figures["model"] == {"name": "fake", "version": "1.0.0", "sha256": "ab" * 32, "task": "ham7"}
    assert figures["data"] == {"name": "data", "split": "test", "fingerprint": dataset.fingerprint()}
    assert figures["scope"] == "classes"
    assert set(figures["subgroups"]) == {"sex", "age", "site", "confirmed_by"}


def test_labels_follow_the_bundles_order_of_classes(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    reversed_classes = FakePredictor(classes=HAM7[::-1])
    figures = evaluate_predictor(reversed_classes, dataset, bootstrap=20)
    assert figures["classes"] == list(HAM7[::-1])
    # The fake favours the right class, wherever it stands.
    assert figures["accuracy"] > 0.5


def test_benign_and_malignant_pictures_measure_the_risk_of_seven_diagnoses(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", ("benign", "malignant"), of_each=36)
    figures = evaluate_predictor(FakePredictor(), dataset, bootstrap=20)
    json.dumps(figures, allow_nan=False)
    assert figures["scope"] == "malignancy only"
    assert figures["n"] == 48
    assert figures["malignant"] == 24
    assert figures["malignant_auc"] is not None
    assert figures["ci95"]["malignant_auc"] is not None
    for name in ("accuracy", "macro_auc", "per_class", "confusion_matrix", "ece"):
        assert figures[name] is None
    assert figures["subgroups"]["confirmed_by"]["histo"]["sensitivity"] is not None


def test_seven_diagnoses_measure_a_model_of_two_classes(tmp_path: Path) -> None:
    predictor = FakePredictor(task="malignancy", classes=("benign", "malignant"))
    figures = evaluate_predictor(predictor, make_dataset(tmp_path / "data"), bootstrap=20)
    assert figures["n"] == 56
    assert figures["per_class"]["malignant"]["n"] == 24
    assert figures["scope"] == "classes"


def test_diagnoses_outside_the_task_are_left_out_and_counted(tmp_path: Path) -> None:
    predictor = FakePredictor(task="nv-bkl-mel", classes=("bkl", "mel", "nv"))
    figures = evaluate_predictor(predictor, make_dataset(tmp_path / "data"), bootstrap=20)
    assert (figures["n"], figures["left_out"]) == (24, 32)
    assert all(path.name[:3] in ("bkl", "mel", "nv-") for path in predictor.asked)


def test_all_stands_for_every_split(tmp_path: Path) -> None:
    figures = evaluate_predictor(FakePredictor(), make_dataset(tmp_path / "data"), split="all", bootstrap=20)
    assert figures["n"] == 84


def test_an_unknown_split_names_those_there_are(tmp_path: Path) -> None:
    predictor = FakePredictor()
    with pytest.raises(DatasetError, match=r"'val'.*test, train"):
        evaluate_predictor(predictor, make_dataset(tmp_path / "data"), split="val")
    assert not predictor.asked


def test_progress_is_told_how_many_and_sees_every_answer(tmp_path: Path) -> None:
    seen = []

    def progress(answers, total):
        seen.append(total)
        for answer in answers:
            seen.append(answer.top)
            yield answer

    evaluate_predictor(FakePredictor(), make_dataset(tmp_path / "data"), bootstrap=20, progress=progress)
    assert seen[0] == 56
    assert len(seen) == 57


def test_a_dataset_read_again_gives_the_same_figures(tmp_path: Path) -> None:
    made = make_dataset(tmp_path / "data")
    first = evaluate_predictor(FakePredictor(), made, bootstrap=20)
    second = evaluate_predictor(FakePredictor(), load_dataset(tmp_path / "data"), bootstrap=20)
    assert json.dumps(first) == json.dumps(second)
