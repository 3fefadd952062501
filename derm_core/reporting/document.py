"""Puts the pages of a report together. Needs reportlab, and is imported where a report is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from derm_core.reporting.answer_page import body, head, note, rest_of_note
from derm_core.reporting.answered import ReportedAnswer
from derm_core.reporting.pictures import SMALL_SIDE, Print, open_photograph, print_of, under_heatmap
from derm_core.reporting.sheet import ONE_AT_A_TIME, Sheet
from derm_core.reporting.visits_page import MOST_ROWS, visits_page
from derm_core.reporting.words import date_text, moment_text, patient_text


def answer_document(answer: ReportedAnswer, title: str, requested_by: str) -> bytes:
    """Returns the PDF of one answer."""
    photograph, heatmap = _large_prints(answer)
    with ONE_AT_A_TIME:
        sheet = Sheet(title, answer.answered_at, foot=_foot(answer))
        y = body(sheet, head(sheet, title, _facts(answer, requested_by)), answer, photograph, heatmap)
        left_over = note(sheet, y, answer.note)
        if left_over:
            sheet.pages = 2
            rest_of_note(sheet, sheet.next_page(), left_over)
        return sheet.finish()


def lesion_document(
    name: str, answers: Sequence[ReportedAnswer], site: str, notes: str, requested_by: str
) -> bytes:
    """Returns the PDF of a lesion; `answers` are one or more, newest first."""
    newest = answers[0]
    photograph, heatmap = _large_prints(newest)
    small = [print_of(open_photograph(answer.photograph, SMALL_SIDE)) for answer in answers[:MOST_ROWS]]
    with ONE_AT_A_TIME:
        sheet = Sheet(name, newest.answered_at, foot=_foot(newest))
        has_visits = len(answers) > 1 or bool(notes.strip())
        sheet.pages = 2 if has_visits else 1
        facts = ({"Body site": site} if site else {}) | _facts(newest, requested_by)
        y = body(sheet, head(sheet, name, facts), newest, photograph, heatmap)
        # The second page is for the visits; where a note is longer than the first, the answer's own report has it.
        note(sheet, y, newest.note, goes_on=False)
        if has_visits:
            visits_page(sheet, sheet.next_page(), answers, small, notes)
        return sheet.finish()


def _large_prints(answer: ReportedAnswer) -> tuple[Print, Print | None]:
    image = open_photograph(answer.photograph)
    if answer.heatmap is None or answer.prediction.advice == "unsure":
        # Of a picture without an answer no heatmap is shown, as no figure is.
        return print_of(image), None
    return print_of(image), print_of(under_heatmap(image, answer.heatmap))


def _facts(answer: ReportedAnswer, requested_by: str) -> dict[str, str]:
    facts = {
        "Patient": patient_text(answer.patient),
        "Photographed": date_text(answer.taken_on) if answer.taken_on else "",
        "Answered": moment_text(answer.answered_at),
        "Requested by": requested_by,
        "Record": answer.record,
    }
    return {name: value for name, value in facts.items() if value}


def _foot(answer: ReportedAnswer) -> list[str]:
    prediction = answer.prediction
    return [
        f"Model {prediction.model_name}, version {prediction.model_version} · "
        f"weights SHA-256 {prediction.model_sha256}"
    ]
