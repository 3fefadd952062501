"""The list of cases as HTML, with the classes of the website. Reads nothing, and knows no Gradio."""

from __future__ import annotations

from datetime import date
from html import escape
from typing import TYPE_CHECKING

from derm_core import DIAGNOSES, percent
from desktop.case_change import risk_of
from desktop.case_reading import PAGE_SIZE, CaseReader, title
from desktop.markup import badge, button, icon
from desktop.texts import say, say_count
from desktop.thumbnails import thumbnail_address

if TYPE_CHECKING:
    from desktop.case_reading import Page
    from desktop.case_schema import Lesion, Photograph, Review


def cases_page(cases: CaseReader, page: Page, text: str) -> str:
    """Returns a page of lesions with the way to the others, or what to do where there is none.

    Args:
        cases: whose pictures are shown.
        page: the lesions.
        text: what was searched for.
    """
    if not page.total:
        return _nothing(text) if text else _empty()
    heads = "".join(
        f'<th scope="col">{words}</th>'
        for words in (
            f'<span class="visually-hidden">{say("case-column-picture")}</span>',
            say("case-column-lesion"),
            say("case-column-pictures"),
            say("case-column-latest"),
            say("case-column-known"),
        )
    )
    rows = "".join(_row(cases, lesion) for lesion in page.lesions)
    return (
        f'<p class="small muted">{say_count("case-total", page.total)}</p>'
        '<div class="card card-flush"><div class="table-wrap"><table class="table table-cards">'
        f'<caption class="visually-hidden">{say("case-caption")}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></div>{_pager(page)}"
    )


def thumb(cases: CaseReader, photograph: Photograph | None) -> str:
    """Returns a small picture, or its place where there is none."""
    address = thumbnail_address(cases.pictures.path(photograph.key)) if photograph else None
    if address is None:
        return f'<span class="thumb thumb-none">{icon("camera")}</span>'
    return f'<img class="thumb" src="{address}" alt="">'


def advice_badge(photograph: Photograph) -> str:
    """Returns the label of a photograph's advice."""
    advice = photograph.answer["advice"]
    words = {
        "refer": say("advice-refer"),
        "routine": say("advice-routine"),
        "unsure": say("advice-unsure"),
    }
    return badge(advice, words[advice], advice)


def review_words(review: Review) -> str:
    """Writes what became known of a photograph: Melanoma, by histopathology."""
    if review.verdict == "bad-picture":
        return say("case-is-bad")
    known = DIAGNOSES.get(review.diagnosis)
    return say(
        "case-known", name=known.name if known else review.diagnosis, how=how_words()[review.confirmed_by]
    )


def how_words() -> dict[str, str]:
    """Returns how a diagnosis may be known, in words."""
    return {
        "histopathology": say("case-histopathology"),
        "follow-up": say("case-follow-up"),
        "consensus": say("case-consensus"),
    }


def day_words(day: date) -> str:
    """Writes a day: 21 Nov 2026."""
    return f"{day.day} {day:%b %Y}"


def _row(cases: CaseReader, lesion: Lesion) -> str:
    visits = lesion.visits
    latest = visits[-1] if visits else None
    name = escape(title(lesion))
    site = f"<small>{escape(lesion.site.capitalize())}</small>" if lesion.site else ""
    count = say_count("case-pictures", len(visits)) if visits else say("case-no-pictures")
    known = next(
        (visit.review for visit in reversed(visits) if visit.review and visit.review.verdict == "confirmed"),
        None,
    )
    about = ""
    if latest is not None:
        risk = f"<b>{percent(risk_of(latest))}</b> · " if latest.is_answered else ""
        about = f"{advice_badge(latest)}<small>{risk}{day_words(latest.day)}</small>"
    return (
        f'<tr><td data-cell="thumb">{thumb(cases, latest)}</td><th scope="row" data-cell="title">'
        f'<button class="row-link case-link" type="button" data-do="open:{lesion.key}" '
        f'title="{say("case-open", name=name)}">{name}</button>{site}</th><td data-cell="wide">{count}</td>'
        f'<td data-cell="wide" class="case-latest">{about}</td>'
        f'<td data-cell="wide">{escape(review_words(known)) if known else ""}</td></tr>'
    )


def _empty() -> str:
    steps = button("picture", say("case-empty-picture"), symbol="camera", primary=True) + button(
        "new", say("case-new")
    )
    return _message(say("case-empty"), say("case-empty-more"), steps)


def _nothing(text: str) -> str:
    return _message(say("case-none"), say("case-none-more", text=text), button("all", say("case-all")))


def _message(heading: str, words: str, actions: str) -> str:
    return (
        f'<section class="card case-empty">{icon("history")}<h2>{escape(heading)}</h2>'
        f'<p class="muted">{escape(words)}</p><div class="row-actions">{actions}</div></section>'
    )


def _pager(page: Page) -> str:
    pages = -(-page.total // PAGE_SIZE)
    if pages == 1:
        return ""
    before = button(f"page:{page.number - 1}", say("folder-page-before"), disabled=page.number == 0)
    after = button(f"page:{page.number + 1}", say("folder-page-next"), disabled=page.number == pages - 1)
    words = say("folder-pages", page=f"{page.number + 1:,}", pages=f"{pages:,}")
    return f'<nav class="pager">{before}<span class="muted">{words}</span>{after}</nav>'
