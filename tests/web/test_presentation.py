"""How figures, names and times are written."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from derm_core import percent
from web.pictures import SAMPLE
from web.presentation import date_text, initials, measured_sentence, risk_scale, seconds_text, svg_percent
from web.sample import HEIGHT, WIDTH, draw_sample


def answer(risk: float = 0.67, point: float = 0.18, **values: object) -> SimpleNamespace:
    return SimpleNamespace(malignant_probability=risk, operating_point=point, **values)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "<1%"),
        (0.0099, "<1%"),
        (0.01, "1%"),
        (0.125, "12%"),
        (0.626, "63%"),
        (0.99, "99%"),
        (0.991, ">99%"),
        (1, ">99%"),
    ],
)
def test_shares_are_whole_percents_and_never_none_or_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_no_share_is_ever_written_as_nought_or_a_hundred() -> None:
    assert {"0%", "100%"}.isdisjoint(percent(step / 10000) for step in range(10001))


def test_the_measured_figures_come_with_interval_and_number() -> None:
    measured = {"sensitivity": 0.95, "specificity": 0.5, "sensitivity_ci95": [0.9, 0.98], "lesions": 1119}
    assert measured_sentence(answer(operating_point_measured=measured)) == (
        "At 18% this model finds 95% (95% CI 90–98) of malignant lesions and spares 50% of benign ones. "
        "Measured on 1,119 lesions that it was not trained on."
    )
    assert measured_sentence(answer(operating_point_measured={})) is None


@pytest.mark.parametrize(("risk", "anchor"), [(0.01, "start"), (0.5, "middle"), (0.98, "end")])
def test_the_scale_keeps_its_figure_inside(risk: float, anchor: str) -> None:
    scale = risk_scale(answer(risk))
    assert scale.risk_anchor == anchor
    assert (scale.point, scale.rest) == ("18%", "82%")


@pytest.mark.parametrize(
    ("risk", "point", "routine", "refer"),
    [
        (0.67, 0.18, ("0%", "start"), ("100%", "end")),
        (0.03, 0.18, None, ("100%", "end")),
        (0.03, 0.4, ("40%", "end"), ("100%", "end")),
        (0.97, 0.18, ("0%", "start"), ("18%", "start")),
        (0.5, 0.05, None, ("100%", "end")),
        (0.95, 0.9, ("0%", "start"), None),
    ],
)
def test_words_over_the_scale_stand_clear_of_the_risk(
    risk: float, point: float, routine: tuple[str, str] | None, refer: tuple[str, str] | None
) -> None:
    scale = risk_scale(answer(risk, point))
    assert (scale.routine, scale.refer) == (routine, refer)


@pytest.mark.parametrize(("share", "text"), [(0, "0%"), (0.1, "10%"), (0.12345, "12.35%"), (1, "100%")])
def test_lengths_are_written_for_svg(share: float, text: str) -> None:
    assert svg_percent(share) == text


def test_dates_and_durations_are_short() -> None:
    assert date_text(datetime(2026, 11, 2, 9, 14, tzinfo=UTC)) == "2 Nov 2026"
    assert [seconds_text(seconds) for seconds in (0.081, 1.44)] == ["0.08 s", "1.4 s"]


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Dr Mira Aydin", "MA"),
        ("Mira", "M"),
        ("Prof. Dr. Li", "L"),
        ("Ana María de la Cruz", "AC"),
        ("Dr", "D"),
        ("-", "-"),
    ],
)
def test_initials_leave_titles_out(name: str, letters: str) -> None:
    assert initials(name) == letters


def test_the_sample_that_ships_is_the_one_that_is_drawn() -> None:
    drawn, shipped = draw_sample(), Image.open(SAMPLE)
    assert shipped.size == (WIDTH, HEIGHT)
    with shipped:
        difference = np.abs(np.asarray(shipped, dtype=np.int16) - np.asarray(drawn, dtype=np.int16))
    assert difference.mean() < 3
