"""One lesion as HTML: what changed, two visits side by side, and its photographs in order of time. Knows no Gradio."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from derm_core import DIAGNOSES, InvalidImageError, load_image, percent, unpack_heatmap
from desktop.case_change import changes, explained_of, pair_of, risk_of
from desktop.case_chart import risk_chart
from desktop.case_page import advice_badge, day_words, review_words, thumb
from desktop.case_reading import CaseReader, title
from desktop.figures import svg_percent
from desktop.markup import button, card, icon
from desktop.pictures import HEATMAP_SIDE, bounded, heatmap_address, photo_address
from desktop.texts import say, say_count

if TYPE_CHECKING:
    from desktop.case_schema import Lesion, Photograph

_PAIR_SIDE = 1000
"""Long side in pixels at which photographs stand side by side, at most."""


def lesion_page(
    cases: CaseReader, lesion: Lesion, *, left: str = "", right: str = "", can_add: bool = False
) -> str:
    """Returns a lesion with all that is known of it.

    Args:
        cases: whose pictures are shown.
        lesion: with its photographs and reviews.
        left, right: keys of the photographs that stand side by side; empty for the latest two.
        can_add: whether there is a present picture that could be added.
    """
    visits = lesion.visits
    head = _head(lesion, len(visits), can_add=can_add)
    if not visits:
        words = f'<p class="muted">{escape(say("case-first-more"))}</p>'
        return f'<div class="stack">{head}{card(say("case-first"), words)}</div>'
    pair = pair_of(visits, left, right)
    return (
        f'<div class="stack">{head}{_changed(pair)}{risk_chart(visits)}{_side_by_side(cases, visits, pair)}'
        f"{_timeline(cases, visits, pair)}</div>"
    )


def _head(lesion: Lesion, count: int, *, can_add: bool) -> str:
    pictures = say_count("case-pictures", count) if count else say("case-no-pictures")
    facts = [part for part in (lesion.site.capitalize(), pictures) if part]
    notes = f'<p class="case-notes">{escape(lesion.notes)}</p>' if lesion.notes else ""
    sure = say("case-delete-sure", pictures=pictures[:1].lower() + pictures[1:])
    actions = "".join(
        (
            button("list", say("case-back"), symbol="history"),
            button("add", say("case-add-present"), symbol="camera", primary=True) if can_add else "",
            button("edit", say("case-edit")),
            button("report", say("case-report"), symbol="file") if count else "",
            button("export", say("case-export"), symbol="down"),
            button("delete", say("case-delete"), sure=sure),
        )
    )
    return (
        f'<div class="case-head"><h1 id="case-name" tabindex="-1">{escape(title(lesion))}</h1>'
        f'<p class="muted">{escape(" · ".join(facts))}</p>{notes}<div class="row-actions">{actions}</div></div>'
    )


def _changed(pair: tuple[Photograph, Photograph] | None) -> str:
    if pair is None:
        return card(say("case-change-title"), f'<p class="small muted">{say("case-change-first")}</p>')
    lines = "".join(f"<li>{escape(words)}</li>" for words in changes(*pair))
    more = f'<p class="small muted">{say("case-change-share-more")}</p>' if _both_shares(pair) else ""
    return card(say("case-change-title"), f'<ul class="case-changes">{lines}</ul>{more}')


def _both_shares(pair: tuple[Photograph, Photograph]) -> bool:
    return all(one.is_answered and one.lesion_share is not None for one in pair)


def _side_by_side(
    cases: CaseReader, visits: Sequence[Photograph], pair: tuple[Photograph, Photograph] | None
) -> str:
    explained = explained_of(visits)
    figures = "".join(_figure(cases, one, explained) for one in pair or visits[-1:])
    if not any(one.is_answered for one in pair or visits[-1:]):
        switch = ""
    else:
        switch = f'<label class="case-heat"><input type="checkbox" checked>{say("case-heat-on")}</label>'
    return card(
        say("case-pair") if pair else say("case-pair-one"),
        f'<div class="case-pair">{switch}{figures}</div>',
    )


def _figure(cases: CaseReader, visit: Photograph, explained: str) -> str:
    day = day_words(visit.day)
    shown = explained if explained in visit.answer["probabilities"] else visit.answer["top"]
    name = DIAGNOSES[shown].name.lower() if shown in DIAGNOSES else shown
    words = [percent(risk_of(visit)), say("case-pair-heat", name=name)] if visit.is_answered else []
    try:
        picture = photo_address(bounded(load_image(cases.pictures.photograph(visit.key)), _PAIR_SIDE))
        overlay = _heat(cases, visit, shown) if visit.is_answered else ""
    except (OSError, InvalidImageError):
        inside = f'<span class="thumb thumb-none">{icon("camera")}</span>'
    else:
        alt = escape(say("case-pair-alt", day=day))
        inside = f'<img src="{picture}" alt="{alt}" width="{visit.width}" height="{visit.height}">{overlay}'
    return (
        f'<figure><div class="photo">{inside}</div><figcaption><b>{day}</b>{advice_badge(visit)}'
        f'<span class="small muted">{escape(", ".join(words))}</span></figcaption></figure>'
    )


def _heat(cases: CaseReader, visit: Photograph, code: str) -> str:
    shares = unpack_heatmap(cases.pictures.heatmap(visit.key, code))
    scale = min(1.0, HEATMAP_SIDE / max(visit.width, visit.height))
    size = max(1, round(visit.width * scale)), max(1, round(visit.height * scale))
    smooth = Image.fromarray(shares).resize(size, Image.Resampling.BICUBIC)
    address = heatmap_address(np.asarray(smooth).clip(0.0, 1.0))
    known = DIAGNOSES.get(code)
    return f'<img class="heat" src="{address}" alt="{escape(say("heatmap-alt", name=known.name if known else code))}">'


def _timeline(
    cases: CaseReader, visits: Sequence[Photograph], pair: tuple[Photograph, Photograph] | None
) -> str:
    heads = "".join(
        f'<th scope="col">{words}</th>'
        for words in (
            f'<span class="visually-hidden">{say("case-column-picture")}</span>',
            say("case-column-day"),
            say("case-column-risk"),
            say("case-column-size"),
            say("case-column-review"),
            say("case-column-actions"),
        )
    )
    rows = "".join(_visit(cases, visit, pair) for visit in reversed(visits))
    return (
        f"<h2>{say('case-timeline')}</h2>"
        '<div class="card card-flush"><div class="table-wrap"><table class="table table-cards">'
        f'<caption class="visually-hidden">{say("case-timeline")}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def _visit(cases: CaseReader, visit: Photograph, pair: tuple[Photograph, Photograph] | None) -> str:
    model = f"{visit.answer['model_name']} {visit.answer['model_version']}"
    sha = visit.answer["model_sha256"]
    origin = f"{model} · {say('case-imported')}" if visit.imported_at else model
    note = f'<small class="case-notes">{escape(visit.note)}</small>' if visit.note else ""
    risk = _risk(visit) if visit.is_answered else f'<span class="muted">{say("folder-withheld")}</span>'
    share = percent(visit.lesion_share) if visit.lesion_share is not None else "–"
    return (
        f'<tr><td data-cell="thumb">{thumb(cases, visit)}</td><th scope="row" data-cell="title">{day_words(visit.day)}'
        f'<small title="SHA-256 {escape(sha)}">{escape(origin)}</small>{note}</th>'
        f'<td data-cell="wide" class="num">{advice_badge(visit)} {risk}</td>'
        f'<td data-cell="wide" data-label="{say("case-column-size")}">{share}</td>'
        f'<td data-cell="wide">{_known(visit)}</td>'
        f'<td data-cell="wide"><div class="case-actions">{_sides(visit, pair)}{_actions(visit)}</div></td></tr>'
    )


def _risk(visit: Photograph) -> str:
    kind = "malignant" if visit.answer["advice"] == "refer" else "benign"
    tick = svg_percent(visit.answer["operating_point"])
    return (
        f"<b>{percent(risk_of(visit))}</b>"
        '<svg class="bar bar-mini" aria-hidden="true"><rect class="bar-track" width="100%" height="100%" rx="2"/>'
        f'<rect class="bar-fill" data-kind="{kind}" width="{svg_percent(risk_of(visit))}" height="100%" rx="2"/>'
        f'<line class="bar-tick" x1="{tick}" x2="{tick}" y1="-25%" y2="125%"/></svg>'
    )


def _known(visit: Photograph) -> str:
    review = visit.review
    if review is None:
        return f'<span class="muted">{say("case-unknown")}</span>'
    day = day_words(review.reviewed_at.astimezone().date())
    noted = (
        say("case-known-on-by", day=day, who=review.reviewer)
        if review.reviewer
        else say("case-known-on", day=day)
    )
    comment = f'<small class="case-notes">{escape(review.comment)}</small>' if review.comment else ""
    return f"{escape(review_words(review))}<small>{escape(noted)}</small>{comment}"


def _sides(visit: Photograph, pair: tuple[Photograph, Photograph] | None) -> str:
    if pair is None:
        return ""
    chips = "".join(
        f'<button class="chip" type="button" data-do="{side}:{visit.key}" '
        f'aria-pressed="{str(chosen.key == visit.key).lower()}">{words}</button>'
        for side, words, chosen in (
            ("left", say("case-left"), pair[0]),
            ("right", say("case-right"), pair[1]),
        )
    )
    return f'<span class="case-sides" role="group" aria-label="{say("case-pair")}">{chips}</span>'


def _actions(visit: Photograph) -> str:
    review = visit.review
    parts = [button(f"confirm:{visit.key}", say("case-confirm"))]
    if review is None:
        parts.append(button(f"bad:{visit.key}", say("case-bad")))
    else:
        parts.append(button(f"withdraw:{visit.key}", say("case-withdraw")))
    sure = say("case-delete-picture-sure")
    parts.append(button(f"drop:{visit.key}", say("case-delete-picture"), sure=sure))
    return "".join(parts)
