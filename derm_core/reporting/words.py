"""How the figures of an answer are written on paper. Draws nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, datetime

from derm_core.serving.class_bars import class_bars, leading_malignancy, risk_and_point
from derm_core.serving.context import PatientContext
from derm_core.serving.prediction import Prediction

ADVICE_WORDS = {
    "refer": "Refer to a dermatologist",
    "routine": "Routine follow-up",
    "unsure": "No answer for this picture",
}
ADVICE_SHORT = {"refer": "Refer", "routine": "Routine", "unsure": "No answer"}
UNPRINTABLE = "□"
"""Stands for a character that the font lacks."""


def advice_reason(prediction: Prediction) -> str:
    """Says why the advice is what it is, in one or two sentences."""
    point = risk_and_point(prediction)[1]
    if prediction.advice == "unsure":
        return (
            "Any probability here would be a guess, so none is given. "
            "This says nothing about the lesion: judge it by examination."
        )
    if prediction.advice == "routine":
        return (
            f"The risk of malignancy is below the operating point of {point}. "
            "A low figure does not rule out malignancy: look again if the lesion changes."
        )
    sentence = f"The risk of malignancy is at or above the operating point of {point}."
    leading, first = leading_malignancy(prediction), class_bars(prediction)[0]
    if leading:
        sentence += f" Most of it is {leading.name.lower()}."
    if not first.malignant:
        sentence += (
            f" {first.name} is the most likely single diagnosis; "
            "the malignant ones together decide the advice."
        )
    return sentence


def patient_text(patient: PatientContext) -> str:
    """Writes what is known of the patient: 54 years, female, back; empty where nothing is."""
    years = "" if patient.age is None else "1 year" if patient.age == 1 else f"{patient.age:g} years"
    return ", ".join(filter(None, (years, patient.sex, patient.site)))


def basis_text(prediction: Prediction, patient: PatientContext) -> str:
    """Says what the answer rests on beside the photograph; empty where there is no answer."""
    if prediction.advice == "unsure":
        return ""
    if not prediction.context:
        unused = " Age, sex and site were not used." if patient.known else ""
        return f"Answered from the photograph alone.{unused}"
    return f"Answered with {' and '.join(_listed(prediction.context))}; the heatmap shows the photograph’s part only."


def date_text(moment: date) -> str:
    """Writes a date: 21 Nov 2026."""
    return f"{moment.day} {moment:%b %Y}"


def moment_text(moment: datetime) -> str:
    """Writes a time to the minute, with the zone that it is in: 21 Nov 2026, 09:14 UTC."""
    return f"{date_text(moment)}, {moment:%H:%M} {moment:%Z}".rstrip()


def printable(text: str, has_glyph: Callable[[str], bool]) -> str:
    """Returns the text without control characters but line ends; UNPRINTABLE for what the font cannot draw."""
    lines = []
    for line in unicodedata.normalize("NFC", text).splitlines():
        kept = (" " if char.isspace() else char for char in line if char.isspace() or char.isprintable())
        lines.append("".join(char if has_glyph(char) else UNPRINTABLE for char in kept))
    return "\n".join(lines)


def _listed(names: tuple[str, ...]) -> list[str]:
    """Joins all but the last by commas."""
    return [", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names)
