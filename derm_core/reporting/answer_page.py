"""The page of one answer: head, advice, photograph and heatmap, figures, quality, note. Draws no visit before it."""

from __future__ import annotations

from derm_core.reporting.answered import ReportedAnswer
from derm_core.reporting.figures import advice_banner, heatmap_legend, probability_bars, risk_scale
from derm_core.reporting.lettering import leading
from derm_core.reporting.marks import brand, kind_mark
from derm_core.reporting.pictures import Print
from derm_core.reporting.sheet import BOTTOM, INNER, LEFT, RIGHT, TOP, Sheet
from derm_core.reporting.words import basis_text
from derm_core.serving.class_bars import diagnosis_name
from derm_core.serving.wording import plausible_words

_GAP = 16.0
_COLUMN = (INNER - _GAP) / 2
_SECOND = LEFT + _COLUMN + _GAP
_PICTURE_HEIGHT = 186.0
_NOTE_SIZE = 9.0
_CUT = "… The note is longer than this report; the answer itself holds all of it."
_STEPS = (
    "Take the picture again: dermatoscope on the skin, lesion centred and sharp.",
    "Check the file: the wrong picture is easily chosen from a folder.",
    "It is a lesion after all? Some pictures cannot be answered. Rely on examination.",
)


def head(sheet: Sheet, title: str, facts: dict[str, str]) -> float:
    """Draws the brand, the title and the facts beside it; returns where the page goes on."""
    brand(sheet, LEFT, TOP, 18)
    sheet.text(LEFT + 23, TOP + 13.5, "Dermatrace", size=12, bold=True, colour="accent")
    y = sheet.paragraph(LEFT, TOP + 24, title, width=_COLUMN - 10, size=18, bold=True)
    fact_y = TOP + 10
    for name, value in facts.items():
        sheet.text(_SECOND, fact_y, name, size=8.5, colour="muted")
        lines = sheet.lines(value, RIGHT - _SECOND - 74, size=8.5)[:2]
        sheet.paragraph(_SECOND + 74, fact_y - 9.2, lines, size=8.5)
        fact_y += 12.5 * max(1, len(lines))
    return max(y, fact_y - 8) + 12


def body(sheet: Sheet, y: float, answer: ReportedAnswer, photograph: Print, heatmap: Print | None) -> float:
    """Draws all of an answer but its note; returns where the page goes on."""
    y = advice_banner(sheet, y, answer.prediction) + 14
    if answer.prediction.advice == "unsure":
        return _refusal(sheet, y, answer, photograph)
    y = _pictures(sheet, y, answer, photograph, heatmap) + 16
    return max(_first_column(sheet, y, answer), _second_column(sheet, y, answer)) + 10


def note(sheet: Sheet, y: float, text: str, *, goes_on: bool = True) -> list[str]:
    """Writes a note as far as the page reaches, and returns the lines that did not fit.

    Where it does not go on, its last line on the page says that it is cut.
    """
    if not text.strip():
        return []
    lines = sheet.lines(text, INNER, size=_NOTE_SIZE)
    room = int((BOTTOM - y - 16) // leading(_NOTE_SIZE))
    if room < 1:
        return lines
    shown, left_over = lines[:room], lines[room:]
    if left_over and not goes_on:
        shown[-1] = _CUT
    sheet.paragraph(LEFT, sheet.heading(LEFT, y, "Note"), shown, size=_NOTE_SIZE)
    return left_over


def rest_of_note(sheet: Sheet, y: float, lines: list[str]) -> None:
    """Writes what did not fit on the page before; what does not fit here either is told to be missing."""
    y = sheet.heading(LEFT, y, "Note, continued")
    room = int((BOTTOM - y) // leading(_NOTE_SIZE))
    if len(lines) > room:
        lines = [*lines[: room - 1], _CUT]
    sheet.paragraph(LEFT, y, lines, size=_NOTE_SIZE)


def _pictures(
    sheet: Sheet, y: float, answer: ReportedAnswer, photograph: Print, heatmap: Print | None
) -> float:
    end = y
    caption = "Photograph (a drawn example)" if answer.is_sample else "Photograph"
    for x, picture, words in (
        (LEFT, photograph, caption),
        (_SECOND, heatmap, f"What speaks for {diagnosis_name(answer.explained)}"),
    ):
        if picture is None:
            continue
        width, height = picture.fitted(_COLUMN, _PICTURE_HEIGHT)
        sheet.picture(picture.jpeg, x, y, width, height)
        sheet.text(x, y + height + 12, words, size=8, colour="muted")
        below = y + height + 16
        end = max(end, heatmap_legend(sheet, x, below + 2, width) if picture is heatmap else below)
    return end


def _first_column(sheet: Sheet, y: float, answer: ReportedAnswer) -> float:
    width = _COLUMN - 8
    y = probability_bars(sheet, LEFT, sheet.heading(LEFT, y, "Probabilities"), width, answer.prediction)
    plausible, often = plausible_words(answer.prediction.plausible, answer.plausible_level)
    if plausible:
        y = sheet.paragraph(LEFT, y + 6, plausible, width=width, size=9, bold=True)
        y = sheet.paragraph(LEFT, y, often, width=width, size=8, colour="muted")
    return y


def _second_column(sheet: Sheet, y: float, answer: ReportedAnswer) -> float:
    width = RIGHT - _SECOND
    y = sheet.heading(_SECOND, y, "Risk against the operating point")
    y = risk_scale(sheet, _SECOND, y - 4, width, answer.prediction)
    basis = basis_text(answer.prediction, answer.patient)
    y = sheet.paragraph(_SECOND, y, f"{answer.measured} {basis}".strip(), width=width, size=8, colour="muted")
    quality = answer.prediction.quality
    y = sheet.heading(_SECOND, y + 10, "Picture quality")
    if quality:
        y = _reasons(sheet, y, [flag.reason for flag in quality])
    else:
        y = sheet.paragraph(
            _SECOND, y, "Nothing was found wrong with size, light, sharpness or what is in view.", width=width
        )
    if answer.review:
        y = sheet.paragraph(
            _SECOND, sheet.heading(_SECOND, y + 10, "Confirmed afterwards"), answer.review, width=width
        )
    return y


def _refusal(sheet: Sheet, y: float, answer: ReportedAnswer, photograph: Print) -> float:
    below = _pictures(sheet, y, answer, photograph, None)
    reasons = [flag.reason for flag in answer.prediction.quality] or [
        "This picture is too unlike those the model knows."
    ]
    y = _reasons(sheet, sheet.heading(_SECOND, y, "Why"), reasons)
    y = _reasons(sheet, sheet.heading(_SECOND, y + 10, "What to do"), list(_STEPS))
    if answer.review:
        y = sheet.heading(_SECOND, y + 10, "Confirmed afterwards")
        y = sheet.paragraph(_SECOND, y, answer.review, width=RIGHT - _SECOND)
    return max(below, y) + 14


def _reasons(sheet: Sheet, y: float, reasons: list[str]) -> float:
    for reason in reasons:
        kind_mark(sheet, _SECOND + 4, y + 8, malignant=False)
        y = sheet.paragraph(_SECOND + 13, y, reason, width=RIGHT - _SECOND - 13) + 2
    return y
