"""The figures of an evaluation: by hand, against scikit-learn, and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from derm_core.evaluation.intervals import bootstrap_over_lesions
from derm_core.evaluation.metrics import CLASS_FIGURES, KEYS, evaluate_malignancy, evaluate_probabilities

CLASSES = ("bcc", "mel", "nv")
MALIGNANT = (True, True, False)
DOCUMENTED = {
    *(
        "n",
        "classes",
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "weighted_f1",
        "macro_auc",
        "malignant_auc",
    ),
    *("sensitivity_at_operating_point", "specificity_at_operating_point", "ece", "brier", "confusion_matrix"),
    *("per_class", "ci95", "subgroups"),
}


def make(count: int = 240, lesions: int = 150, seed: int = 11) -> dict[str, object]:
    random = np.random.default_rng(seed)
    labels = random.choice(3, count, p=[0.1, 0.3, 0.6])
    logits = random.normal(size=(count, 3))
    logits[np.arange(count), labels] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return {
        "labels": labels,
        "probabilities": probabilities,
        "lesions": random.integers(0, lesions, count).astype(str),
        "groups": {"sex": {"female": np.arange(count) % 2 == 0, "male": np.arange(count) % 2 == 1}},
    }


def evaluate(**given: object) -> dict:
    usual = {"classes": CLASSES, "malignant": MALIGNANT, "operating_threshold": 0.3, "bootstrap": 200}
    return evaluate_probabilities(**(make() | usual | given))


def test_every_figure_by_hand() -> None:
    figures = evaluate(
        labels=np.array([0, 1, 1, 2, 2]),
        probabilities=np.array(
            [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8], [0.0, 0.2, 0.8], [0.1, 0.5, 0.4]]
        ),
        lesions=np.array(["a", "b", "b", "c", "d"]),
        operating_threshold=0.3,
        operating_name="sensitivity-0.9",
        groups=None,
    )
    assert (figures["n"], figures["lesions"], figures["malignant"], figures["malignant_lesions"]) == (
        5,
        4,
        3,
        2,
    )
    assert figures["confusion_matrix"] == [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    assert figures["accuracy"] == pytest.approx(3 / 5)
    assert figures["balanced_accuracy"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert figures["macro_f1"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert figures["weighted_f1"] == pytest.approx((1 + 2 * 1 / 2 + 2 * 1 / 2) / 5)
    # mel: 0.6 and 0.1 against 0.1, 0.2, 0.5: 3 pairs of 6, and half a one for the tie.
    assert figures["per_class"]["mel"]["auc"] == pytest.approx(3.5 / 6)
    assert figures["per_class"]["mel"] | {"ci95": None, "auc": None} == {
        "n": 2,
        "lesions": 1,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "auc": None,
        "average_precision": pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 5),
        "ci95": None,
    }
    assert figures["per_class"]["bcc"]["auc"] == 1
    # nv: 0.8 and 0.4 against 0.1, 0.2, 0.8: 2.5 pairs and 2 of 6.
    assert figures["macro_auc"] == pytest.approx((1 + 3.5 / 6 + 4.5 / 6) / 3)
    # Malignant 0.9, 0.8, 0.2 against benign 0.2, 0.6.
    assert figures["malignant_auc"] == pytest.approx((2 + 2 + 0.5) / 6)
    assert figures["sensitivity_at_operating_point"] == pytest.approx(2 / 3)
    assert figures["specificity_at_operating_point"] == pytest.approx(1 / 2)
    assert figures["operating_point"] == {"name": "sensitivity-0.9", "threshold": 0.3}
    # Bins of 1/15: 0.8 thrice (two right), 0.6 (right), 0.5 (wrong).
    assert figures["ece"] == pytest.approx((abs(2 - 2.4) + 0.4 + 0.5) / 5)
    squares = [0.04 + 0.01 + 0.01, 0.04 + 0.16 + 0.04, 0.01 + 0.81 + 0.64, 0.04 + 0.04, 0.01 + 0.25 + 0.36]
    assert figures["brier"] == pytest.approx(sum(squares) / 5)


def test_every_figure_equals_scikit_learn() -> None:
    given = make()
    labels, probabilities = given["labels"], given["probabilities"]
    answers, risk = probabilities.argmax(axis=1), probabilities[:, :2].sum(axis=1)
    figures = evaluate()
    assert figures["accuracy"] == sklearn_metrics.accuracy_score(labels, answers)
    assert figures["balanced_accuracy"] == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(labels, answers)
    )
    assert figures["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(labels, answers, average="macro"))
    assert figures["weighted_f1"] == pytest.approx(
        sklearn_metrics.f1_score(labels, answers, average="weighted")
    )
    assert figures["macro_auc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    )
    assert figures["malignant_auc"] == pytest.approx(sklearn_metrics.roc_auc_score(labels != 2, risk))
    assert figures["malignant_average_precision"] == pytest.approx(
        sklearn_metrics.average_precision_score(labels != 2, risk)
    )
    assert figures["sensitivity_at_operating_point"] == pytest.approx(
        sklearn_metrics.recall_score(labels != 2, risk >= 0.3)
    )
    assert figures["specificity_at_operating_point"] == pytest.approx(
        sklearn_metrics.recall_score(labels == 2, risk < 0.3)
    )
    assert figures["confusion_matrix"] == sklearn_metrics.confusion_matrix(labels, answers).tolist()
    report = sklearn_metrics.classification_report(labels, answers, target_names=CLASSES, output_dict=True)
    for code in CLASSES:
        entry = figures["per_class"][code]
        assert entry["recall"] == pytest.approx(report[code]["recall"])
        assert entry["precision"] == pytest.approx(report[code]["precision"])
        assert entry["f1"] == pytest.approx(report[code]["f1-score"])
        assert entry["n"] == report[code]["support"]


def test_the_keys_are_those_documented() -> None:
    figures = evaluate()
    assert set(figures) == set(KEYS)
    assert set(figures) >= DOCUMENTED
    for entry in figures["per_class"].values():
        assert set(entry) == {"n", "lesions", *CLASS_FIGURES, "ci95"}
        assert set(entry["ci95"]) == set(CLASS_FIGURES)


def test_every_figure_lies_in_its_interval() -> None:
    figures = evaluate()
    blocks = [figures, *figures["per_class"].values(), *figures["subgroups"]["sex"].values()]
    for block in blocks:
        for name, (low, high) in block["ci95"].items():
            assert 0 <= low < high <= 2, name
            assert low <= block[name] <= high, name


def test_intervals_are_over_lesions_and_not_over_photographs() -> None:
    given = make(count=60, lesions=60)
    ten_times = {
        "labels": np.repeat(given["labels"], 10),
        "probabilities": np.repeat(given["probabilities"], 10, axis=0),
        "groups": None,
    }
    one_photograph = given | {"lesions": np.arange(60).astype(str), "groups": None}
    together = evaluate(**ten_times, lesions=np.repeat(np.arange(60), 10).astype(str))
    apart = evaluate(**ten_times, lesions=np.arange(600).astype(str))

    def width(figures: dict, name: str) -> float:
        low, high = figures["ci95"][name]
        return high - low

    for name in ("accuracy", "macro_auc", "malignant_auc", "brier"):
        # Ten copies of a photograph tell no more than one ...
        assert width(together, name) == pytest.approx(width(evaluate(**one_photograph), name), rel=1e-6)
        # ... and would seem to, were photographs drawn.
        assert width(together, name) > 2 * width(apart, name)


def test_the_interval_is_that_of_scikit_learn_on_every_drawn_set() -> None:
    given = make(count=80, lesions=50)
    figures = evaluate(**given, bootstrap=40)
    weights = bootstrap_over_lesions(given["lesions"], lambda w: {"w": w}, replicates=40)["w"]
    areas = [
        sklearn_metrics.roc_auc_score(given["labels"] == 1, given["probabilities"][:, 1], sample_weight=row)
        for row in weights
    ]
    assert figures["per_class"]["mel"]["ci95"]["auc"] == pytest.approx(np.percentile(areas, [2.5, 97.5]))


def test_a_second_run_gives_the_same_to_the_last_digit() -> None:
    assert json.dumps(evaluate()) == json.dumps(evaluate())
    assert evaluate(seed=1)["ci95"] != evaluate(seed=2)["ci95"]


def test_what_is_undefined_is_none_and_never_nan() -> None:
    only_naevi = make(count=40, lesions=30)
    figures = evaluate(**(only_naevi | {"labels": np.full(40, 2)}))
    json.dumps(figures, allow_nan=False)
    for name in (
        "macro_auc",
        "malignant_auc",
        "sensitivity_at_operating_point",
        "malignant_average_precision",
    ):
        assert figures[name] is None
        assert figures["ci95"][name] is None
    assert figures["per_class"]["mel"]["recall"] is None
    assert figures["per_class"]["mel"]["auc"] is None
    assert figures["per_class"]["mel"]["n"] == 0
    assert figures["balanced_accuracy"] == figures["per_class"]["nv"]["recall"]
    assert figures["specificity_at_operating_point"] is not None


def test_a_class_that_is_never_answered_has_no_precision() -> None:
    probabilities = np.array([[0.0, 0.4, 0.6], [0.0, 0.4, 0.6], [0.0, 0.6, 0.4]])
    figures = evaluate(
        labels=np.array([0, 2, 1]),
        probabilities=probabilities,
        lesions=np.array(["a", "b", "c"]),
        groups=None,
    )
    json.dumps(figures, allow_nan=False)
    assert figures["per_class"]["bcc"]["precision"] is None
    assert figures["per_class"]["bcc"]["recall"] == 0
    assert figures["per_class"]["bcc"]["f1"] == 0


def test_one_photograph_can_be_evaluated() -> None:
    figures = evaluate(
        labels=np.array([1]), probabilities=np.array([[0.2, 0.5, 0.3]]), lesions=np.array(["a"]), groups=None
    )
    json.dumps(figures, allow_nan=False)
    assert figures["accuracy"] == 1
    assert figures["ci95"]["accuracy"][0] < 0.5


def test_a_risk_computed_before_is_taken_as_it_is() -> None:
    given = make()
    risk = np.where(given["labels"] == 2, 0.1, 0.9)
    figures = evaluate(malignant_probability=risk)
    assert figures["malignant_auc"] == 1
    assert figures["sensitivity_at_operating_point"] == 1


def test_without_a_threshold_there_is_no_operating_point() -> None:
    figures = evaluate(operating_threshold=None)
    assert figures["operating_point"] == {"name": None, "threshold": None}
    assert figures["sensitivity_at_operating_point"] is None
    assert figures["subgroups"]["sex"]["male"]["sensitivity"] is None
    assert figures["malignant_auc"] is not None


def test_subgroups_are_measured_like_the_whole() -> None:
    everyone = {"sex": {"all": np.ones(240, dtype=bool)}}
    figures = evaluate(groups=everyone)
    group = figures["subgroups"]["sex"]["all"]
    for name in ("n", "lesions", "accuracy", "balanced_accuracy", "malignant_auc"):
        assert group[name] == pytest.approx(figures[name]), name
    assert group["sensitivity"] == figures["sensitivity_at_operating_point"]
    assert group["ci95"]["malignant_auc"] == figures["ci95"]["malignant_auc"]


def test_malignancy_alone_fills_the_malignant_figures_and_no_others() -> None:
    given = make()
    risk = given["probabilities"][:, :2].sum(axis=1)
    whole = evaluate()
    figures = evaluate_malignancy(
        given["labels"] != 2,
        risk,
        classes=CLASSES,
        lesions=given["lesions"],
        operating_threshold=0.3,
        groups=given["groups"],
        bootstrap=200,
    )
    json.dumps(figures, allow_nan=False)
    assert set(figures) == set(KEYS)
    for name in ("malignant_auc", "sensitivity_at_operating_point", "specificity_at_operating_point"):
        assert figures[name] == whole[name]
        assert figures["ci95"][name] == whole["ci95"][name]
    for name in ("accuracy", "macro_auc", "ece", "brier", "per_class", "confusion_matrix"):
        assert figures[name] is None
    assert set(figures["ci95"]) == set(whole["ci95"])
    assert figures["subgroups"]["sex"]["male"]["accuracy"] is None
    assert figures["subgroups"]["sex"]["male"]["sensitivity"] is not None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": np.zeros(3, dtype=int)}, "labels"),
        ({"labels": np.full(240, 3)}, "wanted 0 to 2"),
        ({"probabilities": np.full((240, 3), np.nan)}, "softmax"),
        ({"probabilities": np.full((240, 3), 0.5)}, "softmax"),
        ({"malignant": (True, False)}, "flags"),
        ({"lesions": np.zeros(2)}, "lesions"),
        ({"malignant_probability": np.full(240, 1.5)}, "outside 0 to 1"),
        ({"labels": np.zeros(0, dtype=int), "probabilities": np.zeros((0, 3))}, "above 0"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(**changed)
