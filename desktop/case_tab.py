"""The tab of the case list: its parts, and which of them asks for what. What is then done stands in `case_deeds`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from desktop.blocks import html, take_along, to_message
from desktop.case_deeds import CaseDeeds
from desktop.case_forms import keep_form, named_form, review_form
from desktop.case_view import CaseParts, CaseView
from desktop.texts import say

if TYPE_CHECKING:
    from desktop.desk import Desk
    from desktop.picture_tab import PictureTab

_FORGET_SECONDS = 3600


def case_tab(desk: Desk, picture: PictureTab, rows: gr.HTML, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """Makes the tab's content; call it where it shall stand.

    Args:
        desk: what is shared.
        picture: has the present picture, and a button that keeps it.
        rows: a folder's table, with a button in each row that keeps its picture.
        tabs: in which this tab is chosen when a picture is to be kept.
        tab: this tab.
    """
    html(f"<h1>{say('case-title')}</h1><p>{say('case-intro')}</p>", elem_classes="page-head")
    said = html(visible=False, elem_id="case-said")
    keep, named, review = keep_form(), named_form(), review_form()
    with gr.Column(elem_id="case-list") as listing:
        with gr.Row(elem_id="case-search-row"):
            search = gr.Textbox(
                label=say("case-search"),
                placeholder=say("case-search-hint"),
                max_lines=1,
                elem_id="case-search",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
            )
            new = gr.Button(say("case-new"), elem_id="case-new")
            export_all = gr.Button(say("case-export-all"), elem_id="case-export-all")
        listed = html(elem_id="case-listed", clicks=True)
        file, take_in = _asks_path(
            "case-import",
            say("case-import-title"),
            say("case-import-intro"),
            say("case-import-path"),
            say("case-import-path-hint"),
            say("case-import-do"),
        )
        folder, write = _asks_path(
            "case-dataset",
            say("case-dataset-title"),
            say("case-dataset-intro"),
            say("case-dataset-path"),
            say("case-dataset-path-hint"),
            say("case-dataset-do"),
        )
    with gr.Column(visible=False, elem_id="case-opened") as opened:
        shown = html(elem_id="case-shown", clicks=True)
    taken = html(elem_id="taken-cases")
    view = gr.State(CaseView())
    keeping = gr.State(None, time_to_live=_FORGET_SECONDS)

    parts = CaseParts(said, keep, named, review, listing, listed, opened, shown, view)
    deeds = CaseDeeds(desk, parts, keeping, tabs, taken, search)
    now = [view, picture.held]
    outputs = [*parts.all, keeping, tabs, taken, search]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    tab.select(deeds.look, now, outputs, **quiet)
    # Not `input`, which pasting with the mouse does not fire.
    search.change(deeds.search, [view, search], outputs, trigger_mode="multiple", **quiet)
    new.click(deeds.open_new, now, outputs, **quiet)
    for table in (listed, shown):
        table.click(deeds.press, now, outputs, **quiet).success(
            None, None, None, js=take_along("taken-cases"), api_visibility="private"
        )
    export_all.click(deeds.export_all, now, outputs, **quiet).success(
        None, None, None, js=take_along("taken-cases"), api_visibility="private"
    )
    picture.more.click(deeds.keep_present, now, outputs, **quiet)
    rows.click(deeds.keep_row, now, outputs, **quiet)
    keep.done.click(deeds.keep, [*now, keeping, *keep.fields], outputs, **quiet)
    named.done.click(deeds.name, [*now, *named.fields], outputs, **quiet)
    review.done.click(deeds.confirm, [*now, *review.fields], outputs, **quiet)
    for form in (keep, named, review):
        form.cancel.click(deeds.close_form, now, outputs, **quiet)
    busy: dict[str, Any] = {"api_visibility": "private"}
    for button, deed, written in ((take_in, deeds.take_in, file), (write, deeds.write_dataset, folder)):
        button.click(deed, [*now, written], outputs, show_progress_on=button, **busy).then(
            None, None, None, js=to_message("case-said"), **busy
        )


def _asks_path(
    elem_id: str, title: str, intro: str, label: str, hint: str, do: str
) -> tuple[gr.Textbox, gr.Button]:
    """Makes a heading, a field for a path and its button."""
    with gr.Column(elem_id=elem_id, elem_classes="group"):
        html(f'<h2>{title}</h2><p class="small muted">{intro}</p>')
        with gr.Row(elem_classes="ask-row"):
            path = gr.Textbox(
                label=label,
                placeholder=hint,
                max_lines=1,
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
            )
            return path, gr.Button(do, elem_id=f"{elem_id}-do")
