"""The classes of an answer in words, which of them is explained first, and figures that can be told apart."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from derm_core import class_bars, diagnosis_name, explained_code, leading_malignancy, risk_and_point

REFER = {"akiec": 0.02, "bcc": 0.03, "bkl": 0.1, "df": 0.004, "mel": 0.62, "nv": 0.223, "vasc": 0.003}
ROUTINE = {"akiec": 0.01, "bcc": 0.01, "bkl": 0.06, "df": 0.002, "mel": 0.013, "nv": 0.9, "vasc": 0.005}


def answer(risk: float = 0.67, point: float = 0.18, **values: object) -> SimpleNamespace:
    return SimpleNamespace(malignant_probability=risk, operating_point=point, **values)


@pytest.mark.parametrize(
    ("risk", "point", "texts"),
    [
        (0.67, 0.18, ("67%", "18%")),
        (0.176, 0.18, ("17.6%", "18.0%")),
        (0.1801, 0.1799, ("18.01%", "17.99%")),
        (0.18, 0.18, ("18%", "18%")),
        (0.004, 0.006, ("0.4%", "0.6%")),
    ],
)
def test_risk_and_point_can_be_told_apart(risk: float, point: float, texts: tuple[str, str]) -> None:
    assert risk_and_point(answer(risk, point)) == texts


def test_classes_stand_in_order_of_probability_with_their_names() -> None:
    bars = class_bars(SimpleNamespace(probabilities=REFER))
    assert [bar.code for bar in bars] == ["mel", "nv", "bkl", "bcc", "akiec", "df", "vasc"]
    assert (bars[0].name, bars[0].malignant) == ("Melanoma", True)
    assert math.isclose(sum(bar.probability for bar in bars), 1)


def test_a_class_that_is_not_known_keeps_its_code() -> None:
    assert diagnosis_name("xyz") == "xyz"
    assert class_bars(SimpleNamespace(probabilities={"xyz": 1.0}))[0].name == "xyz"


def test_the_heatmap_shown_first_is_that_of_what_the_advice_rests_on() -> None:
    mixed = REFER | {"mel": 0.2, "nv": 0.643}
    assert explained_code(answer(probabilities=REFER, top="mel", advice="refer")) == "mel"
    assert explained_code(answer(probabilities=mixed, top="nv", advice="refer")) == "mel"
    assert explained_code(answer(probabilities=ROUTINE, top="nv", advice="routine")) == "nv"


def test_no_malignancy_leads_where_none_makes_up_most_of_the_risk() -> None:
    even = {"akiec": 0.2, "bcc": 0.2, "mel": 0.2, "nv": 0.4}
    assert leading_malignancy(answer(0.6, probabilities=even)) is None
    led = leading_malignancy(answer(0.67, probabilities=REFER))
    assert led is not None
    assert led.code == "mel"


def test_a_group_of_diagnoses_leads_nothing() -> None:
    assert leading_malignancy(answer(0.9, probabilities={"malignant": 0.9, "benign": 0.1})) is None
