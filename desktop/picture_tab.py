"""The tab of one picture: a picture comes in, its answer is shown, the picture is forgotten."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from derm_core import ConfigError, DermError, InvalidImageError
from desktop.answering import answer_picture
from desktop.beside_answer import methods_card, similar_card
from desktop.blocks import asked, class_asked, html, link_to, take_along
from desktop.markup import button, card, problem, reason
from desktop.patients import NOTHING, Given, patient_fields, patient_of
from desktop.texts import say
from desktop.uploads import download_folder

if TYPE_CHECKING:
    from derm_core import Predictor
    from desktop.desk import Desk
    from desktop.held_picture import HeldPicture

log = logging.getLogger(__name__)

Upload = dict[str, Any]
"""What Gradio says of an uploaded file: its `path`, and its name as `orig_name`."""
Changes = tuple[Any, Any, Any, Any]
"""How the page changes: where pictures come in, where the answer stands, what went wrong, and the answer itself."""

_FORGET_HELD_SECONDS = 3600

FAILED = say("picture-failed")


@dataclass(frozen=True)
class PictureTab:
    """What other tabs change here: the parts of `Changes`, what is kept of the picture, and what stands beside it."""

    changed: list[Any]
    held: gr.State
    more: gr.HTML
    patient: gr.Column


def picture_tab(desk: Desk) -> PictureTab:
    """Makes the tab's content; call it where it shall stand."""

    def answer(upload: Upload | None, read: list[str], *given: Any) -> tuple[Any, ...]:
        path = (upload or {}).get("path")
        changes, kept = answer_upload(desk.predictor, upload, given or NOTHING)
        # The next picture may be somebody else's: only where this one was not answered is it still the same patient.
        fields = NOTHING if changes[3] else [gr.skip()] * len(NOTHING)
        return *changes, kept, beside(desk, kept), None, [*read, path] if path else read, *fields

    # Gradio reads these hints to see who wants the event, so they name nothing that is imported for types alone.
    def press(kept: Any, event: gr.EventData) -> list[Any]:
        return _press(desk, kept, asked(event), class_asked(event))

    with gr.Column(elem_id="ask", elem_classes="page") as ask:
        html(f"<h1>{say('picture-title')}</h1><p>{say('picture-intro')}</p>", elem_classes="page-head")
        complaint = html("", visible=False, elem_id="problem")
        with gr.Column(visible=desk.predictor.description.context is not None, elem_id="patient") as patient:
            html(_about_the_patient())
            fields = patient_fields()
        with gr.Row(elem_id="ask-row"):
            picture = _picture()
            html(_good_picture() + _privacy(), elem_id="help", elem_classes="stack")
    with gr.Column(visible=False, elem_id="answered", elem_classes="page") as answered:
        again = gr.Button(say("picture-title"), variant="primary", elem_id="again")
        shown = html("", elem_id="shown")
        more = html("", elem_id="more", clicks=True)
        taken = html(elem_id="taken-answer")

    read = gr.State([])
    held = gr.State(None, time_to_live=_FORGET_HELD_SECONDS)

    changed: list[Any] = [ask, answered, complaint, shown]
    # Gradio's own decoding is left out: the handler gets the file as it came. The file goes in a second step, when
    # the browser has fetched what it showed meanwhile.
    picture.input(
        answer,
        [picture, read, *fields],
        [*changed, held, more, picture, read, *fields],
        preprocess=False,
        show_progress="minimal",
        show_progress_on=picture,
        trigger_mode="multiple",
        api_visibility="private",
    ).then(forget, read, read, show_progress="hidden", api_visibility="private")
    more.click(press, held, [more, taken], show_progress="minimal", api_visibility="private").success(
        None, None, None, js=take_along("taken-answer"), api_visibility="private"
    )
    again.click(_start_again, None, [*changed, held, more], show_progress="hidden", api_visibility="private")
    return PictureTab(changed, held, more, patient)


def show_answer(predictor: Predictor, upload: Upload | None, given: Given = NOTHING) -> Changes:
    """Returns how the page changes with an uploaded picture; the arguments are those of `answer_upload`."""
    return answer_upload(predictor, upload, given)[0]


