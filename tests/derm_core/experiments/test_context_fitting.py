"""What age, sex and site say is learnt from a table, and weighed against the photographs."""

from __future__ import annotations

import dataclasses
import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from derm_core.data.table import COLUMNS, Dataset
from derm_core.experiments import context_fitting
from derm_core.experiments.context_fitting import fit_context_model, fit_weight
from derm_core.serving.context import PatientContext, contexts_of

CODES = ("mel", "nv", "bkl")


def patients(labels: np.ndarray, *, known: int | None = None, lesions: list[str] | None = None) -> Dataset:
    """A table alone: class 0 is mostly on old faces, the others anywhere; sex says nothing.

    Of those after the first `known` nothing is known; every second photograph is of the lesion before, unless told.
    """
    random = np.random.default_rng(len(labels))
    old = (labels == 0) & (random.random(len(labels)) < 0.8)
    table = pd.DataFrame(
        {
            "image": [f"{number}.png" for number in range(len(labels))],
            "diagnosis": [CODES[label] for label in labels],
            "lesion_id": lesions or [f"{label}-{place // 2}" for place, label in enumerate(labels)],
            "age": np.where(old, 75.0, 5.0 * random.integers(4, 12, len(labels))),
            "sex": random.choice(["female", "male"], len(labels)),
            "site": np.where(old, "face", random.choice(["back", "foot"], len(labels))),
            "confirmed_by": "",
            "split": "train",
        }
    )
    table.loc[len(labels) if known is None else known :, ["age", "sex", "site"]] = [np.nan, "", ""]
    return Dataset(Path("nowhere"), table[list(COLUMNS)])


LABELS = np.repeat([0, 1, 2], (60, 160, 80))


def probabilities(model: object, context: PatientContext) -> np.ndarray:
    """What the model says of the classes, by evidence and prior."""
    return np.exp(model.evidence(context) + np.array(model.log_prior))  # type: ignore[attr-defined]


