"""The tab of training: a dataset looked over, a recipe, a run with its curves, and the runs so far. Trains nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from derm_core import ConfigError, DermError, recipe_names
from desktop.blocks import asked, asks_folder, html, take_along, to_message
from desktop.markup import message
from desktop.texts import say
from desktop.training_audits import audit, audit_job, is_audited
from desktop.training_deleting import delete_run
from desktop.training_drawing import PARTS, complained, drawn_anew, page_link
from desktop.training_form import settings_form
from desktop.training_recipes import chosen, overrides
from desktop.training_runs import TEST, VALIDATION, TrainingRun, find_run, free_name
from desktop.written_path import checked_folder

if TYPE_CHECKING:
    from desktop.desk import Desk

_TICK_SECONDS = 1.0
_TO_TOP = "() => { scrollTo(0, 0); }"


def training_tab(desk: Desk, tab: gr.Tab) -> None:
    """Makes the tab's content; call it where it shall stand.

    Args:
        desk: what is shared.
        tab: is drawn anew when it is turned to: something may have been begun or ended meanwhile.
    """
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    html(f"<h1>{say('training-title')}</h1><p>{say('training-intro')}</p>", elem_classes="page-head")
    complaint = html(visible=False, elem_id="training-problem")
    parts: dict[str, gr.HTML] = {}

    def part(name: str) -> None:
        parts[name] = html(visible=False, elem_id=f"training-{name}", clicks=True)

    for name in ("head", "progress", "curves", "results"):
        part(name)
    with gr.Column(visible=False, elem_id="training-register", elem_classes="group") as registering:
        html(
            f"<h2>{say('training-register-title')}</h2><p class='small muted'>{say('training-register-intro')}</p>"
        )
        with gr.Row(elem_classes="ask-row"):
            model = gr.Textbox(
                label=say("training-register-name"),
                placeholder=say("training-register-hint"),
                max_lines=1,
                elem_id="training-model",
            )
            register = gr.Button(say("training-register"), elem_id="training-register-start")
    part("registered")

    html(
        f"<h2>{say('training-new-title')}</h2><p>{say('training-new-intro')}</p>",
        elem_classes="page-head section-head",
    )
    with gr.Row(elem_id="training-ask", elem_classes="group ask-row"):
        path = gr.Textbox(
            label=say("training-data"),
            placeholder=say("training-data-hint"),
            max_lines=1,
            elem_id="training-data",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )
        choose = gr.Button(say("folder-choose"), visible=desk.pick_folder is not None)
        look = gr.Button(say("training-audit"), variant="primary", elem_id="training-look")
    part("audit")
    part("found")
    with gr.Column(visible=False, elem_id="training-settings") as settings:
        form, begin = settings_form(recipe_names(), warning=_no_gpu(desk))
    part("runs")
    taken = html(elem_id="taken-training")

    shown, dataset, drawn = gr.State(""), gr.State(""), gr.State({})
    timer = gr.Timer(_TICK_SECONDS)
    page = [*(parts[name] for name in PARTS), registering, settings, drawn, timer, shown, complaint]

    def tick(run: str, folder: str, last: dict[str, str]) -> list[Any]:
        return [*drawn_anew(run, folder, last), gr.skip()]

    def start_audit(written: str, run: str, last: dict[str, str]) -> list[Any]:
        try:
            folder = checked_folder(written)
            if not is_audited(folder):
                audit(folder)
        except (DermError, OSError) as err:
            return [*complained(err), ""]
        return [*drawn_anew(run, str(folder), last), gr.update(visible=False), str(folder)]

    def start_training(written: str, last: dict[str, str], recipe: str, *values: Any) -> list[Any]:
        *numbers, more, name = values
        try:
            folder = checked_folder(written)
            if not is_audited(folder):
                raise ConfigError(say("training-audit-first"))
            words = overrides(recipe, chosen(*numbers), more or "")
            run = TrainingRun((name or "").strip() or free_name(recipe))
            run.begin(folder, recipe, words)
        except (DermError, OSError) as err:
            return complained(err)
        return [*drawn_anew(run.name, str(folder), last), gr.update(visible=False)]

    def press(run: str, folder: str, last: dict[str, str], event: gr.EventData) -> list[Any]:
        word, value = asked(event)
        link: Any = gr.skip()
        try:
            if word == "show":
                run = value if find_run(value) else ""
            elif word in ("page", "see-page", "report", "see-report"):
                link = page_link(word, value, run, folder)
            elif word == "end-audit" and folder:
                audit_job(Path(folder)).stop()
            elif word == "delete" and (found := find_run(value)) is not None:
                delete_run(found)
                done = gr.update(value=message(say("training-deleted", name=value)), visible=True)
                return [*drawn_anew("", folder, last), done, link]
            elif (found := find_run(run)) is not None:
                _act(found, word, value, folder)
        except (DermError, OSError) as err:
            return [*complained(err), link]
        return [*drawn_anew(run, folder, last), gr.update(visible=False), link]

    def make_model(name: str, run: str, folder: str, last: dict[str, str]) -> list[Any]:
        found = find_run(run)
        if found is not None:
            try:
                found.register((name or "").strip() or found.plan.recipe, folder)
            except (DermError, OSError) as err:
                return complained(err)
        return [*drawn_anew(run, folder, last), gr.update(visible=False)]

    now = [shown, dataset, drawn]
    timer.tick(tick, now, page, **quiet)
    tab.select(tick, now, page, **quiet)
    for event in (look.click, path.submit):
        event(start_audit, [path, shown, drawn], [*page, dataset], **quiet).then(
            None, None, None, js=to_message("training-problem"), api_visibility="private"
        )
    begin.click(start_training, [path, drawn, *form], page, **quiet).then(
        None, None, None, js=_TO_TOP, api_visibility="private"
    )
    register.click(make_model, [model, *now], page, **quiet).then(
        None, None, None, js=to_message("training-problem"), api_visibility="private"
    )
    for name in PARTS:
        parts[name].click(press, now, [*page, taken], **quiet).then(
            None, None, None, js=take_along("taken-training"), api_visibility="private"
        )
    if desk.pick_folder is not None:
        asks_folder(desk.pick_folder, choose, path)


def _act(run: TrainingRun, word: str, value: str, folder: str) -> None:
    if word == "stop":
        run.training.stop()
    elif word == "resume":
        run.resume(folder)
    elif word == "evaluate" and value in (VALIDATION, TEST):
        run.evaluate(value, folder)
    elif word == "end" and run.active is not None:
        run.active.stop()


def _no_gpu(desk: Desk) -> str:
    if desk.machine is None or desk.machine(desk.predictor).gpu:
        return ""
    return message(say("training-no-gpu"))
