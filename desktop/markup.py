"""The parts of an answer as HTML, with the classes of the website. Computes nothing, and knows no Gradio.

Quantities are SVG attributes, as on the website. Whatever comes from outside goes through `escape`.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_core import (
    NOTICE,
    ClassBar,
    class_bars,
    leading_malignancy,
    percent,
    plausible_words,
    risk_and_point,
)
from desktop.figures import risk_scale, svg_percent
from desktop.texts import say

if TYPE_CHECKING:
    from derm_core import Prediction, QualityFlag

STATIC = Path(__file__).parent / "static"
WORDS = {
    "refer": say("answer-refer"),
    "routine": say("answer-routine"),
    "unsure": say("answer-unsure"),
}
_GLYPHS = {
    True: '<path class="glyph-malignant" d="M6 .5 11.5 6 6 11.5.5 6Z"/>',
    False: '<circle class="glyph-benign" cx="6" cy="6" r="4.4"/>',
}


def icon(name: str) -> str:
    """Returns an icon of static/icons.svg as an SVG element of its own."""
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{_icons()[name]}</svg>'


def reason(symbol: str, text: str, more: str = "", *, bad: bool = False) -> str:
    """Returns one line of a list of reasons or advice."""
    small = f"<small>{escape(more)}</small>" if more else ""
    return f"<li{' data-bad' if bad else ''}>{icon(symbol)}<span>{escape(text)}{small}</span></li>"


def card(title: str, body: str, *, aside: str = "", name: str = "card") -> str:
    """Returns a card with its heading; `name` holds its classes."""
    return f'<section class="{name}"><div class="card-head"><h2>{escape(title)}</h2>{aside}</div>{body}</section>'


def problem(sentence: str) -> str:
    """Returns what went wrong, in one sentence."""
    return f'<div class="message message-bad" role="alert">{icon("bad")}<p>{escape(sentence)}</p></div>'


def without_path(sentence: str, path: Path) -> str:
    """Returns why a file cannot be read without its name at the front, for a row that names it already."""
    short = sentence.removeprefix(f"{path} ").removeprefix(f"{path.name} ")
    return short[:1].upper() + short[1:]


def message(sentence: str) -> str:
    """Returns what is worth knowing, in one sentence."""
    return f'<div class="message message-quiet" role="status">{icon("ok")}<p>{escape(sentence)}</p></div>'


def badge(kind: str, words: str, symbol: str) -> str:
    """Returns a label of a kind of advice; "unread" has no advice, and "plain" is none."""
    advice = f' data-advice="{kind}"' if kind in WORDS else ""
    name = "badge" if advice else "badge badge-plain"
    return f'<span class="{name}"{advice}>{icon(symbol)}{escape(words)}</span>'


def button(
    do: str, words: str, *, symbol: str = "", primary: bool = False, disabled: bool = False, sure: str = ""
) -> str:
    """Returns a button that tells the page what to do: a word and, after a colon, a value; `sure` is asked first."""
    name = "button button-primary" if primary else "button"
    mark = icon(symbol) if symbol else ""
    off = (" disabled" if disabled else "") + (f' data-sure="{escape(sure)}"' if sure else "")
    return f'<button class="{name}" type="button" data-do="{escape(do)}"{off}>{mark}{escape(words)}</button>'


def advice_banner(prediction: Prediction) -> str:
    """Returns the one banner that leads: what to do, why, and the one number."""
    risk, _ = risk_and_point(prediction)
    number = (
        f'<div class="advice-number"><strong>{escape(risk)}</strong><span>{say("answer-risk")}</span></div>'
    )
    return (
        f'<section class="advice" data-advice="{prediction.advice}" aria-labelledby="advice"><div class="advice-in">'
        f'<div class="advice-mark">{icon(prediction.advice)}</div>'
        f'<div class="advice-body"><h2 class="advice-word" id="advice" tabindex="-1">{WORDS[prediction.advice]}</h2>'
        f'<div class="advice-text"><p>{_why(prediction)}</p><p class="notice">{escape(NOTICE)}</p></div></div>'
        f"{'' if prediction.advice == 'unsure' else number}</div></section>"
    )


def scale(prediction: Prediction) -> str:
    """Returns risk from 0 to 100%, with the zones on both sides of the operating point of the answer."""
    at = risk_scale(prediction)
    risk, point = map(escape, risk_and_point(prediction))
    ticks = (0, 25, 50, 75, 100)
    return "".join(
        [
            '<svg class="scale" height="128" role="img" ',
            f'aria-label="{say("scale-label", risk=risk, point=point)}">',
            f'<text class="mark-text" x="{at.risk}" y="16" text-anchor="{at.risk_anchor}">{risk}</text>',
            f'<rect class="zone-routine" x="0" y="44" width="{at.point}" height="34"/>',
            f'<rect class="zone-refer" x="{at.point}" y="44" width="{at.rest}" height="34"/>',
            '<text class="zone-label-routine" x="0" y="38">' + say("advice-routine") + "</text>"
            if at.has_room_for_routine
            else "",
            '<text class="zone-label-refer" x="100%" y="38" text-anchor="end">'
            + say("advice-refer")
            + "</text>"
            if at.has_room_for_refer
            else "",
            '<line class="axis" x1="0" x2="100%" y1="78" y2="78"/>',
            *(f'<line class="axis" x1="{tick}%" x2="{tick}%" y1="78" y2="83"/>' for tick in ticks),
            f'<line class="stem" x1="{at.risk}" x2="{at.risk}" y1="22" y2="61"/>',
            f'<line class="point" x1="{at.point}" x2="{at.point}" y1="36" y2="104"/>',
            f'<circle class="mark" cx="{at.risk}" cy="61" r="8"/>',
            '<text x="0" y="98">0</text>',
            '<text x="50%" y="98" text-anchor="middle">50%</text>' if at.shows_middle else "",
            '<text x="100%" y="98" text-anchor="end">100%</text>',
            f'<text class="strong" x="{at.point}" y="120" text-anchor="{at.point_anchor}">',
            f"{say('scale-point', point=point)}</text>",
            "</svg>",
        ]
    )


def probabilities(prediction: Prediction) -> str:
    """Returns one bar a class, the most probable first. The operating point belongs to their sum, and is left out."""
    rows = "".join(_probability(bar, first=number == 0) for number, bar in enumerate(class_bars(prediction)))
    key = f"<li>{_glyph(True)}{say('kind-malignant')}</li><li>{_glyph(False)}{say('kind-benign')}</li>"
    return f'<ul class="probs">{rows}</ul><ul class="key">{key}</ul>'


def plausible(prediction: Prediction, conformal: Any) -> str:
    """Returns the diagnoses that cannot be ruled out, in a sentence; nothing where the model has no such part."""
    if not prediction.plausible or conformal is None:
        return ""
    words, more = plausible_words(prediction.plausible, conformal.level)
    return f'<p class="plausible"><b>{escape(words)}</b> <span class="small muted">{escape(more)}</span></p>'


def quality_reasons(flags: tuple[QualityFlag, ...]) -> str:
    """Returns what speaks against relying on the picture, and what is only worth a note."""
    lines = (
        reason("camera", flag.reason) if flag.severity == "note" else reason("bad", flag.reason, bad=True)
        for flag in flags
    )
    return f'<ul class="reasons">{"".join(lines)}</ul>'


def _why(prediction: Prediction) -> str:
    _, point = map(escape, risk_and_point(prediction))
    if prediction.advice == "unsure":
        return say("why-unsure")
    if prediction.advice == "routine":
        return say("why-routine", point=point)
    text = say("why-refer", point=point)
    leading, first = leading_malignancy(prediction), class_bars(prediction)[0]
    if leading is not None:
        text += " " + say("why-leading", name=escape(leading.name.lower()))
    if not first.malignant:
        text += " " + say("why-benign-first", name=escape(first.name))
    return text


def _probability(bar: ClassBar, *, first: bool) -> str:
    kind = "malignant" if bar.malignant else "benign"
    name, value, width = escape(bar.name), escape(percent(bar.probability)), svg_percent(bar.probability)
    return (
        f'<li class="prob"{" data-top" if first else ""}>'
        f'<span class="prob-name">{_glyph(bar.malignant)}<span title="{escape(bar.description)}">{name}</span>'
        f'<span class="code">{escape(bar.code)}</span></span>'
        f'<svg class="bar" role="img" aria-label="{name}: {value}, {kind}">'
        '<rect class="bar-track" width="100%" height="100%" rx="3"/>'
        f'<rect class="bar-fill" data-kind="{kind}" width="{width}" height="100%" rx="3"/></svg>'
        f'<span class="prob-value">{value}</span></li>'
    )


def _glyph(malignant: bool) -> str:
    return f'<svg class="glyph" viewBox="0 0 12 12" aria-hidden="true">{_GLYPHS[malignant]}</svg>'


@cache
def _icons() -> dict[str, str]:
    sprite = (STATIC / "icons.svg").read_text("utf-8")
    return dict(re.findall(r'<symbol id="([\w-]+)"[^>]*>(.*?)</symbol>', sprite, re.DOTALL))
