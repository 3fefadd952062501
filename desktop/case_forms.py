"""The forms of the case list: their fields, and what they say. Keeps nothing."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import gradio as gr

from derm_core import CONFIRMATIONS, DIAGNOSES, SITES, CaseReview, ConfigError
from desktop.blocks import html
from desktop.case_entries import Named, noted
from desktop.case_page import how_words
from desktop.case_schema import NAME_LENGTH, NOTE_LENGTH
from desktop.texts import say

_EARLIEST = date(1900, 1, 1)


@dataclass(frozen=True)
class Form:
    """A form of the tab: what holds it, its heading, its fields, and its two buttons."""

    column: gr.Column
    head: gr.HTML
    fields: list[Any]
    done: gr.Button
    cancel: gr.Button


def keep_form() -> Form:
    """Makes the form that keeps a picture: which lesion, what a new one is called, when it was taken, and a note."""
    with gr.Column(visible=False, elem_id="case-keep", elem_classes="group") as column:
        head = html(elem_id="case-keep-head")
        lesion = gr.Dropdown([(say("case-keep-new"), "")], value="", label=say("case-keep-lesion"))
        with gr.Column(elem_id="case-keep-new") as new:
            names = _name_fields()
        with gr.Row(elem_classes="case-fields"):
            taken = _line("case-keep-taken", "case-keep-taken-hint")
            note = _line("case-keep-note")
        done, cancel = _buttons("case-keep-do", "case-keep-not")
    lesion.change(
        lambda key: gr.update(visible=not key),
        lesion,
        new,
        show_progress="hidden",
        api_visibility="private",
    )
    return Form(column, head, [lesion, *names, taken, note], done, cancel)


def named_form() -> Form:
    """Makes the form of what a lesion is called, with its notes."""
    with gr.Column(visible=False, elem_id="case-named", elem_classes="group") as column:
        head = html()
        names = _name_fields()
        notes = gr.Textbox(label=say("case-notes"), lines=3, max_lines=8)
        done, cancel = _buttons("case-save", "case-cancel")
    return Form(column, head, [*names, notes], done, cancel)


def review_form() -> Form:
    """Makes the form of a confirmed diagnosis."""
    codes = [(known.name, code) for code, known in DIAGNOSES.items()]
    ways = [(words, way) for way, words in how_words().items() if way in CONFIRMATIONS]
    with gr.Column(visible=False, elem_id="case-review", elem_classes="group") as column:
        head = html()
        with gr.Row(elem_classes="case-fields"):
            diagnosis = gr.Dropdown(codes, value=None, label=say("case-review-diagnosis"), filterable=False)
            how = gr.Dropdown(ways, value=None, label=say("case-review-how"), filterable=False)
        comment = _line("case-review-comment")
        done, cancel = _buttons("case-save", "case-cancel")
    return Form(column, head, [diagnosis, how, comment], done, cancel)


def named_of(patient: str | None, name: str | None, site: str | None, notes: str | None = "") -> Named:
    """Returns what a lesion is called; raises ConfigError with a sentence where that cannot be."""
    named = Named(
        _tidy(patient, "case-patient", NAME_LENGTH),
        _tidy(name, "case-name", NAME_LENGTH),
        site if site in SITES else "",
        _tidy(notes, "case-notes", NOTE_LENGTH, lines=True),
    )
    if not named.patient and not named.name:
        raise ConfigError(say("case-needs-name"))
    return named


def day_of(written: str | None) -> date | None:
    """Returns the day that was written; raises ConfigError where it is none, or has not come yet."""
    text = (written or "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or not _EARLIEST <= day <= date.today() + timedelta(days=1):
        raise ConfigError(say("case-wrong-day", written=text[:40]))
    return day


def note_of(written: str | None) -> str:
    """Returns a note; raises ConfigError where it is too long."""
    return _tidy(written, "case-keep-note", NOTE_LENGTH, lines=True)


def review_of(diagnosis: str | None, how: str | None, comment: str | None) -> CaseReview:
    """Returns a confirmed diagnosis; raises ConfigError where something is missing."""
    if not diagnosis or diagnosis not in DIAGNOSES or not how or how not in CONFIRMATIONS:
        raise ConfigError(say("case-review-missing"))
    told = _tidy(comment, "case-review-comment", NOTE_LENGTH, lines=True)
    return noted("confirmed", diagnosis, how, told)


def _tidy(text: str | None, field: str, most: int, *, lines: bool = False) -> str:
    kept = "".join(
        mark
        for mark in (text or "").replace("\r\n", "\n")
        if mark in "\n\t" or unicodedata.category(mark) not in ("Cc", "Cs", "Zl", "Zp")
    )
    kept = kept.strip() if lines else " ".join(kept.split())
    if len(kept) > most:
        raise ConfigError(say("case-too-long", field=say(field), count=len(kept), most=most))
    return kept


def _name_fields() -> list[Any]:
    with gr.Row(elem_classes="case-fields"):
        patient = _line("case-patient", "case-patient-hint")
        name = _line("case-name", "case-name-hint")
        sites = [(say("patient-unknown"), ""), *((word.capitalize(), word) for word in SITES)]
        site = gr.Dropdown(sites, value="", label=say("case-site"), filterable=False)
    return [patient, name, site]


def _line(label: str, hint: str = "") -> gr.Textbox:
    return gr.Textbox(
        "",
        label=say(label),
        placeholder=say(hint) if hint else None,
        max_lines=1,
        html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
    )


def _buttons(done: str, cancel: str) -> tuple[gr.Button, gr.Button]:
    with gr.Row(elem_classes="case-buttons"):
        return gr.Button(say(done), variant="primary"), gr.Button(say(cancel))
