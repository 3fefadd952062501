"""A folder's progress and its table as HTML, with the classes of the website. Answers nothing, and knows no Gradio.

A button says in `data-do` what it does, as a word and, after a colon, a value.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core import DIAGNOSES
from desktop.figures import percent, svg_percent
from desktop.folder_index import KINDS
from desktop.folder_run import FolderRun, Progress, Row
from desktop.machine import runtime_words
from desktop.markup import badge, button, icon, problem, without_path
from desktop.texts import duration, say, say_count
from desktop.thumbnails import thumbnail_address

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS_A_PAGE = 25
COLUMNS = ("file", "risk", "advice")
"""By what the rows can be ordered."""

_SYMBOLS = {"refer": "refer", "routine": "routine", "unsure": "unsure", "unread": "bad"}


@dataclass(frozen=True)
class View:
    """What of a table is looked at: one of KINDS or all, in which order, and which page, from 0."""

    show: str = ""
    order: str = "file"
    page: int = 0

    def ordered_by(self, column: str) -> View:
        """Returns the view by another column, or by the same the other way round."""
        return View(self.show, f"-{column}" if self.order == column else column)


def progress_card(run: FolderRun, progress: Progress) -> str:
    """Returns how far a run is, with what can be done about it."""
    words, aside = _state_words(progress), _speed_words(progress)
    action = ""
    if progress.state in ("looking", "preparing", "running"):
        action = button("stop", say("folder-stop"), symbol="pause")
    elif progress.state in ("stopped", "failed"):
        action = button("continue", say("folder-continue"), symbol="play", primary=True)
    if not progress.is_active:
        action = button("forget", say("folder-forget"), sure=say("folder-forget-sure")) + action
    total = max(progress.total, progress.done)
    waiting = f"<div class='stat'><dt>{say('folder-waiting')}</dt><dd>{total - progress.done:,}</dd></div>"
    stats = "".join(
        f'<div class="stat"><dt>{say(f"advice-{kind}")}</dt><dd>{progress.kinds[kind]:,}</dd></div>'
        for kind in KINDS
    )
    bar = (
        f'<progress class="progress" max="{max(total, 1)}" value="{progress.done}" aria-label="{escape(words)}">'
        f"{escape(words)}</progress>"
    )
    ignored = (
        f'<p class="small muted">{say_count("folder-ignored", progress.ignored)}</p>'
        if progress.ignored
        else ""
    )
    failed = problem(progress.problem) if progress.problem else ""
    return (
        f'<section class="card"><div class="card-head"><h2>{escape(words)}</h2>'
        f'<span class="muted">{escape(aside)}</span>{action}</div>{bar}'
        f'<dl class="figure-row">{stats}{waiting}</dl>{ignored}{failed}'
        f'<p class="small muted folder-name">{escape(str(run.folder))} · '
        f"{escape(str(run.about['model_name']))}{_runtime_words(progress)}<br>{say('folder-kept')}</p></section>"
    )


def filters(view: View, progress: Progress) -> str:
    """Returns what rows can be asked for, with how many there are of each kind, and by what they can be ordered."""
    counts = {"": progress.done, **progress.kinds}
    chips = "".join(
        f'<button class="chip" type="button" data-do="show:{kind}" aria-pressed="{str(kind == view.show).lower()}">'
        f"{say('folder-all') if not kind else say(f'advice-{kind}')}"
        f'<span class="code">{count:,}</span></button>'
        for kind, count in counts.items()
    )
    sorters = "".join(
        f'<button class="chip" type="button" data-do="order:{column}" '
        f'aria-pressed="{str(view.order.removeprefix("-") == column).lower()}">'
        f"{say(f'folder-column-{column}')}</button>"
        for column in COLUMNS
    )
    return (
        f'<div class="chips" role="group" aria-label="{say("folder-show")}">{chips}</div>'
        # Where the rows are cards there is no head to sort by.
        f'<div class="chips sorters" role="group" aria-label="{say("folder-sort")}">'
        f'<span class="small muted">{say("folder-sort")}</span>{sorters}</div>'
    )


def table(run: FolderRun, view: View, places: Sequence[int]) -> str:
    """Returns a page of the table; `places` are those of all its rows."""
    page, _ = _page(view, places)
    shown = run.rows(list(places[page * ROWS_A_PAGE : (page + 1) * ROWS_A_PAGE]))
    point = float(run.about["operating_point"])
    body = "".join(
        _row(row, place, point, run.folder)
        for row, place in zip(shown, places[page * ROWS_A_PAGE :], strict=False)
    )
    if not body:
        body = f'<tr><td colspan="5" class="muted">{say("folder-none")}</td></tr>'
    heads = "".join(
        (
            f'<th scope="col"><span class="visually-hidden">{say("folder-column-picture")}</span></th>',
            _head("file", view),
            f'<th scope="col">{say("folder-column-likely")}</th>',
            _head("risk", view, numeric=True),
            _head("advice", view),
        )
    )
    return (
        '<div class="card card-flush"><div class="table-wrap"><table class="table table-cards">'
        f'<caption class="visually-hidden">{say("folder-caption")}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></div>"
    )


def pager(view: View, places: Sequence[int]) -> str:
    """Returns the way to the other pages of a table; nothing where there is but one."""
    page, pages = _page(view, places)
    if pages == 1:
        return ""
    before = button(f"page:{page - 1}", say("folder-page-before"), disabled=page == 0)
    after = button(f"page:{page + 1}", say("folder-page-next"), disabled=page == pages - 1)
    words = say("folder-pages", page=f"{page + 1:,}", pages=f"{pages:,}")
    return f'<nav class="pager">{before}<span class="muted">{words}</span>{after}</nav>'


def earlier(folders: Sequence[str]) -> str:
    """Returns the folders that were answered before, to be looked at again; nothing where there are none."""
    if not folders:
        return ""
    buttons = "".join(
        f'<button class="chip" type="button" data-do="earlier:{number}" title="{escape(folder)}">{icon("history")}'
        f"<span>{escape(Path(folder).name or folder)}</span></button>"
        for number, folder in enumerate(folders)
    )
    heading = say("folder-earlier")
    return (
        f'<div class="earlier"><span class="small muted">{heading}</span>'
        f'<div class="chips" role="group" aria-label="{heading}">{buttons}</div></div>'
    )


def _state_words(progress: Progress) -> str:
    left = progress.total - progress.done
    if progress.state == "looking":
        return say("folder-looking")
    if progress.state == "preparing":
        return say("folder-preparing")
    if progress.state == "stopping":
        return say("folder-stopping")
    if progress.state == "stopped" and not progress.total:
        return say("folder-stopped-unknown")
    if progress.state == "stopped":
        return say("folder-stopped-one") if left == 1 else say("folder-stopped", left=f"{left:,}")
    return say("folder-progress", done=f"{progress.done:,}", total=f"{progress.total:,}")


def _runtime_words(progress: Progress) -> str:
    if not progress.runtime:
        return ""
    words = runtime_words(progress.runtime, progress.reason)
    return f'<br><span title="{escape(progress.reason)}">{escape(words)}</span>'


def _speed_words(progress: Progress) -> str:
    if progress.state == "done":
        return say("folder-done")
    if progress.state == "preparing":
        return say("folder-preparing-more")
    if progress.state != "running" or not progress.pictures_a_second:
        return ""
    speed = progress.pictures_a_second
    words = [say("folder-speed", speed=f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}")]
    if progress.seconds_left is not None:
        words.insert(0, say("folder-left", time=duration(progress.seconds_left)))
    return " · ".join(words)


def _page(view: View, places: Sequence[int]) -> tuple[int, int]:
    """Returns which page is shown, from 0, and how many there are."""
    pages = max(1, -(-len(places) // ROWS_A_PAGE))
    return min(view.page, pages - 1), pages


def _head(column: str, view: View, *, numeric: bool = False) -> str:
    sorted_by = view.order.removeprefix("-") == column
    downwards = (column == "risk") != view.order.startswith("-")
    state = f' aria-sort="{"descending" if downwards else "ascending"}"' if sorted_by else ""
    mark = icon("down" if downwards else "up") if sorted_by else ""
    return (
        f'<th scope="col"{" class=num" if numeric else ""}{state}>'
        f'<button type="button" data-do="order:{column}">{say(f"folder-column-{column}")}{mark}</button></th>'
    )


def _row(row: Row, place: int, point: float, folder: Path) -> str:
    path = Path(row["file"])
    name = escape(os.path.relpath(path, folder) if path.is_relative_to(folder) else str(path))
    kind = "unread" if row["error"] else row["advice"]
    label = badge(kind, say(f"advice-{kind}"), _SYMBOLS[kind])
    if kind == "unread":
        none = f'<span class="thumb thumb-none">{icon("file")}</span>'
        return (
            f'<tr data-bad><td data-cell="thumb">{none}</td><th scope="row" data-cell="title"><span class="id">{name}'
            f'</span></th><td data-cell="wide" colspan="2">{escape(without_path(row["error"], path))}</td>'
            f'<td data-cell="advice">{label}</td></tr>'
        )
    address = thumbnail_address(path)
    image = (
        f'<img class="thumb" src="{address}" alt="">'
        if address
        else f'<span class="thumb thumb-none">{icon("file")}</span>'
    )
    likely, risk = _figures(row, point)
    return (
        f'<tr><td data-cell="thumb">{image}</td><th scope="row" data-cell="title">'
        f'<button class="row-link id" type="button" data-do="open:{place}" title="{say("folder-open", file=name)}">'
        f'{name}</button></th><td data-cell="wide">{likely}</td><td data-cell="wide" class="num">{risk}</td>'
        f'<td data-cell="advice">{label}{button(f"keep:{place}", say("case-keep-row"))}</td></tr>'
    )


def _figures(row: Row, point: float) -> tuple[str, str]:
    if row["advice"] == "unsure":
        why = ", ".join(name.replace("-", " ") for name in row["quality"])
        return (
            f'<span class="muted">{escape(why)}</span>',
            f'<span class="muted">{say("folder-withheld")}</span>',
        )
    top, risk = row["top"], float(row["malignant_probability"])
    known = DIAGNOSES.get(top)
    kind = "malignant" if row["advice"] == "refer" else "benign"
    tick = svg_percent(point)
    return escape(known.name if known else top), (
        f"<b>{escape(percent(risk))}</b>"
        '<svg class="bar bar-mini" aria-hidden="true"><rect class="bar-track" width="100%" height="100%" rx="2"/>'
        f'<rect class="bar-fill" data-kind="{kind}" width="{svg_percent(risk)}" height="100%" rx="2"/>'
        f'<line class="bar-tick" x1="{tick}" x2="{tick}" y1="-25%" y2="125%"/></svg>'
    )
