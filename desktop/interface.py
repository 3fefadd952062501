"""The page and what happens on it: a picture comes in, its answer is shown, the picture is forgotten."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from derm_core import NOTICE, ConfigError, InvalidImageError
from desktop.answering import answer_page
from desktop.markup import card, icon, problem, reason
from desktop.patients import NOTHING, Given, patient_fields, patient_of

if TYPE_CHECKING:
    from derm_core import Predictor

log = logging.getLogger(__name__)

Upload = dict[str, Any]
"""What Gradio says of an uploaded file: its `path`, and its name as `orig_name`."""
Changes = tuple[Any, Any, Any, Any]
"""How the page changes: where pictures come in, where the answer stands, what went wrong, and the answer itself."""

FAILED = "This picture could not be answered. Try again; the window in which the app was started says what happened."
_FORGET_EVERY_SECONDS, _FORGET_AFTER_SECONDS = 60, 300
_OFFLINE = "On this machine only"
_BRAND = (
    '<svg viewBox="0 0 28 28" aria-hidden="true"><path class="brand-ring" d="M14.5 3.2c6-.6 10.2 3.3 9.8 9-.3 4.8-2.8 '
    '5.7-4.7 8.3-2.2 2.9-6.7 3.7-10.1 1.7-3.9-2.2-5.8-6-4.8-10.5 1-4.7 4.7-7.9 9.8-8.5Z" stroke-dasharray="4.6 3.3"/>'
    '<circle class="brand-dot" cx="13.5" cy="13.8" r="4.2"/></svg>'
)


def build_interface(predictor: Predictor) -> gr.Blocks:
    """Makes the app's page around a predictor.

    Start it with `desktop.serve`, which gives it its look and keeps it to this machine; `launch` alone does neither.
    """

    def answer(upload: Upload | None, read: list[str], *given: Any) -> tuple[Any, ...]:
        path = (upload or {}).get("path")
        changes = show_answer(predictor, upload, given or NOTHING)
        # The next picture may be somebody else's: only where this one was not answered is it still the same patient.
        fields = NOTHING if changes[3] else [gr.skip()] * len(NOTHING)
        return *changes, None, [*read, path] if path else read, *fields

    with gr.Blocks(
        title="Dermatrace",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(_FORGET_EVERY_SECONDS, _FORGET_AFTER_SECONDS),
    ) as interface:
        _html(_top(), elem_id="top")
        with gr.Column(elem_id="ask", elem_classes="page") as ask:
            _html(
                "<h1>New picture</h1><p>One dermoscopic picture of one lesion.</p>", elem_classes="page-head"
            )
            complaint = _html("", visible=False, elem_id="problem")
            with gr.Column(visible=predictor.description.context is not None, elem_id="patient"):
                _html(_about_the_patient())
                fields = patient_fields()
            with gr.Row(elem_id="ask-row"):
                picture = _picture()
                _html(_good_picture() + _privacy(), elem_id="help", elem_classes="stack")
        with gr.Column(visible=False, elem_id="answered", elem_classes="page") as answered:
            again = gr.Button("New picture", variant="primary", elem_id="again")
            shown = _html("", elem_id="shown")
        _html(f'<p class="notice">{NOTICE}</p>', elem_id="notice")

        read = gr.State([])

        changed = [ask, answered, complaint, shown]
        # Gradio's own decoding is left out: the handler gets the file as it came. The file goes in a second step, when
        # the browser has fetched what it showed meanwhile.
        picture.input(
            answer,
            [picture, read, *fields],
            [*changed, picture, read, *fields],
            preprocess=False,
            show_progress="minimal",
            show_progress_on=picture,
            trigger_mode="multiple",
            api_visibility="private",
        ).then(forget, read, read, show_progress="hidden", api_visibility="private")
        again.click(_start_again, None, changed, show_progress="hidden", api_visibility="private")
    return interface


def show_answer(predictor: Predictor, upload: Upload | None, given: Given = NOTHING) -> Changes:
    """Answers an uploaded picture; where that cannot be, says why in one sentence and asks again.

    Args:
        predictor: what answers.
        upload: the picture; without one nothing changes.
        given: what is known of the patient.
    """
    upload = upload or {}
    path = upload.get("path")
    if not path:
        return gr.skip(), gr.skip(), gr.skip(), gr.skip()
    try:
        page = answer_page(predictor, path, upload.get("orig_name") or "", patient_of(given))
    except (ConfigError, InvalidImageError) as err:
        return _ask_again(str(err))
    except Exception:
        # Whatever else goes wrong: the page stays usable, and the terminal says what it was.
        log.exception("A picture could not be answered")
        return _ask_again(FAILED)
    return gr.update(visible="hidden"), gr.update(visible=True), gr.update(visible=False), page


def forget(paths: list[str]) -> list[str]:
    """Deletes uploaded pictures, and returns those that are left to delete: none.

    Gradio has made sure before that each file was uploaded and is none of the user's own.
    """
    for file in map(Path, paths):
        file.unlink(missing_ok=True)
        if file.parent.is_dir() and not any(file.parent.iterdir()):
            file.parent.rmdir()
    return []


def _ask_again(sentence: str) -> Changes:
    complaint = gr.update(value=problem(sentence), visible=True)
    return gr.update(visible=True), gr.update(visible=False), complaint, ""


def _start_again() -> Changes:
    return gr.update(visible=True), gr.update(visible=False), gr.update(visible=False), ""


def _html(value: str, *, elem_classes: str = "", **options: Any) -> gr.HTML:
    return gr.HTML(
        value,
        js_on_load=None,
        apply_default_css=False,
        elem_classes=["derm", *elem_classes.split()],
        **options,
    )


def _picture() -> gr.Image:
    return gr.Image(
        label="Picture",
        show_label=False,
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        webcam_options=gr.WebcamOptions(mirror=False),
        buttons=[],
        placeholder="# Drop a picture here, or paste it\nor click to choose a file: JPEG, PNG, WebP, TIFF or BMP",
        elem_id="picture",
    )


def _top() -> str:
    return (
        f'<header class="topbar"><div class="topbar-in"><span class="brand">{_BRAND}Dermatrace</span>'
        f'<span class="badge badge-plain" title="{_OFFLINE}">{icon("lock")}<span>{_OFFLINE}</span></span>'
        '<button class="button button-icon" type="button" id="theme" title="Light or dark">'
        f'{icon("theme")}<span class="visually-hidden">Switch between light and dark</span></button></div></header>'
    )


def _about_the_patient() -> str:
    return (
        '<h2>About the patient <span class="optional">(optional)</span></h2><p class="small muted">Age, sex and body '
        "site improve the answer. Enter them before the picture: it is answered at once.</p>"
    )


def _good_picture() -> str:
    lines = (
        reason("ok", "Whole lesion, centred", "With a margin of clear skin all round"),
        reason("close", "Blurred", "Press gently, hold still, focus on the pigment"),
        reason("close", "Cut off", "The border carries much of the answer"),
        reason("close", "From afar", "A plain phone photo is not dermoscopy; attach the lens"),
    )
    return card("A picture that can be answered", f'<ul class="reasons">{"".join(lines)}</ul>')


def _privacy() -> str:
    sentence = "Nothing leaves this machine, and nothing is kept: the picture is deleted once it is answered."
    return card("Private", f'<p class="small muted">{sentence}</p>')
