"""A predictor is measured on a dataset through predict_many, on the rows and with the labels that are meant."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from derm_core.data.table import Dataset, load_dataset
from derm_core.errors import DatasetError
from derm_core.evaluation.metrics import KEYS
from derm_core.serving.answer_figures import ADDED as OF_ANSWERS
from derm_core.serving.conformal import Conformal, ConformalSets
from derm_core.serving.context import PatientContext, contexts_of
from derm_core.serving.evaluation import evaluate_predictor
from tests.derm_core.evaluation.fake_predictor import HAM7, FakePredictor, make_dataset, sex_model

ADDED = {*OF_ANSWERS, "context", "photograph_alone", "scope", "left_out", "advice", "model", "data"}


def test_every_photograph_of_the_split_is_asked_about_once_and_in_order(tmp_path: Path) -> None:
    dataset, predictor = make_dataset(tmp_path / "data"), FakePredictor()
    figures = evaluate_predictor(predictor, dataset, batch_size=5, bootstrap=20).figures
    part = dataset.subset("test")
    assert predictor.asked == [part.image_path(index) for index in range(len(part))]
    assert predictor.batch_sizes == [5]
    assert figures["n"] == len(part) == 56
    assert figures["lesions"] == 28


def test_the_figures_are_those_of_the_answers(tmp_path: Path) -> None:
    dataset, predictor = make_dataset(tmp_path / "data"), FakePredictor()
    figures = evaluate_predictor(predictor, dataset, bootstrap=20).figures
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
    figures = evaluate_predictor(FakePredictor(), dataset, bootstrap=20).figures
    json.dumps(figures, allow_nan=False)
    assert set(figures) == {*KEYS, *ADDED}
    assert figures["model"] == {"name": "fake", "version": "1.0.0", "sha256": "ab" * 32, "task": "ham7"}
    assert figures["data"] == {"name": "data", "split": "test", "fingerprint": dataset.fingerprint()}
    assert figures["scope"] == "classes"
    assert set(figures["subgroups"]) == {"sex", "age", "site", "confirmed_by", "acquisition"}
    assert figures["subgroups"]["acquisition"]["full frame"]["n"] == 56


def test_labels_follow_the_bundles_order_of_classes(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    reversed_classes = FakePredictor(classes=HAM7[::-1])
    figures = evaluate_predictor(reversed_classes, dataset, bootstrap=20).figures
    assert figures["classes"] == list(HAM7[::-1])
    # The fake favours the right class, wherever it stands.
    assert figures["accuracy"] > 0.5


def test_benign_and_malignant_pictures_measure_the_risk_of_seven_diagnoses(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", ("benign", "malignant"), of_each=36)
    figures = evaluate_predictor(FakePredictor(), dataset, bootstrap=20).figures
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
    figures = evaluate_predictor(predictor, make_dataset(tmp_path / "data"), bootstrap=20).figures
    assert figures["n"] == 56
    assert figures["per_class"]["malignant"]["n"] == 24
    assert figures["scope"] == "classes"


def test_diagnoses_outside_the_task_are_left_out_and_counted(tmp_path: Path) -> None:
    predictor = FakePredictor(task="nv-bkl-mel", classes=("bkl", "mel", "nv"))
    figures = evaluate_predictor(predictor, make_dataset(tmp_path / "data"), bootstrap=20).figures
    assert (figures["n"], figures["left_out"]) == (24, 32)
    assert all(path.name[:3] in ("bkl", "mel", "nv-") for path in predictor.asked)


def test_all_stands_for_every_split(tmp_path: Path) -> None:
    figures = evaluate_predictor(
        FakePredictor(), make_dataset(tmp_path / "data"), split="all", bootstrap=20
    ).figures
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
    first = evaluate_predictor(FakePredictor(), made, bootstrap=20).figures
    second = evaluate_predictor(FakePredictor(), load_dataset(tmp_path / "data"), bootstrap=20).figures
    assert json.dumps(first) == json.dumps(second)


def with_columns(dataset: Dataset, **columns: object) -> Dataset:
    return dataclasses.replace(dataset, table=dataset.table.assign(**columns))


def test_answers_use_what_the_dataset_knows_of_the_patients_in_its_order(tmp_path: Path) -> None:
    dataset, predictor = make_dataset(tmp_path / "data"), FakePredictor(context=sex_model(7))
    figures = evaluate_predictor(predictor, dataset, bootstrap=20).figures
    part = dataset.subset("test")
    paths = [part.image_path(index) for index in range(len(part))]
    # First with the patients, then the photographs alone.
    assert predictor.asked == paths * 2
    assert predictor.told == [*contexts_of(part), *[None] * len(part)]
    answers = list(FakePredictor(context=sex_model(7)).predict_many(paths, contexts=contexts_of(part)))
    right = [answer.top == code for answer, code in zip(answers, part.table["diagnosis"], strict=True)]
    malignant = part.table["diagnosis"].isin(["akiec", "bcc", "mel"]).to_numpy()
    referred = np.array([answer.malignant_probability >= 0.35 for answer in answers])
    assert figures["context"] == figures["n"] == 56
    assert figures["accuracy"] == np.mean(right)
    assert figures["operating_point"] == {"name": "sensitivity-0.95", "threshold": 0.35}
    assert figures["sensitivity_at_operating_point"] == referred[malignant].mean()
    assert figures["specificity_at_operating_point"] == (~referred)[~malignant].mean()
    assert figures["advice"]["unsure"] == sum(answer.advice == "unsure" for answer in answers)
    json.dumps(figures, allow_nan=False)


def test_beside_them_stands_what_the_photographs_alone_give(tmp_path: Path) -> None:
    dataset, predictor = make_dataset(tmp_path / "data"), FakePredictor(context=sex_model(7))
    figures = evaluate_predictor(predictor, dataset, bootstrap=20, seed=3).figures
    alone = evaluate_predictor(predictor, dataset, bootstrap=20, seed=3, use_context=False).figures
    assert figures["photograph_alone"] == alone
    assert alone == evaluate_predictor(FakePredictor(), dataset, bootstrap=20, seed=3).figures
    assert (alone["context"], alone["photograph_alone"]) == (0, None)
    assert alone["operating_point"]["threshold"] == 0.25
    assert alone["macro_auc"] != figures["macro_auc"]


def test_only_photographs_of_which_the_model_can_use_something_are_counted(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    women = (dataset.table["sex"] == "female").to_numpy()
    # Men are left with a site that the model was not fitted on, and one man with none.
    told = with_columns(
        dataset,
        age=np.nan,
        sex=np.where(women, "female", "unknown"),
        site=np.where(women, "", ["", *["ear"] * (len(dataset) - 1)]),
    )
    model = dataclasses.replace(sex_model(7), sites=("back",), coefficients=((0.0, 0.0, 1.0, 0.0, 0.0),) * 7)
    figures = evaluate_predictor(FakePredictor(context=model), told, bootstrap=20).figures
    assert figures["context"] == (told.subset("test").table["sex"] == "female").sum()
    assert 0 < figures["context"] < figures["n"]


@pytest.mark.parametrize("known", [False, True])
def test_where_nothing_of_the_patient_can_be_used_the_photographs_alone_are_measured_once(
    tmp_path: Path, known: bool
) -> None:
    dataset = make_dataset(tmp_path / "data")
    if known:
        predictor = FakePredictor()
    else:
        dataset = with_columns(dataset, age=np.nan, sex="", site="")
        predictor = FakePredictor(context=sex_model(7))
    figures = evaluate_predictor(predictor, dataset, bootstrap=20).figures
    assert (figures["context"], figures["photograph_alone"]) == (0, None)
    assert figures["operating_point"]["threshold"] == 0.25
    assert len(predictor.asked) == figures["n"]
    assert set(predictor.told) == {None}


def test_the_risk_alone_is_measured_with_the_patients_too(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", ("benign", "malignant"), of_each=36)
    figures = evaluate_predictor(FakePredictor(context=sex_model(7)), dataset, bootstrap=20).figures
    assert figures["scope"] == figures["photograph_alone"]["scope"] == "malignancy only"
    assert figures["context"] == 48
    assert figures["operating_point"]["threshold"] == 0.35


def test_photographs_left_out_take_their_patients_with_them(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    first = dataset.table["diagnosis"] == "akiec"
    told = with_columns(dataset, sex=np.where(first, "male", "female"), age=np.nan, site="")
    predictor = FakePredictor(task="nv-bkl-mel", classes=("bkl", "mel", "nv"), context=sex_model(3))
    figures = evaluate_predictor(predictor, told, bootstrap=20).figures
    assert figures["n"] == figures["context"] == 24
    assert predictor.told[:24] == [PatientContext(sex="female")] * 24


def test_every_operating_point_is_measured_the_default_first(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    for codes in (None, "malignancy only"):
        if codes:
            dataset = make_dataset(tmp_path / "two", ("benign", "malignant"), of_each=36)
        figures = evaluate_predictor(FakePredictor(), dataset, bootstrap=20).figures
        first, second = figures["operating_points"]
        assert [first["name"], second["name"]] == ["sensitivity-0.95", "half"]
        assert first["sensitivity"] == figures["sensitivity_at_operating_point"]
        assert first["specificity_ci95"] == figures["ci95"]["specificity_at_operating_point"]
        assert second["threshold"] == 0.5
        assert second["sensitivity"] <= first["sensitivity"]
    moved = evaluate_predictor(
        FakePredictor(context=sex_model(7)), make_dataset(tmp_path / "told"), bootstrap=20
    ).figures
    assert [point["threshold"] for point in moved["operating_points"]] == [0.35]
    assert [point["threshold"] for point in moved["photograph_alone"]["operating_points"]] == [0.25, 0.5]


def test_sets_are_measured_by_lesion_where_the_model_has_any(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    conformal = Conformal(0.9, "all alike", ConformalSets((0.1,) * 7, (20,) * 7))
    figures = evaluate_predictor(FakePredictor(conformal=conformal), dataset, bootstrap=20).figures[
        "plausible"
    ]
    part = dataset.subset("test")
    answers = list(
        FakePredictor(conformal=conformal).predict_many(part.image_path(index) for index in range(len(part)))
    )
    held = [code in answer.plausible for answer, code in zip(answers, part.table["diagnosis"], strict=True)]
    # Each lesion has two photographs, so that lesions and photographs weigh alike.
    assert figures["coverage"] == pytest.approx(np.mean(held))
    assert figures["mean_size"] == pytest.approx(np.mean([len(answer.plausible) for answer in answers]))
    assert (figures["level"], figures["lesions"], len(figures["per_class"])) == (0.9, 28, 7)
    assert evaluate_predictor(FakePredictor(), dataset, bootstrap=20).figures["plausible"] is None


def test_what_is_not_answered_is_counted(tmp_path: Path) -> None:
    figures = evaluate_predictor(FakePredictor(), make_dataset(tmp_path / "data"), bootstrap=20).figures
    assert figures["selective"]["coverage"] == pytest.approx(1 - figures["advice"]["unsure"] / figures["n"])
    assert {test["kind"] for test in figures["group_differences"]} <= set(figures["subgroups"])
    json.dumps(figures, allow_nan=False)
