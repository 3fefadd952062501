"""The few ways in which the app's pages use Gradio, each in one place."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from desktop.texts import say

# A click on what has data-do, anywhere inside: what it asks for, and which class's heatmap is shown meanwhile.
_CLICKS = """
element.addEventListener('click', event => {
  const pressed = event.target.closest('[data-do]');
  const sure = pressed?.dataset.sure;
  if (pressed && !pressed.disabled && (!sure || confirm(sure))) {
    const shown = document.querySelector('.viewer-controls [data-code][aria-pressed="true"]');
    trigger('click', { do: pressed.dataset.do, code: shown ? shown.dataset.code : '' });
  }
});
"""


def html(value: str = "", *, elem_classes: str = "", clicks: bool = False, **options: Any) -> gr.HTML:
    """Makes a part of the page with the website's classes.

    Args:
        value: its content; everything from outside must be escaped.
        elem_classes: more classes.
        clicks: whether it has buttons with `data-do`; a click handler gets one by `asked`.
        options: of gr.HTML.
    """
    return gr.HTML(
        value,
        js_on_load=_CLICKS if clicks else None,
        apply_default_css=False,
        elem_classes=["derm", *elem_classes.split()],
        **options,
    )


def link_to(path: Path) -> str:
    """Returns a link to a file in the folder for uploads, by which the browser takes it along."""
    return f'<a hidden href="/gradio_api/file={quote(str(path))}" download="{escape(path.name)}"></a>'


def link_to_page(path: Path, title: str) -> str:
    """Returns a link to an HTML file in the same folder, which is shown over the page."""
    return (
        f'<a hidden href="/gradio_api/file={quote(str(path))}" data-page="{escape(title)}" '
        f'data-close="{say("close")}"></a>'
    )


def take_along(elem_id: str) -> str:
    """Returns the script that follows the link in a part of the page, where it is a new one: takes along, or shows."""
    return f"() => {{ takeAlong('{elem_id}'); }}"


def to_message(elem_id: str) -> str:
    """Returns the script that brings what is said in a part of the page into view: not all is pressed beside it."""
    return (
        f"() => {{ document.querySelector('#{elem_id} .message')?.scrollIntoView({{ block: 'nearest' }}); }}"
    )


def asks_folder(pick: Callable[[], str | None], button: gr.Button, path: gr.Textbox) -> None:
    """Lets a button ask for a folder in a window of the system; where none is chosen, the field stays as it is."""
    button.click(lambda: pick() or gr.skip(), None, path, show_progress="hidden", api_visibility="private")


def asked(event: gr.EventData) -> tuple[str, str]:
    """Returns what a click asks for: its word and its value."""
    do = event._data.get("do") if isinstance(event._data, dict) else None
    word, _, value = str(do or "").partition(":")
    return word, value


def class_asked(event: gr.EventData) -> str:
    """Returns the code of the class whose heatmap was shown at a click; empty where there was none."""
    return str(event._data.get("code") or "") if isinstance(event._data, dict) else ""


def number(value: str, *, below: int = 1 << 62) -> int:
    """Returns the whole number that a click carries, at least 0; 0 for anything else: pages can be tampered with."""
    return int(value) if value.isdecimal() and len(value) < 19 and int(value) < below else 0
