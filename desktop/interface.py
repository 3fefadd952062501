"""The page: the bar at its top, a tab for each thing that is done here, and the notice. Answers nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from derm_core import NOTICE
from desktop.blocks import html
from desktop.case_tab import case_tab
from desktop.desk import Desk
from desktop.folder_tab import folder_tab
from desktop.markup import icon, message
from desktop.models_tab import models_tab
from desktop.picture_tab import answer_upload, beside, picture_tab
from desktop.texts import say
from desktop.training_tab import training_tab

if TYPE_CHECKING:
    from derm_core import Predictor

_FORGET_EVERY_SECONDS, _FORGET_AFTER_SECONDS = 60, 300
_BRAND = (
    '<svg viewBox="0 0 28 28" aria-hidden="true"><path class="brand-ring" d="M14.5 3.2c6-.6 10.2 3.3 9.8 9-.3 4.8-2.8 '
    '5.7-4.7 8.3-2.2 2.9-6.7 3.7-10.1 1.7-3.9-2.2-5.8-6-4.8-10.5 1-4.7 4.7-7.9 9.8-8.5Z" stroke-dasharray="4.6 3.3"/>'
    '<circle class="brand-dot" cx="13.5" cy="13.8" r="4.2"/></svg>'
)


def build_interface(predictor: Predictor | Desk) -> gr.Blocks:
    """Makes the app's page around a predictor, or around a desk that others use as well.

    Start it with `desktop.serve`, which gives it its look and keeps it to this machine; `launch` alone does neither.
    """
    desk = predictor if isinstance(predictor, Desk) else Desk(predictor)
    with gr.Blocks(
        title="Dermatrace",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(_FORGET_EVERY_SECONDS, _FORGET_AFTER_SECONDS),
    ) as interface:
        html(_top(), elem_id="top")
        if desk.notice:
            html(message(desk.notice), elem_id="machine-notice")
        with gr.Tabs(elem_id="tabs", selected="picture") as tabs:
            with gr.Tab(say("tab-picture"), id="picture"):
                picture = picture_tab(desk)

            def open_picture(path: gr.State) -> None:
                """Shows the answer to the file that a state comes to name."""

                def opened(file: str) -> tuple[Any, ...]:
                    if not file:
                        return (*[gr.skip()] * (len(picture.changed) + 3), "")
                    changes, held = answer_upload(
                        desk.predictor, {"path": file, "orig_name": Path(file).name}
                    )
                    return *changes, held, beside(desk, held), gr.Tabs(selected="picture"), ""

                path.change(
                    opened,
                    path,
                    [*picture.changed, picture.held, picture.more, tabs, path],
                    show_progress="hidden",
                    api_visibility="private",
                )

            with gr.Tab(say("tab-folder"), id="folder"), gr.Column(elem_classes="page"):
                rows = folder_tab(desk, open_picture)
            with gr.Tab(say("tab-cases"), id="cases") as cases, gr.Column(elem_classes="page"):
                case_tab(desk, picture, rows, tabs, cases)
            with gr.Tab(say("tab-models"), id="models") as models, gr.Column(elem_classes="page"):
                models_tab(desk, picture, models)
            with gr.Tab(say("tab-training"), id="training") as training, gr.Column(elem_classes="page"):
                training_tab(desk, training)
        html(f'<p class="notice">{NOTICE}</p>', elem_id="notice")
    return interface


def _top() -> str:
    offline = say("notice-offline")
    return (
        f'<header class="topbar"><div class="topbar-in"><span class="brand">{_BRAND}Dermatrace</span>'
        f'<span class="badge badge-plain" title="{offline}">{icon("lock")}<span>{offline}</span></span>'
        f'<button class="button button-icon" type="button" id="theme" title="{say("theme")}">'
        f'{icon("theme")}<span class="visually-hidden">{say("theme-switch")}</span></button></div></header>'
    )
