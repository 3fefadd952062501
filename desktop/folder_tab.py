"""The tab of a folder: choosing it, its progress, its table, and taking rows along. Answers nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from derm_core import DermError
from desktop.blocks import asked, asks_folder, html, link_to, number, take_along
from desktop.folder_index import KINDS
from desktop.folder_page import COLUMNS, View, earlier, filters, pager, progress_card, table
from desktop.markup import problem
from desktop.texts import say, say_count
from desktop.uploads import download_folder
from desktop.written_path import EXAMPLE

if TYPE_CHECKING:
    from desktop.desk import Desk

_TICK_SECONDS = 2.0
Drawn = tuple[str, str, str, str, str]
"""What stands on the page: progress, filters, rows, the way to other pages, and how many rows are taken along."""
_NOTHING: Drawn = ("", "", "", "", "")


def folder_tab(desk: Desk, open_picture: Callable[..., None]) -> gr.HTML:
    """Makes the tab's content and returns the table, whose rows ask for more than this tab does.

    Args:
        desk: what is shared.
        open_picture: wires a state with a file's path to the tab of one picture.
    """
    html(f"<h1>{say('folder-title')}</h1><p>{say('folder-intro')}</p>", elem_classes="page-head")
    complaint = html(visible=False, elem_id="folder-problem")
    with gr.Column(elem_id="folder-ask", elem_classes="group"):
        with gr.Row(elem_id="folder-ask-row"):
            path = gr.Textbox(
                label=say("folder-path"),
                placeholder=say("folder-path-hint", example=EXAMPLE),
                max_lines=1,
                elem_id="folder-path",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
            )
            choose = gr.Button(
                say("folder-choose"), elem_id="folder-choose", visible=desk.pick_folder is not None
            )
            start = gr.Button(say("folder-start"), variant="primary", elem_id="folder-start")
        recursive = gr.Checkbox(
            True, label=say("folder-recursive"), elem_id="folder-recursive", container=False
        )
        before = html(_earlier(desk), elem_id="folder-earlier", clicks=True)
    progress = html(visible=False, elem_id="folder-progress", clicks=True)
    with gr.Column(visible=False, elem_id="folder-rows") as rows:
        filtered = html(elem_id="folder-filters", clicks=True)
        shown = html(elem_id="folder-table", clicks=True)
        turned = html(elem_id="folder-pages", clicks=True)
        with gr.Row(elem_id="folder-export"):
            words = html(elem_id="folder-export-words")
            exports = {
                kind: gr.Button(say(f"folder-export-{kind}"), elem_id=f"export-{kind}")
                for kind in ("csv", "jsonl", "pdf")
            }
        taken = html(elem_id="taken")
    view = gr.State(View())
    drawn = gr.State(_NOTHING)
    opened = gr.State("")
    timer = gr.Timer(_TICK_SECONDS, active=False)

    # In parts: while a folder is being answered, figures change at each tick, and the rows that are looked at do not.
    texts = [progress, filtered, shown, turned, words]
    page = [*texts, complaint, before, rows, drawn, timer]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def begin(written: str, deep: bool) -> list[Any]:
        try:
            desk.open_folder(written, recursive=deep)
        except DermError as err:
            return [*_complained(err), View()]
        return [*_drawn(desk, View(), _NOTHING), View()]

    def press(now: View, last: Drawn, event: gr.EventData) -> list[Any]:
        word, value = asked(event)
        run = desk.run
        if word == "earlier":
            folders = desk.earlier_folders()
            if folders:
                folder, deep = folders[number(value, below=len(folders))]
                return [*_opened_again(desk, folder, deep), View(), gr.update(value=folder), gr.skip()]
        elif word == "stop" and run is not None:
            run.stop()
        elif word == "continue" and run is not None:
            run.start()
        elif word == "forget" and run is not None and desk.forget_folder():
            hidden = gr.update(visible=False)
            cleared = [hidden, "", "", "", "", hidden, _earlier(desk), hidden, _NOTHING]
            return [*cleared, gr.Timer(active=False), View(), gr.update(value=""), gr.skip()]
        elif word == "open" and run is not None:
            (row,) = run.rows([place]) if (place := number(value)) in run.places() else [{"file": ""}]
            return [*[gr.skip()] * (len(page) + 2), row["file"]]
        else:
            now = _turned(now, word, value)
        return [*_drawn(desk, now, last), now, gr.skip(), gr.skip()]

    def tick(now: View, last: Drawn) -> list[Any]:
        return _drawn(desk, now, last)

    start.click(begin, [path, recursive], [*page, view], **quiet)
    path.submit(begin, [path, recursive], [*page, view], **quiet)
    for part in (before, progress, filtered, shown, turned):
        part.click(press, [view, drawn], [*page, view, path, opened], **quiet)
    timer.tick(tick, [view, drawn], page, **quiet)
    if desk.pick_folder is not None:
        asks_folder(desk.pick_folder, choose, path)
    for kind, pressed in exports.items():
        pressed.click(partial(_export, desk, kind), view, [taken, complaint], **quiet).success(
            None, None, None, js=take_along("taken"), api_visibility="private"
        )
    open_picture(opened)
    return shown


def _earlier(desk: Desk) -> str:
    return earlier([folder for folder, _ in desk.earlier_folders()])


def _opened_again(desk: Desk, folder: str, recursive: bool) -> list[Any]:
    try:
        desk.open_folder(folder, recursive=recursive, start=False)
    except DermError as err:
        return _complained(err)
    return _drawn(desk, View(), _NOTHING)


def _turned(view: View, word: str, value: str) -> View:
    """Returns the view after a click in the table; as it was for anything that no table says."""
    if word == "show" and value in ("", *KINDS):
        return View(value, view.order)
    if word == "order" and value in COLUMNS:
        return view.ordered_by(value)
    if word == "page":
        return View(view.show, view.order, number(value, below=1 << 31))
    return view


def _drawn(desk: Desk, view: View, last: Drawn) -> list[Any]:
    """Returns the parts of the page that are not as they were drawn last."""
    run = desk.run
    if run is None:
        return [gr.skip()] * (len(_NOTHING) + 5)
    state = run.progress()
    places = run.places(show=view.show, order=view.order)
    count = f'<span class="small muted">{say_count("folder-export", len(places))}</span>'
    rows = (filters(view, state), table(run, view, places), pager(view, places), count)
    texts = (progress_card(run, state), *(rows if state.done else _NOTHING[1:]))
    return [
        *(
            gr.skip() if text == before else gr.update(value=text, visible=True)
            for text, before in zip(texts, last, strict=True)
        ),
        gr.update(visible=False),
        gr.skip() if state.is_active else _earlier(desk),
        gr.update(visible=state.done > 0),
        texts,
        gr.Timer(active=state.is_active),
    ]


def _complained(err: Exception) -> list[Any]:
    """Returns the page as it is, with what went wrong."""
    return [*[gr.skip()] * len(_NOTHING), _complain(str(err)), *[gr.skip()] * 4]


def _complain(sentence: str) -> Any:
    return gr.update(value=problem(sentence), visible=True)


def _export(desk: Desk, kind: str, view: View) -> list[Any]:
    run = desk.run
    if run is None:
        return [gr.skip(), gr.skip()]
    places = run.places(show=view.show, order=view.order)
    # In the folder for uploads, which is emptied: where it goes to stay is the browser's business.
    out = download_folder() / f"{_file_name(run.folder)}.{kind}"
    try:
        if kind == "pdf":
            from desktop.contact_sheet import write_contact_sheet

            write_contact_sheet(run, out, places)
        else:
            run.export(out, places)
    except (DermError, OSError) as err:
        raise gr.Error(str(err), print_exception=False) from err
    return [link_to(out), gr.update(visible=False)]


def _file_name(folder: Path) -> str:
    plain = "".join(mark if mark.isalnum() or mark in "-_" else "-" for mark in folder.name)
    return f"dermatrace-{plain[:60]}" if plain else "dermatrace"
