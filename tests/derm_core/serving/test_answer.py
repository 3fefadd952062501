"""From logits to an answer by hand: a network of two classes whose logits are constant, and what is known beside it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from derm_core.data.transforms import Preprocessing
from derm_core.serving.answer import context_bias, make_prediction
from derm_core.serving.context import PatientContext
from derm_core.serving.description import BundleDescription
from derm_core.serving.operating_point import OperatingPoint
from derm_core.serving.prediction import Prediction, QualityFlag
from derm_core.serving.preparation import PreparedPicture

from .patients import face_model

# The photograph alone says: melanoma at two fifths, naevus at three.
LOGITS = np.log(np.array([0.4, 0.6], dtype=np.float32))
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
    return make_prediction(description, LOGITS, picture, context, 0.5)


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


def test_bad_quality_is_unsure_whatever_is_known() -> None:
    flag = QualityFlag("too-dark", "Almost black.")
    moved = answer(describe(), FACE, quality=(flag,))
    assert (moved.advice, moved.quality, moved.context) == ("unsure", (flag,), ("site",))


def test_what_is_added_to_the_logits_by_hand() -> None:
    description = describe(context=face_model(weight=0.5, temperature=3.0))
    expected = [3 * 0.5 * math.log(4), -3 * 0.5 * math.log(4)]
    np.testing.assert_allclose(context_bias(description, FACE), expected, atol=1e-12)
    for nothing in (None, NOTHING):
        assert context_bias(description, nothing).tolist() == [0.0, 0.0]
    assert context_bias(describe(context=None), FACE).tolist() == [0.0, 0.0]
