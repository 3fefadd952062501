"""From logits to an answer by hand: a network of two classes whose logits are constant, and what is known beside it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from derm_core.data.transforms import Preprocessing
from derm_core.serving.answer import logit_bias, make_prediction
from derm_core.serving.calibration import Calibration
from derm_core.serving.conformal import Conformal, ConformalSets
from derm_core.serving.context import PatientContext
from derm_core.serving.description import BundleDescription
from derm_core.serving.operating_point import OperatingPoint
from derm_core.serving.prediction import Prediction, QualityFlag
from derm_core.serving.preparation import PreparedPicture
from derm_core.serving.prevalence import Prevalence, at_prevalence

from .patients import face_model
from .references import reference, rule

# The photograph alone says: melanoma at two fifths, naevus at three.
LOGITS = np.log(np.array([0.4, 0.6], dtype=np.float32))
FEATURES = np.zeros(3, dtype=np.float32)
FACE, NOTHING = PatientContext(site="face"), PatientContext()


def describe(**changes: Any) -> BundleDescription:
    values: dict[str, Any] = {
        "name": "hand",
        "version": "1",
        "architecture": "resnet18",
        "task": "nv-bkl-mel",
        "classes": ("mel", "nv"),
        "preprocessing": Preprocessing(),
        "temperature": 1.0,
        "operating_points": (OperatingPoint("first", 0.45), OperatingPoint("second", 0.2)),
        "default_operating_point": "first",
        "context": face_model(),
    }
    return BundleDescription(**values | changes)


def answer(
    description: BundleDescription, context: PatientContext | None, *, quality: tuple[QualityFlag, ...] = ()
) -> Prediction:
    picture = PreparedPicture(np.zeros((2, 2, 3), np.uint8), (2, 2), quality, 0.25)
    return make_prediction(description, LOGITS, FEATURES, picture, context, 0.5)


def test_a_context_moves_the_answer_as_bayes_says() -> None:
    # p(class | photograph) p(class | face) / p(class) is 0.4 x 0.8 / 0.2 against 0.6 x 0.2 / 0.8, so 1.6 against 0.15.
    moved = answer(describe(), FACE)
    assert moved.probabilities["mel"] == pytest.approx(1.6 / 1.75, abs=1e-7)
    assert moved.probabilities["nv"] == pytest.approx(0.15 / 1.75, abs=1e-7)
    assert (moved.top, moved.advice, moved.context) == ("mel", "refer", ("site",))
    assert moved.malignant_probability == moved.probabilities["mel"]
    alone = answer(describe(), None)
    assert alone.probabilities["mel"] == pytest.approx(0.4, abs=1e-7)
    assert (alone.top, alone.advice, alone.context) == ("nv", "routine", ())
    assert alone.seconds == moved.seconds == 0.75


def test_half_the_weight_is_the_square_root_of_the_evidence() -> None:
    moved = answer(describe(context=face_model(weight=0.5)), FACE)
    # The odds of 0.4 to 0.6 times the square root of 4 to 1/4.
    assert moved.probabilities["mel"] == pytest.approx(0.4 * 2 / (0.4 * 2 + 0.6 * 0.5), abs=1e-7)


def test_the_temperature_is_that_of_what_is_known() -> None:
    description = describe(temperature=0.5, context=face_model(temperature=2.0))
    alone = answer(description, None)
    assert alone.probabilities["mel"] == pytest.approx(0.16 / (0.16 + 0.36), abs=1e-7)
    # The logits are halved, the evidence is not.
    mel, nv = math.sqrt(0.4) * 4, math.sqrt(0.6) / 4
    moved = answer(description, FACE)
    assert moved.probabilities["mel"] == pytest.approx(mel / (mel + nv), abs=1e-7)


@pytest.mark.parametrize("context", [None, NOTHING, PatientContext(sex="male"), PatientContext(site="ear")])
def test_where_nothing_of_use_is_known_the_photograph_alone_answers(context: PatientContext | None) -> None:
    description = describe(
        temperature=0.5,
        context=face_model(temperature=2.0, intercepts=(3.0, -1.0)),
        context_operating_points=(OperatingPoint("first", 0.9), OperatingPoint("second", 0.8)),
    )
    assert answer(description, context) == answer(dataclasses.replace(description, context=None), None)


@pytest.mark.parametrize("context", [NOTHING, FACE, PatientContext(70, "female", "face")])
def test_a_model_that_has_not_learnt_to_use_it_is_not_moved(context: PatientContext) -> None:
    description = describe(context=None)
    assert answer(description, context) == answer(description, None)
    assert answer(description, context).context == ()


def test_the_answer_names_what_moved_it() -> None:
    context = PatientContext(50, "male", "face")
    assert answer(describe(), context).context == ("age", "site")
    assert answer(describe(), PatientContext(50, "female")).context == ("age", "sex")


def test_the_threshold_is_that_of_what_is_known() -> None:
    points = (OperatingPoint("first", 0.95), OperatingPoint("second", 0.5))
    description = describe(context_operating_points=points)
    assert answer(description, None).operating_point == 0.45
    moved = answer(description, FACE)
    # 0.914 would be referred at the threshold of the photograph alone.
    assert (moved.operating_point, moved.advice) == (0.95, "routine")
    other = dataclasses.replace(description, default_operating_point="second")
    assert (answer(other, FACE).operating_point, answer(other, FACE).advice) == (0.5, "refer")
    # A bundle may have thresholds of the photograph alone, and no others.
    assert answer(describe(), FACE).operating_point == 0.45


def test_a_note_on_the_picture_spoils_no_answer() -> None:
    note = QualityFlag("ink", "Blue marks.", severity="note")
    answered = answer(describe(), FACE, quality=(note,))
    assert (answered.advice, answered.quality) == ("refer", (note,))


def test_a_picture_unlike_the_known_is_unsure_and_says_why() -> None:
    unlike, like = reference(not_skin=rule(0, 0, 0, least=1)), reference()
    picture = PreparedPicture(np.zeros((2, 2, 3), np.uint8), (2, 2), (), 0.25)
    for known, advice, names in ((unlike, "unsure", ["no-lesion"]), (like, "routine", [])):
        description = describe(reference_statistics=known)
        features = np.array([1, 0, 0], np.float32)
        found = make_prediction(description, LOGITS, features, picture, None, 0.5)
        assert (found.advice, [flag.name for flag in found.quality]) == (advice, names)
    # One reason is enough: a black picture is not told that it shows no lesion.
    dark = dataclasses.replace(picture, quality=(QualityFlag("too-dark", "Almost black."),))
    found = make_prediction(describe(reference_statistics=unlike), LOGITS, features, dark, None, 0.5)
    assert [flag.name for flag in found.quality] == ["too-dark"]


def test_bad_quality_is_unsure_whatever_is_known() -> None:
    flag = QualityFlag("too-dark", "Almost black.")
    moved = answer(describe(), FACE, quality=(flag,))
    assert (moved.advice, moved.quality, moved.context) == ("unsure", (flag,), ("site",))


def test_what_a_context_adds_to_the_logits_by_hand() -> None:
    description = describe(context=face_model(weight=0.5, temperature=3.0))
    expected = [3 * 0.5 * math.log(4), -3 * 0.5 * math.log(4)]
    np.testing.assert_allclose(logit_bias(description, FACE), expected, atol=1e-12)
    for nothing in (None, NOTHING):
        assert logit_bias(description, nothing).tolist() == [0.0, 0.0]
    assert logit_bias(describe(context=None), FACE).tolist() == [0.0, 0.0]


def test_a_calibration_adds_its_bias_to_the_scaled_logits() -> None:
    calibration = Calibration("biases", (math.log(3), 0.0), (0.0, math.log(16)))
    description = describe(temperature=0.5, context=face_model(temperature=1.0), calibration=calibration)
    # 0.4 squared times 3 to 0.6 squared; with a face 0.4 x 4 to 0.6 / 4 x 16.
    assert answer(description, None).probabilities["mel"] == pytest.approx(0.48 / (0.48 + 0.36), abs=1e-7)
    assert answer(description, FACE).probabilities["mel"] == pytest.approx(1.6 / (1.6 + 2.4), abs=1e-7)


def sets(melanoma: float, naevus: float) -> ConformalSets:
    return ConformalSets((melanoma, naevus), (20, 20))


def test_a_diagnosis_is_plausible_from_its_own_threshold_on() -> None:
    conformal = Conformal(0.95, "by class", sets(0.39, 0.3), sets(0.2, 0.01))
    assert answer(describe(conformal=conformal), None).plausible == ("nv", "mel")
    strict = describe(conformal=dataclasses.replace(conformal, photograph=sets(0.41, 0.3)))
    assert answer(strict, None).plausible == ("nv",)
    # 1.6 to 0.15 on a face, by the thresholds of those of whom something is known.
    assert answer(strict, FACE).plausible == ("mel", "nv")
    assert answer(describe(), FACE).plausible == ()


def test_the_most_probable_diagnosis_is_always_plausible() -> None:
    nothing_reaches = Conformal(0.95, "by class", sets(0.9, 0.9))
    assert answer(describe(conformal=nothing_reaches), None).plausible == ("nv",)


def test_a_stated_prevalence_moves_the_risk_and_the_threshold_by_its_odds() -> None:
    conformal = Conformal(0.95, "by class", sets(0.39, 0.3))
    description = describe(prevalence=Prevalence(0.2, 0.2), conformal=conformal)
    # Odds of 0.05 to 0.95 are 4/19 of those of 0.2 to 0.8, and the risk of 0.4 has odds of 2/3.
    rare = answer(at_prevalence(description, 0.05), None)
    odds = 2 / 3 * 4 / 19
    assert rare.malignant_probability == pytest.approx(odds / (1 + odds), abs=1e-7)
    assert sum(rare.probabilities.values()) == pytest.approx(1, abs=1e-12)
    threshold_odds = 0.45 / 0.55 * 4 / 19
    assert rare.operating_point == pytest.approx(threshold_odds / (1 + threshold_odds), abs=1e-12)
    assert rare.prevalence == 0.05
    usual = answer(description, None)
    assert (rare.advice, rare.plausible) == (usual.advice, usual.plausible)
    assert usual.prevalence is None
    frequent = answer(at_prevalence(description, 0.6), None)
    assert (frequent.top, frequent.advice) == ("mel", "routine")


def test_the_class_of_the_largest_biased_logit_is_the_one_named_first() -> None:
    generator = np.random.default_rng(3)
    for _ in range(200):
        weight, temperature, *biases = generator.uniform(0.2, 2.0, 6)
        description = describe(
            temperature=float(temperature),
            context=face_model(weight=float(weight), temperature=float(biases[0])),
            calibration=Calibration("biases", (0.0, float(biases[1])), (0.0, float(biases[2]) - 1)),
            prevalence=Prevalence(0.2, 0.1, float(generator.uniform(0.01, 0.99))),
        )
        for context in (None, FACE):
            first = int((LOGITS + logit_bias(description, context)).argmax())
            assert answer(description, context).top == description.classes[first]
