"""How figures, names and times are written and drawn on a page. Reads no request and no database."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, url_for
from wtforms import Field

from derm_core import (
    NOTICE,
    class_bars,
    diagnosis_name,
    explained_code,
    leading_malignancy,
    percent,
    plausible_words,
    risk_and_point,
)
from web.models import Prediction
from web.patients import answered_with, patient_text

_WORD = 0.17  # share of the scale that a word over it may take
_TITLES = ("dr", "prof", "med", "mr", "mrs", "ms", "mx")


def measured_sentence(prediction: Prediction) -> str | None:
    """Says how the operating point did when it was measured, or None where the model's bundle does not tell."""
    measured = prediction.operating_point_measured
    if measured.get("sensitivity") is None or measured.get("specificity") is None:
        return None
    found = percent(measured["sensitivity"]) + _interval(measured, "sensitivity_ci95")
    spared = percent(measured["specificity"]) + _interval(measured, "specificity_ci95")
    sentence = (
        f"At {risk_and_point(prediction)[1]} this model finds {found} of malignant lesions "
        f"and spares {spared} of benign ones."
    )
    if measured.get("lesions"):
        source = f" ({measured['measured_on']})" if measured.get("measured_on") else ""
        sentence += f" Measured on {measured['lesions']:,} lesions that it was not trained on{source}."
    return sentence


def plausible_of(prediction: Prediction) -> tuple[str, str]:
    """Says which diagnoses cannot be ruled out, and how often such a list holds the truth; empty where none is kept."""
    return plausible_words(prediction.plausible or (), prediction.plausible_level)


@dataclass(frozen=True)
class Scale:
    """Where the parts of the risk scale stand, in percent of its width; a word without room is None.

    `routine` and `refer` are the place and the text anchor of the words over the two zones.
    """

    risk: str
    risk_anchor: str
    point: str
    point_anchor: str
    rest: str
    routine: tuple[str, str] | None
    refer: tuple[str, str] | None
    shows_middle: bool


def risk_scale(prediction: Prediction) -> Scale:
    """Returns the drawing of risk against the operating point, in which no word stands on another."""
    risk, point = prediction.malignant_probability, prediction.operating_point
    return Scale(
        risk=svg_percent(risk),
        risk_anchor=_anchor(risk, 0.07),
        point=svg_percent(point),
        point_anchor=_anchor(point, 0.36),
        rest=svg_percent(1 - point),
        routine=_word(risk, 0.0, point, outer="start", inner="end"),
        refer=_word(risk, 1.0, point, outer="end", inner="start"),
        shows_middle=abs(point - 0.5) > 0.08,
    )


def _word(risk: float, end: float, point: float, *, outer: str, inner: str) -> tuple[str, str] | None:
    """Returns where a zone's word stands clear of the risk: at the outer end, else beside the point, else nowhere."""
    if abs(end - point) >= _WORD and abs(end - risk) > _WORD:
        return svg_percent(end), outer
    if abs(end - point) >= 2 * _WORD and abs(point - risk) > _WORD:
        return svg_percent(point), inner
    return None


def svg_percent(share: float) -> str:
    """Writes a share in [0, 1] as an SVG length."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"


def date_text(moment: date) -> str:
    """Writes a date: 21 Nov 2026."""
    return f"{moment.day} {moment:%b %Y}"


def time_text(moment: datetime) -> str:
    """Writes a time to the minute: 09:14."""
    return f"{moment:%H:%M}"


def seconds_text(seconds: float) -> str:
    """Writes a short duration: 0.08 s, 1.4 s."""
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def attributes(field: Field, hint: str | None = None, **others: Any) -> dict[str, Any]:
    """Returns the attributes of an input: its look, what ties it to its error and its hint, and the others given."""
    parts = [f"{field.id}-{part}" for part, there in (("error", field.errors), ("hint", hint)) if there]
    values: dict[str, Any] = {"class": "input"}
    if parts:
        values["aria-describedby"] = " ".join(parts)
    if field.errors:
        values["aria-invalid"] = "true"
    return values | others


def initials(name: str) -> str:
    """Returns one or two capitals for a name; titles do not count."""
    words = [word for word in name.split() if word[0].isalnum() and word.rstrip(".").lower() not in _TITLES]
    chosen = (words or name.split())[:1] + words[1:][-1:]
    return "".join(word[0] for word in chosen).upper()


def init_presentation(app: Flask) -> None:
    """Gives the templates what is written above."""

    def static_url(name: str) -> str:
        """Returns the address of a static file, with its hash, so that a browser may keep it for good."""
        return url_for("static", filename=name, v=_file_hash(Path(app.static_folder or "") / name))

    app.jinja_env.globals.update(
        NOTICE=NOTICE,
        answered_with=answered_with,
        attributes=attributes,
        class_bars=class_bars,
        diagnosis_name=diagnosis_name,
        explained_code=explained_code,
        leading_malignancy=leading_malignancy,
        measured_sentence=measured_sentence,
        patient_text=patient_text,
        plausible_of=plausible_of,
        risk_and_point=risk_and_point,
        risk_scale=risk_scale,
        static_url=static_url,
        max_megabytes=app.config["MAX_CONTENT_LENGTH"] // 1_000_000,
    )
    app.jinja_env.filters.update(
        date_text=date_text,
        initials=initials,
        percent=percent,
        seconds_text=seconds_text,
        svg_percent=svg_percent,
        time_text=time_text,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def _interval(measured: Mapping[str, Any], key: str) -> str:
    if not measured.get(key):
        return ""
    low, high = measured[key]
    return f" (95% CI {100 * low:.0f}–{100 * high:.0f})"


def _anchor(share: float, margin: float) -> str:
    if share < margin:
        return "start"
    return "end" if share > 1 - margin else "middle"


@cache
def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]
