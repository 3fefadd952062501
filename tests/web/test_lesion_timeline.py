"""How a lesion changed: the drawing is to scale, and the sentences say what the figures say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from web.lesion_timeline import ChartPoint, RiskChart, risk_chart, span_text, trend
from web.models import Prediction
from web.visits import Visit


def visit(
    day: str, risk: float | None, *, point: float = 0.18, model: str = "a", share: float | None = None
) -> Visit:
    """A photograph with this risk; None for one that was not answered."""
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
    advice = "unsure" if risk is None else "refer" if risk >= point else "routine"
    prediction = Prediction(
        created_at=moment, malignant_probability=risk or 0.0, operating_point=point, advice=advice,
        model_sha256=model * 64, lesion_share=share, probabilities={}, top="nv",
    )  # fmt: skip
    return Visit(prediction, date.fromisoformat(day))


def drawn(*visits: Visit) -> RiskChart:
    chart = risk_chart(visits)
    assert chart is not None
    return chart


def across(point: ChartPoint) -> float:
    return float(point.x.removesuffix("%"))


def test_time_is_to_scale() -> None:
    chart = drawn(visit("2024-01-01", 0.1), visit("2025-01-01", 0.2), visit("2027-01-01", 0.3))
    first, second, third = map(across, chart.points)
    assert (third - second) / (second - first) == pytest.approx(730 / 366, rel=0.01)


def test_risk_is_to_scale_from_zero_to_one_hundred() -> None:
    chart = drawn(visit("2024-01-01", 0.0), visit("2025-01-01", 0.5), visit("2026-01-01", 1.0))
    assert [point.y for point in chart.points] == [190, 104, 18]
    assert chart.point_y == pytest.approx(190 - 0.18 * 172, abs=0.1)


def test_another_models_points_are_hollow_and_said_to_be() -> None:
    chart = drawn(visit("2024-01-01", 0.1, model="b"), visit("2025-01-01", 0.2))
    assert [point.is_other for point in chart.points] == [True, False]
    assert chart.has_other


def test_what_was_not_answered_has_its_place_but_no_risk() -> None:
    chart = drawn(visit("2024-01-01", 0.1), visit("2025-01-01", None), visit("2026-01-01", 0.2))
    assert len(chart.points) == 2
    assert len(chart.lines) == 1
    assert len(chart.withheld) == 1
    assert "1 Jan 2025" not in chart.description
    assert risk_chart([visit("2025-01-01", None)]) is None


def test_figures_that_would_stand_on_each_other_are_left_out_but_never_the_latest() -> None:
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(60)]
    chart = drawn(*(visit(day.isoformat(), 0.3) for day in days))
    shown = [point for point in chart.points if point.text]
    assert chart.points[-1] in shown
    assert len(chart.points) == 60
    places = sorted(map(across, shown))
    assert all(b - a >= 11 for a, b in pairwise(places))


@pytest.mark.parametrize(
    ("first", "last", "texts"),
    [
        ("2026-11-21", "2026-11-21", ["21 Nov"]),
        ("2026-11-20", "2026-11-22", ["20 Nov", "21 Nov", "22 Nov"]),
        ("2026-10-30", "2026-11-21", ["30 Oct", "6 Nov", "13 Nov", "20 Nov"]),
        ("2026-01-15", "2026-04-20", ["Feb 2026", "Mar 2026", "Apr 2026"]),
        ("2024-10-14", "2026-11-21", ["Jan 2025", "Jul 2025", "Jan 2026", "Jul 2026"]),
        ("2021-03-01", "2024-11-21", ["2022", "2023", "2024"]),
        ("2001-03-01", "2024-11-21", ["2005", "2010", "2015", "2020"]),
    ],
)
def test_the_axis_has_a_few_round_days(first: str, last: str, texts: list[str]) -> None:
    chart = drawn(visit(first, 0.1), visit(last, 0.1))
    assert [tick.text for tick in chart.ticks] == texts


def test_all_on_one_day_stand_in_the_middle() -> None:
    chart = drawn(visit("2026-11-21", 0.1), visit("2026-11-21", 0.3))
    assert {point.x for point in chart.points} == {"53.5%"}


def test_the_banner_says_how_risk_rose_over_the_operating_point_and_in_what_time() -> None:
    said = trend([visit("2024-10-14", 0.06), visit("2025-11-03", 0.14), visit("2026-11-21", 0.67)])
    assert said.title == "Refer: risk rose from 14% to 67%"
    assert said.sentences == ("In 13 months, and for the first time at or above the operating point of 18%.",)


def test_it_is_not_the_first_time_where_it_was_above_before() -> None:
    said = trend([visit("2024-01-01", 0.3), visit("2025-01-01", 0.1), visit("2025-02-01", 0.2)])
    assert said.title == "Refer: risk rose from 10% to 20%"
    assert said.sentences == ("In 4 weeks; at or above the operating point of 18%.",)


def test_a_fall_and_no_change_are_called_so() -> None:
    assert (
        trend([visit("2024-01-01", 0.1), visit("2024-01-02", 0.02)]).title
        == "Routine: risk fell from 10% to 2%"
    )
    assert (
        trend([visit("2024-01-01", 0.101), visit("2024-01-02", 0.1)]).title == "Routine: risk stayed at 10%"
    )


def test_what_cannot_be_compared_is_said() -> None:
    said = trend([visit("2024-01-01", 0.1, model="b"), visit("2024-03-01", 0.12)])
    assert (
        "Another model answered the earlier picture, so the two are not fully comparable." in said.sentences
    )


def test_the_sizes_in_view_are_told_where_both_are_known() -> None:
    said = trend([visit("2024-01-01", 0.1, share=0.18), visit("2024-03-01", 0.12, share=0.31)])
    assert said.sentences[-1] == "The lesion covered 18% of the earlier picture and covers 31% of this one."
    assert len(trend([visit("2024-01-01", 0.1), visit("2024-03-01", 0.12, share=0.31)]).sentences) == 1


def test_a_single_photograph_and_one_without_answer_are_not_compared() -> None:
    assert trend([visit("2024-01-01", 0.1)]).title == "Routine: risk 10%"
    assert (
        trend([visit("2024-01-01", 0.1), visit("2025-01-01", None)]).title
        == "No answer for the latest picture"
    )
    skipped = trend([visit("2024-01-01", 0.1), visit("2024-06-01", None), visit("2025-01-01", 0.2)])
    assert skipped.title == "Refer: risk rose from 10% to 20%"


@pytest.mark.parametrize(
    ("days", "text"),
    [(0, "On the same day"), (1, "In 1 day"), (13, "In 13 days"), (14, "In 2 weeks"), (59, "In 8 weeks"),
     (61, "In 2 months"), (383, "In 13 months"), (1100, "In 3 years")],
)  # fmt: skip
def test_spans_are_written_in_the_unit_that_fits(days: int, text: str) -> None:
    assert span_text(timedelta(days=days)) == text
