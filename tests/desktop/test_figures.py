"""How figures are written: whole percents that never claim certainty, and two figures that can be told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from derm_core import Prediction, percent, risk_and_point
from desktop.figures import risk_scale, seconds_text, svg_percent
from tests.desktop.conftest import FakePredictor


@pytest.fixture
def prediction(predictor: FakePredictor, lesion: Path) -> Prediction:
    return predictor.explain_all(lesion).prediction


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "<1%"),
        (0.0099, "<1%"),
        (0.01, "1%"),
        (0.18, "18%"),
        (0.99, "99%"),
        (0.991, ">99%"),
        (1, ">99%"),
    ],
)
def test_a_share_is_written_in_whole_percents(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("risk", "texts"), [(0.67, ("67%", "18%")), (0.1797, ("17.97%", "18.00%")), (0.18, ("18%", "18%"))]
)
def test_a_risk_close_to_the_operating_point_gets_decimals(
    prediction: Prediction, risk: float, texts: tuple[str, str]
) -> None:
    assert risk_and_point(replace(prediction, malignant_probability=risk)) == texts


def test_words_on_the_scale_that_would_collide_are_left_out(prediction: Prediction) -> None:
    low = risk_scale(replace(prediction, operating_point=0.05, malignant_probability=0.99))
    assert (low.has_room_for_routine, low.has_room_for_refer, low.risk_anchor, low.point_anchor) == (
        False,
        True,
        "end",
        "start",
    )
    assert not risk_scale(replace(prediction, operating_point=0.5)).shows_middle


def test_lengths_and_times_are_short() -> None:
    assert (svg_percent(0.125), svg_percent(0.5), svg_percent(0)) == ("12.5%", "50%", "0%")
    assert (seconds_text(0.0812), seconds_text(1.44)) == ("0.08 s", "1.4 s")
