"""What may be known of a patient beside the photograph: the fields that ask for it, and how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import gradio as gr

from derm_core import SEXES, SITES, ConfigError, PatientContext
from desktop.texts import say

if TYPE_CHECKING:
    from derm_core import Prediction

Given = tuple[str | None, str | None, str | None]
"""Age in years, sex and body site as the page sends them; None or empty where they were left out."""
NOTHING: Given = ("", "", "")


def patient_fields() -> list[gr.components.Component]:
    """Makes the fields of age, sex and body site; call it where they shall stand."""
    with gr.Row(elem_id="patient-fields"):
        # No gr.Number: that shows 0 where nothing is entered, and sends it.
        age = gr.Textbox(
            "",
            label=say("patient-age"),
            max_lines=1,
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )
        return [age, _list(say("patient-sex"), SEXES), _list(say("patient-site"), SITES)]


def patient_of(given: Given) -> PatientContext:
    """Returns what is known of a patient; raises ConfigError where a value makes no sense."""
    age, sex, site = ((value or "").strip() for value in given)
    try:
        years = float(age) if age else None
    except ValueError as err:
        raise ConfigError(say("patient-wrong-age")) from err
    return PatientContext(years, sex, site)


def patient_text(patient: PatientContext, names: Sequence[str]) -> str:
    """Writes what these names of a patient say: 54 years, female, back; empty where there is nothing."""
    years = (
        ""
        if patient.age is None
        else say("year")
        if patient.age == 1
        else say("years", count=f"{patient.age:g}")
    )
    words = {"age": years, "sex": patient.sex, "site": patient.site}
    return ", ".join(words[name] for name in patient.known if name in names)


def answered_with(prediction: Prediction, patient: PatientContext) -> str:
    """Says what an answer rests on, in one line; empty where there is none and nothing was given."""
    used = patient_text(patient, prediction.context)
    unused = patient_text(patient, [name for name in patient.known if name not in prediction.context])
    if prediction.advice == "unsure":
        given = patient_text(patient, patient.known)
        return say("patient-given", words=given) if given else ""
    sentence = say("patient-used", words=used) if used else say("patient-none")
    return say("patient-unused", sentence=sentence, words=unused) if unused else sentence


def _list(label: str, known: Sequence[str]) -> gr.Dropdown:
    choices = [(say("patient-unknown"), ""), *((word.capitalize(), word) for word in known)]
    return gr.Dropdown(choices, value="", label=label, filterable=False)
