"""The page of a lesion's visits: how the risk moved, and the newest visits with their photographs. Draws no answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from derm_core.reporting.answered import ReportedAnswer
from derm_core.reporting.lettering import leading
from derm_core.reporting.marks import advice_mark
from derm_core.reporting.pictures import Print
from derm_core.reporting.sheet import BOTTOM, INNER, LEFT, RIGHT, Sheet
from derm_core.reporting.words import ADVICE_SHORT, date_text
from derm_core.serving.class_bars import class_bars, risk_and_point
from derm_core.serving.wording import percent

MOST_ROWS = 6
"""So many of the newest visits have a row with their photograph; the chart holds all."""
_CHART_HEIGHT = 150.0
_ROW = 50.0
_AXIS = 30.0
_COLUMNS = {"Date": 62.0, "Advice": 140.0, "Risk": 218.0, "Most probable": 268.0, "Model": 414.0}
"""Where each column of the table begins, from the left edge of the text."""


def visits_page(
    sheet: Sheet, y: float, answers: Sequence[ReportedAnswer], prints: Sequence[Print], notes: str
) -> None:
    """Draws the visits of a lesion.

    Args:
        sheet, y: the page, and where it goes on.
        answers: newest first.
        prints: small photographs of the first of them.
        notes: what was written about the lesion.
    """
    y = sheet.heading(LEFT, y, "Risk of malignancy over time") + 4
    y = _chart(sheet, y, list(reversed(answers))) + 14
    y = sheet.heading(LEFT, y, "Visits")
    y = _table(sheet, y, answers, prints)
    if len(answers) > len(prints):
        older = answers[len(prints) :]
        y = sheet.paragraph(
            LEFT, y, f"And {len(older)} earlier, from {date_text(older[-1].seen_at)} on; the chart shows them.",
            size=8, colour="muted",
        )  # fmt: skip
    if notes.strip():
        lines = sheet.lines(notes, INNER)
        room = int((BOTTOM - y - 26) // leading(9))
        if len(lines) > room:
            lines = [*lines[: max(0, room - 1)], "… The notes are longer than this report."]
        sheet.paragraph(LEFT, sheet.heading(LEFT, y + 10, "Notes on the lesion"), lines)


def _chart(sheet: Sheet, y: float, answers: Sequence[ReportedAnswer]) -> float:
    """Draws risk against time, oldest first, both axes to scale; hollow where another model answered."""
    newest = answers[-1].prediction
    left, bottom, width = LEFT + _AXIS, y + _CHART_HEIGHT, INNER - _AXIS - 8
    point_y = bottom - _CHART_HEIGHT * newest.operating_point
    sheet.box(left, y, width, point_y - y, fill="refer-soft")
    sheet.box(left, point_y, width, bottom - point_y, fill="routine-soft")
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = bottom - _CHART_HEIGHT * share
        sheet.line(left, at, left + width, at, colour="surface", line=0.6)
        sheet.text(left - 5, at + 2.6, f"{100 * share:.0f}%", size=7.5, colour="muted", anchor="end")
    sheet.line(left, point_y, left + width, point_y, colour="text", line=1, dash=(3, 2))
    places = _days([answer.seen_at.date() for answer in answers], left + 14, width - 28)
    shown = [
        (x, bottom - _CHART_HEIGHT * answer.prediction.malignant_probability, answer)
        for x, answer in zip(places, answers, strict=True)
        if answer.prediction.advice != "unsure"
    ]
    for (x, at, answer), (to_x, to_at, following) in pairwise(shown):
        # Figures of two models need not compare, so no line leads from one to the other.
        if answer.prediction.model_sha256 == following.prediction.model_sha256:
            one_day = x == to_x
            sheet.line(x, at, to_x, to_at, colour="text", line=1, dash=(1, 2) if one_day else ())
    for x, at, answer in shown:
        same = answer.prediction.model_sha256 == newest.model_sha256
        sheet.circle(x, at, 3.6, fill="text" if same else "surface", edge="text" if not same else "surface")
    for x, answer in zip(places, answers, strict=True):
        if answer.prediction.advice == "unsure":
            advice_mark(sheet, "unsure", x, bottom - 9, 13)
    sheet.line(left, bottom, left + width, bottom, colour="control")
    sheet.text(
        places[0], bottom + 12, date_text(answers[0].seen_at), size=7.5, colour="muted", anchor="start"
    )
    if places[-1] - places[0] > 120:
        sheet.text(
            places[-1],
            bottom + 12,
            date_text(answers[-1].seen_at),
            size=7.5,
            colour="muted",
            anchor="end",
        )
    return _chart_key(sheet, bottom + 18, answers)


def _chart_key(sheet: Sheet, y: float, answers: Sequence[ReportedAnswer]) -> float:
    newest = answers[-1].prediction
    words = [f"Broken line: operating point {percent(newest.operating_point)} of the newest answer."]
    if any(answer.prediction.model_sha256 != newest.model_sha256 for answer in answers):
        words.append("Hollow: answered by another model; its figures need not compare.")
    if any(answer.prediction.advice == "unsure" for answer in answers):
        words.append("Broken ring: no answer.")
    return sheet.paragraph(LEFT + _AXIS, y, " ".join(words), width=INNER - _AXIS, size=7.5, colour="muted")


def _table(sheet: Sheet, y: float, answers: Sequence[ReportedAnswer], prints: Sequence[Print]) -> float:
    for name, x in _COLUMNS.items():
        sheet.text(LEFT + x, y + 8, name, size=7.5, bold=True, colour="muted")
    y += 13
    for answer, photograph in zip(answers, prints, strict=False):
        sheet.line(LEFT, y, RIGHT, y)
        width, height = photograph.fitted(_COLUMNS["Date"] - 10, _ROW - 8)
        sheet.picture(photograph.jpeg, LEFT, y + 4, width, height)
        _row(sheet, y + 4, answer)
        y += _ROW
    sheet.line(LEFT, y, RIGHT, y)
    return y + 4


def _row(sheet: Sheet, y: float, answer: ReportedAnswer) -> None:
    prediction = answer.prediction
    answered = prediction.advice != "unsure"
    at = {name: LEFT + x for name, x in _COLUMNS.items()}
    sheet.text(at["Date"], y + 10, date_text(answer.seen_at), size=9, bold=True)
    if answer.taken_on is None:
        sheet.text(at["Date"], y + 21, f"{answer.seen_at:%H:%M}", size=8, colour="muted")
    advice_mark(sheet, prediction.advice, at["Advice"] + 6, y + 7, 12)
    sheet.text(
        at["Advice"] + 16,
        y + 10,
        ADVICE_SHORT[prediction.advice],
        size=9,
        bold=True,
        colour=prediction.advice,
    )
    if answered:
        risk, point = risk_and_point(prediction)
        sheet.text(at["Risk"], y + 10, risk, size=9, bold=True)
        sheet.text(at["Risk"], y + 21, f"point {point}", size=7.5, colour="muted")
        top = class_bars(prediction)[0]
        sheet.text(at["Most probable"], y + 10, f"{top.name}, {percent(top.probability)}", size=9)
    elif prediction.quality:
        why = sheet.lines(prediction.quality[0].reason, at["Model"] - at["Most probable"] - 8, size=8)[:3]
        sheet.paragraph(at["Most probable"], y, why, size=8, colour="muted")
    if answer.review:
        lines = sheet.lines(
            f"Confirmed: {answer.review}", at["Model"] - at["Most probable"] - 8, size=8, bold=True
        )[:2]
        sheet.paragraph(at["Most probable"], y + 12, lines, size=8, bold=True)
    model = sheet.lines(
        f"{prediction.model_name}, version {prediction.model_version}", RIGHT - at["Model"], size=7.5
    )[:3]
    sheet.paragraph(at["Model"], y + 1, model, size=7.5, colour="muted")


def _days(days: Sequence[date], left: float, width: float) -> list[float]:
    """Returns where each day stands, to scale; where there is one alone, in the middle."""
    span = (days[-1] - days[0]).days
    if span <= 0:
        return [left + width / 2] * len(days)
    return [left + width * (day - days[0]).days / span for day in days]
