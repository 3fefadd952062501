"""The tab of the models: their list and cards, choosing one, comparing two, and bundles as files."""

from __future__ import annotations

from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from derm_core import DermError, pack_bundle, unpack_bundle
from desktop.blocks import asked, html, link_to, number, take_along, to_message
from desktop.machine import machine_words, runtime_words
from desktop.markup import message, problem
from desktop.models import MOST_COMPARED, KnownModel, compare, known_models, model_card
from desktop.models_page import comparison_table, model_title, models_table
from desktop.texts import say
from desktop.uploads import download_folder
from desktop.written_path import checked_file

if TYPE_CHECKING:
    from desktop.desk import Desk
    from desktop.picture_tab import PictureTab

_MACHINE_SECONDS = 15.0
_SUFFIX = ".dermbundle"
_EXAMPLE_FILE = f"/media/usb/ham7-1{_SUFFIX}"


def models_tab(desk: Desk, picture: PictureTab, tab: gr.Tab) -> None:
    """Makes the tab's content; call it where it shall stand.

    Args:
        desk: what is shared; its model is changed here.
        picture: asks for what is known of the patient only where the model can use it.
        tab: is drawn anew when it is turned to: a model may have been trained meanwhile.
    """
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    html(f"<h1>{say('models-title')}</h1><p>{say('models-intro')}</p>", elem_classes="page-head")
    machine = html(_machine(desk), elem_id="machine")
    said = html(visible=False, elem_id="models-said")
    listed = html(_listed(desk), elem_id="models-table", clicks=True)
    with gr.Column(visible=False, elem_id="model-card") as card:
        text = gr.Markdown(elem_id="model-card-text")
        close = gr.Button(say("models-card-close"), elem_id="model-card-close")
    taken = html(elem_id="taken-model")

    html(f"<h2>{say('compare-title')}</h2><p>{say('compare-intro')}</p>", elem_classes="page-head")
    with gr.Column(elem_id="models-ask", elem_classes="group"):
        with gr.Row(elem_id="compare-models"):
            names = _choices()
            first = gr.Dropdown(names, value=names[0][1], label=say("compare-first"), filterable=False)
            second = gr.Dropdown(names, value=names[-1][1], label=say("compare-second"), filterable=False)
        pictures = gr.File(
            label=say("compare-pictures"), file_count="multiple", elem_id="compare-pictures", type="filepath"
        )
        begin = gr.Button(say("compare-start"), variant="primary", elem_id="compare-start")
    compared = html(visible=False, elem_id="compared")

    html(f"<h2>{say('import-title')}</h2><p>{say('import-intro')}</p>", elem_classes="page-head")
    with gr.Row(elem_id="import-ask", elem_classes="group"):
        path = gr.Textbox(
            label=say("import-path"), placeholder=say("import-path-hint", example=_EXAMPLE_FILE), max_lines=1
        )
        name = gr.Textbox(label=say("import-name"), placeholder=say("import-name-hint"), max_lines=1)
        take_in = gr.Button(say("import-start"), elem_id="import-start")

    changed = [said, listed, first, second, picture.patient]

    def press(event: gr.EventData) -> list[Any]:
        word, value = asked(event)
        models = known_models()
        model = models[number(value, below=len(models))]
        none = [gr.skip()] * len(changed)
        if word == "card":
            return [*none, gr.update(visible=True), model_card(model), gr.skip()]
        if word == "export":
            return _export(model, len(changed))
        if word == "use":
            return [*_use(desk, model), gr.skip(), gr.skip(), gr.skip()]
        return [*none, gr.skip(), gr.skip(), gr.skip()]

    def take(written: str, called: str) -> list[Any]:
        try:
            entry = unpack_bundle(checked_file(written, _EXAMPLE_FILE), (called or "").strip())
        except DermError as err:
            return [_say(problem(str(err))), *[gr.skip()] * 4]
        reference = f"{entry.name}@{entry.version}"
        return _redrawn(desk, message(say("import-done", model=reference, sha=entry.weights_sha256[:12])))

    def contrast(one: str, other: str, files: list[str] | None) -> list[Any]:
        shown = _compared(desk, one, other, files or [])
        # What was asked about is forgotten: the table holds what it shows.
        for file in files or []:
            Path(file).unlink(missing_ok=True)
        return [shown, None]

    listed.click(press, None, [*changed, card, text, taken], **quiet).success(
        None, None, None, js=take_along("taken-model"), api_visibility="private"
    )
    gr.Timer(_MACHINE_SECONDS).tick(partial(_machine, desk), None, machine, **quiet)
    tab.select(partial(_drawn_anew, desk), None, [listed, first, second], **quiet)
    close.click(lambda: gr.update(visible=False), None, card, **quiet)
    take_in.click(take, [path, name], changed, **quiet).then(
        None, None, None, js=to_message("models-said"), api_visibility="private"
    )
    begin.click(
        contrast,
        [first, second, pictures],
        [compared, pictures],
        show_progress_on=begin,
        api_visibility="private",
    )


def _machine(desk: Desk) -> str:
    if desk.machine is None:
        return ""
    choice = desk.predictor.runtime
    return (
        f'<p class="small muted">{escape(machine_words(desk.machine(desk.predictor)))}<br>'
        f'<span title="{escape(choice.reason)}">{escape(runtime_words(choice.name, choice.reason))}</span></p>'
    )


def _listed(desk: Desk) -> str:
    return models_table(known_models(), desk.predictor.description.weights_sha256)


def _choices() -> list[tuple[str, str]]:
    return [(model_title(model), model.reference) for model in known_models() if model.description]


def _drawn_anew(desk: Desk) -> list[Any]:
    names = _choices()
    return [_listed(desk), gr.update(choices=names), gr.update(choices=names)]


def _redrawn(desk: Desk, said: str) -> list[Any]:
    return [
        _say(said),
        *_drawn_anew(desk),
        gr.update(visible=desk.predictor.description.context is not None),
    ]


def _use(desk: Desk, model: KnownModel) -> list[Any]:
    try:
        desk.choose(model.reference)
    except DermError as err:
        return [_say(problem(str(err))), *[gr.skip()] * 4]
    return _redrawn(desk, message(say("models-now", model=model_title(model))))


def _export(model: KnownModel, parts: int) -> list[Any]:
    plain = model.reference.replace("@", "-")
    out = download_folder() / f"{plain}{_SUFFIX}"
    try:
        sha256 = pack_bundle(model.folder or Path(), out)
    except DermError as err:
        return [_say(problem(str(err))), *[gr.skip()] * (parts + 2)]
    done = say("export-done", file=out.name, sha=sha256)
    return [_say(message(done)), *[gr.skip()] * (parts + 1), link_to(out)]


def _compared(desk: Desk, first: str, second: str, files: list[str]) -> Any:
    if first == second:
        return _say(problem(say("compare-same")))
    if not 0 < len(files) <= MOST_COMPARED:
        return _say(problem(say("compare-how-many", most=MOST_COMPARED, count=len(files))))
    try:
        one, other = desk.predictor_of(first), desk.predictor_of(second)
    except DermError as err:
        return _say(problem(str(err)))
    pictures = [(Path(file).name, Path(file)) for file in files]
    rows = list(compare(one, other, pictures))
    table = comparison_table(rows, (_name_of(one), _name_of(other)))
    return _say(table)


def _name_of(predictor: Any) -> str:
    return f"{predictor.description.name} {predictor.description.version}"


def _say(content: str) -> Any:
    return gr.update(value=content, visible=True)