def test_what_the_table_tells_is_learnt_and_nothing_else() -> None:
    train = patients(LABELS)
    model = fit_context_model(train, LABELS, 3)
    assert model is not None
    assert (model.sexes, model.sites) == (("female", "male"), ("back", "face", "foot"))
    assert (model.weight, model.temperature) == (0.0, 1.0)
    np.testing.assert_allclose(np.exp(model.log_prior), [0.2, 160 / 300, 80 / 300])
    for context in (PatientContext(75, "male", "face"), PatientContext(75), PatientContext(site="face")):
        assert probabilities(model, context).sum() == pytest.approx(1)
        assert probabilities(model, context)[0] > 0.9
    for context in (PatientContext(30, "female", "back"), PatientContext(30), PatientContext(site="foot")):
        assert probabilities(model, context)[0] < 0.12
    # Sex says next to nothing, so what it leaves is what is known before anything is.
    np.testing.assert_allclose(
        probabilities(model, PatientContext(sex="male")), np.exp(model.log_prior), atol=0.06
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_whatever_is_missing_the_answer_is_the_share_among_such_patients(classes: int) -> None:
    labels = np.minimum(LABELS, classes - 1)
    train = patients(labels)
    model = fit_context_model(train, labels, classes)
    assert model is not None
    contexts = contexts_of(train)
    # The mean answer over the patients, each with the same parts left out, is how often each class occurs.
    for age, sex, site in product((True, False), repeat=3):
        masked = [
            PatientContext(known.age if age else None, known.sex if sex else "", known.site if site else "")
            for known in contexts
        ]
        mean = np.mean([probabilities(model, context) for context in masked], axis=0)
        np.testing.assert_allclose(mean, np.exp(model.log_prior), atol=0.03)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_numbers_are_those_that_scikit_learn_fits(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each photograph once with all that is known and once with each part left out, an eighth of it each time."""
    monkeypatch.setattr(context_fitting, "_STRENGTHS", (0.3,))
    labels = np.minimum(LABELS, classes - 1)
    train = patients(labels)
    model = fit_context_model(train, labels, classes)
    assert model is not None
    inputs = np.array(
        [
            model.features(
                PatientContext(
                    known.age if age else None, known.sex if sex else "", known.site if site else ""
                )
            )
            for known in contexts_of(train)
            for age, sex, site in product((True, False), repeat=3)
        ]
    )
    peer = LogisticRegression(C=0.3, max_iter=1000).fit(
        inputs, np.repeat(labels, 8), sample_weight=np.full(len(inputs), 1 / 8)
    )
    for context in (PatientContext(75, "male", "face"), PatientContext(32.5), PatientContext(site="foot")):
        expected = peer.predict_proba(model.features(context)[None])[0]
        np.testing.assert_allclose(probabilities(model, context), expected, atol=2e-3)


def test_rows_that_stand_for_many_photographs_count_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The strength is chosen over photographs, not over kinds of them."""
    inputs = np.array([[0.0], [1.0]] * 4)
    labels, folds = np.array([0, 0, 1, 1] * 2), np.repeat([0, 1], 4)
    # Most photographs say that the feature tells the classes apart, most kinds of them say nothing.
    shares = np.array([40.0, 1.0, 1.0, 40.0] * 2)
    assert context_fitting._strength(inputs, labels, folds, shares) == 3.0
    rows = np.repeat(np.arange(8), shares.astype(int))
    one_each = context_fitting._strength(inputs[rows], labels[rows], folds[rows], np.ones(len(rows)))
    assert one_each == 3.0
    # In the other fold it is the other way round: the less is believed, the better.
    turned = np.array([40.0, 1.0, 1.0, 40.0, 1.0, 40.0, 40.0, 1.0])
    assert context_fitting._strength(inputs, labels, folds, turned) == 0.03


@pytest.mark.parametrize("known", [0, 49])
def test_too_few_patients_make_no_model(known: int) -> None:
    assert fit_context_model(patients(LABELS, known=known), LABELS, 3) is None


def test_fifty_patients_are_enough() -> None:
    random = np.random.default_rng(0)
    labels = random.permutation(LABELS)
    assert fit_context_model(patients(labels, known=50), labels, 3) is not None


def test_a_class_without_a_photograph_makes_no_model() -> None:
    assert fit_context_model(patients(LABELS), LABELS, 4) is None
    without = np.where(LABELS == 1, 2, LABELS)
    assert fit_context_model(patients(without), without, 3) is None


def test_a_class_of_one_lesion_alone_is_no_obstacle() -> None:
    """All its photographs are held out together, and most folds hold none of it."""
    labels = np.repeat([0, 1, 2], (60, 160, 5))
    lesions = [f"lesion-{number}" for number in range(220)] + ["the only one"] * 5
    model = fit_context_model(patients(labels, lesions=lesions), labels, 3)
    assert model is not None
    assert np.isfinite(model.evidence(PatientContext(75, "male", "face"))).all()
    two = np.minimum(labels[labels != 1], 1)
    rare = patients(two, lesions=[f"lesion-{number}" for number in range(60)] + ["the only one"] * 5)
    assert fit_context_model(rare, two, 2) is not None


def test_photographs_of_one_lesion_are_held_out_together() -> None:
    train = patients(LABELS)
    folds = context_fitting._folds(train)
    assert set(folds) == set(range(5))
    by_lesion = pd.Series(folds).groupby(train.lesions).nunique()
    assert (by_lesion == 1).all()
    few = dataclasses.replace(train, table=train.table.iloc[:6])
    assert set(context_fitting._folds(few)) == {0, 1, 2}


@pytest.mark.parametrize(("weight", "temperature"), [(0.6, 1.7), (1.0, 1.0), (0.25, 0.5)])
def test_a_known_weight_and_temperature_are_found_again(weight: float, temperature: float) -> None:
    random = np.random.default_rng(1)
    logits, evidence = temperature * random.normal(0, 1.5, (40_000, 3)), random.normal(0, 1, (40_000, 3))
    true = softmax(logits / temperature + weight * evidence, axis=1)
    labels = (random.random(40_000)[:, None] > true.cumsum(axis=1)).sum(axis=1)
    found = fit_weight(logits, evidence, labels)
    assert found == pytest.approx((weight, temperature), abs=0.03)


def test_evidence_that_misleads_has_no_weight() -> None:
    random = np.random.default_rng(2)
    logits, evidence = random.normal(0, 1, (2000, 3)), random.normal(0, 1, (2000, 3))
    labels = (random.random(2000)[:, None] > softmax(logits - evidence, axis=1).cumsum(axis=1)).sum(axis=1)
    weight, temperature = fit_weight(logits, evidence, labels)
    assert weight == pytest.approx(0, abs=1e-6)
    assert temperature > 1


def test_the_temperature_leaves_nothing_to_calibrate() -> None:
    """Photographs of a rare class move the weight by the root of their number, and the temperature as all others."""
    random = np.random.default_rng(4)
    labels = np.repeat([0, 1], (1800, 200))
    logits = np.stack([np.zeros(2000), random.normal(np.where(labels, 0.5, -2.5), 1.5)], axis=1)
    evidence = np.stack([np.zeros(2000), random.normal(np.where(labels, 1.5, -0.2), 1.0)], axis=1)
    weight, temperature = fit_weight(logits, evidence, labels)

    def loss(temperature: float, weight: float, shares: np.ndarray) -> float:
        scores = logits / temperature + weight * evidence
        found = np.log(softmax(scores, axis=1))[np.arange(2000), labels]
        return float(-np.average(found, weights=shares))

    plain, by_root = np.ones(2000), 1 / np.sqrt(np.where(labels, 200, 1800))
    # By plain numbers no other temperature is better; by roots no other weight is, at its best temperature.
    for other in (0.98, 1.02):
        assert loss(temperature, weight, plain) < loss(temperature * other, weight, plain)
    temperatures = np.exp(np.linspace(-2, 2, 401))
    best = {
        other: min(loss(value, weight + other, by_root) for value in temperatures)
        for other in (-0.05, 0.0, 0.05)
    }
    assert math.isclose(min(best.values()), best[0.0])