def answer_upload(
    predictor: Predictor, upload: Upload | None, given: Given = NOTHING
) -> tuple[Changes, HeldPicture | None]:
    """Answers an uploaded picture; where that cannot be, says why in one sentence and asks again.

    Args:
        predictor: what answers.
        upload: the picture; without one nothing changes.
        given: what is known of the patient.
    """
    upload = upload or {}
    path = upload.get("path")
    if not path:
        return (gr.skip(), gr.skip(), gr.skip(), gr.skip()), None
    try:
        page, held = answer_picture(predictor, path, upload.get("orig_name") or "", patient_of(given))
    except (ConfigError, InvalidImageError) as err:
        return _ask_again(str(err)), None
    except Exception:
        # Whatever else goes wrong: the page stays usable, and the terminal says what it was.
        log.exception("A picture could not be answered")
        return _ask_again(FAILED), None
    return (gr.update(visible="hidden"), gr.update(visible=True), gr.update(visible=False), page), held


def beside(desk: Desk, held: HeldPicture | None) -> str:
    """Returns what stands under an answer; nothing where there is none."""
    if held is None:
        return ""
    actions = button("keep", say("case-keep"), symbol="history") + button(
        "pdf", say("more-pdf"), symbol="down"
    )
    parts = f'<div class="row-actions">{actions}</div>'
    if held.is_answered and desk.methods is not None:
        parts += methods_card(None)
    if held.is_answered and (index := desk.similar_cases) is not None:
        parts += similar_card(held.similar_cases(desk), index)
    return f'<div class="stack">{parts}</div>'


def _press(desk: Desk, held: HeldPicture | None, asked_for: tuple[str, str], code: str) -> list[Any]:
    """Does what a button under the answer says; returns what stands there then, and a file to take along."""
    word, value = asked_for
    if held is None:
        return [gr.skip(), gr.skip()]
    try:
        if word == "pdf":
            out = download_folder() / "dermatrace-answer.pdf"
            out.write_bytes(held.report())
            return [gr.skip(), link_to(out)]
        if word in ("methods", "method") and desk.methods is not None:
            methods = tuple(method for method in desk.methods(held.predictor) if method.name != "grad_cam")
            known = value in [method.name for method in methods]
            explained = held.explained_by(value, code) if known else None
            return [_with_methods(desk, held, methods_card(methods, value, held, explained)), gr.skip()]
    except DermError as err:
        return [problem(str(err)) + beside(desk, held), gr.skip()]
    except Exception:
        log.exception("Something beside an answer could not be done")
        return [problem(say("more-failed")) + beside(desk, held), gr.skip()]
    return [gr.skip(), gr.skip()]


def _with_methods(desk: Desk, held: HeldPicture, part: str) -> str:
    return beside(desk, held).replace(methods_card(None), part)


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


def _start_again() -> tuple[Any, ...]:
    return gr.update(visible=True), gr.update(visible=False), gr.update(visible=False), "", None, ""


def _picture() -> gr.Image:
    return gr.Image(
        label="Picture",
        show_label=False,
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        webcam_options=gr.WebcamOptions(mirror=False),
        buttons=[],
        placeholder=say("picture-drop"),
        elem_id="picture",
    )


def _about_the_patient() -> str:
    return (
        f'<h2>{say("patient-title")} <span class="optional">{say("optional")}</span></h2>'
        f'<p class="small muted">{say("patient-intro")}</p>'
    )


def _good_picture() -> str:
    lines = (
        reason("ok", say("good-whole"), say("good-whole-more")),
        reason("close", say("good-blurred"), say("good-blurred-more")),
        reason("close", say("good-cut"), say("good-cut-more")),
        reason("close", say("good-afar"), say("good-afar-more")),
    )
    return card(say("good-title"), f'<ul class="reasons">{"".join(lines)}</ul>')


def _privacy() -> str:
    sentence = say("picture-private")
    return card(say("private-title"), f'<p class="small muted">{sentence}</p>')
