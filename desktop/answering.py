"""One picture in, one page of answer out. Keeps nothing, and knows no Gradio."""

from __future__ import annotations

import os
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from derm_core import PatientContext, class_bars, explained_code, load_image, percent, risk_and_point
from desktop.figures import measured_sentence, seconds_text
from desktop.held_picture import HeldPicture
from desktop.markup import (
    advice_banner,
    card,
    icon,
    plausible,
    probabilities,
    quality_reasons,
    reason,
    scale,
)
from desktop.patients import answered_with
from desktop.pictures import HEATMAP_SIDE, PHOTO_SIDE, heatmap_address, photo_address
from desktop.texts import say

if TYPE_CHECKING:
    from derm_core import Explanations, Prediction, Predictor

_MAP_OF_THE_PHOTOGRAPH = f'<p class="small muted">{say("heatmap-of-photo")}</p>'


def answer_page(
    predictor: Predictor,
    path: str | os.PathLike[str],
    name: str = "",
    patient: PatientContext | None = None,
) -> str:
    """Returns the answer to a picture's file as HTML; the arguments and errors are those of `answer_picture`."""
    return answer_picture(predictor, path, name, patient)[0]


def answer_picture(
    predictor: Predictor,
    path: str | os.PathLike[str],
    name: str = "",
    patient: PatientContext | None = None,
) -> tuple[str, HeldPicture]:
    """Answers a picture's file; returns the answer as HTML, and what may be asked of it later.

    Args:
        predictor: what answers.
        path: the file.
        name: what the file was called before it was uploaded; empty where that is not known.
        patient: what is known of the patient.

    Raises:
        InvalidImageError: the file cannot be read.
    """
    # Through the one door for pixels, so that its decoders and limits hold; the predictor reads the file itself.
    image = load_image(path, min_side=PHOTO_SIDE)
    patient = patient or PatientContext()
    explanations = predictor.explain_all(Path(path), context=patient, max_side=HEATMAP_SIDE)
    prediction = explanations.prediction
    if prediction.advice == "unsure":
        left, right = _viewer(_photo(image)), _refusal(prediction)
    else:
        left = _viewer(_photo(image) + _maps(explanations), _controls(prediction)) + _quality(prediction)
        right = _figures(prediction, predictor)
    held = HeldPicture(
        Path(path).read_bytes(), name, patient, prediction, predictor, datetime.now().astimezone()
    )
    return (
        f'<div class="answer"><div class="answer-head"><p class="answer-name">{escape(name or say("answer-name"))}</p>'
        f"{_basis(prediction, patient)}</div>"
        f'{advice_banner(prediction)}<div class="split"><div class="stack">{left}</div>'
        f'<div class="stack">{right}</div></div>{_provenance(prediction)}</div>'
    ), held


def _basis(prediction: Prediction, patient: PatientContext) -> str:
    sentence = answered_with(prediction, patient)
    return f'<p class="muted">{escape(sentence)}</p>' if sentence else ""


def _photo(image: Image.Image) -> str:
    return f'<img src="{photo_address(image)}" alt="{say("photo-alt")}" width="{image.width}" height="{image.height}">'


def _maps(explanations: Explanations) -> str:
    """One heatmap a class, all but one hidden."""
    prediction = explanations.prediction
    chosen = explained_code(prediction)
    return "".join(
        f'<img class="map" data-code="{escape(bar.code)}" src="{heatmap_address(explanations[bar.code])}" '
        f'alt="{say("heatmap-alt", name=escape(bar.name))}"{"" if bar.code == chosen else " hidden"}>'
        for bar in class_bars(prediction)
    )


def _viewer(pictures: str, controls: str = "") -> str:
    caption = f'<figcaption class="viewer-controls">{controls}</figcaption>' if controls else ""
    return (
        f'<section class="card card-flush" aria-label="{say("photo-card")}"><figure class="viewer">'
        f'<div class="photo">{pictures}</div>{caption}</figure></section>'
    )


def _controls(prediction: Prediction) -> str:
    chosen = explained_code(prediction)
    bars = class_bars(prediction)
    chips = "".join(
        f'<button class="chip" type="button" data-code="{escape(bar.code)}" data-name="{escape(bar.name)}" '
        f'aria-pressed="{str(bar.code == chosen).lower()}">{escape(bar.name)}'
        f'<span class="code">{escape(percent(bar.probability))}</span></button>'
        for bar in bars
    )
    (name,) = [bar.name for bar in bars if bar.code == chosen]
    return (
        f'<b id="explained" aria-live="polite">{say("explained", name=escape(name))}</b>'
        f'<div class="chips" role="group" aria-label="{say("show-what-speaks")}">{chips}'
        '<button class="chip" type="button" data-code="" data-name="" aria-pressed="false">'
        f"{say('no-heatmap')}</button></div>"
        f'<div class="opacity"><label class="small" for="opacity">{say("heatmap")}</label>'
        '<input class="slider" id="opacity" type="range" min="0" max="100" value="75">'
        '<output id="opacity-out" for="opacity">75%</output></div>'
        '<div class="legend"><div class="legend-ramp" role="img" aria-label="Heatmap colours from dark blue, '
        'little weight, through green to pale lime, most weight"></div><div class="legend-ends">'
        f"<span>{say('legend-less')}</span><span>{say('legend-half')}</span><span>{say('legend-most')}</span></div></div>"
        f"{_MAP_OF_THE_PHOTOGRAPH if prediction.context else ''}"
    )


def _quality(prediction: Prediction) -> str:
    if prediction.quality:
        return card(say("quality-title"), quality_reasons(prediction.quality), name="card later")
    sentence = say("quality-fine")
    badge = f'<span class="badge badge-good">{icon("ok")}{say("quality-good")}</span>'
    return card(
        say("quality-title"), f'<p class="small muted">{sentence}</p>', aside=badge, name="card later"
    )


def _figures(prediction: Prediction, predictor: Predictor) -> str:
    description = predictor.description
    point = description.context_operating_point if prediction.context else description.operating_point
    measured = measured_sentence(prediction, point)
    sentence = f'<p class="small muted">{escape(measured)}</p>' if measured else ""
    return card(say("risk-title"), scale(prediction) + sentence) + card(
        say("probabilities-title"), probabilities(prediction) + plausible(prediction, description.conformal)
    )


def _refusal(prediction: Prediction) -> str:
    why = quality_reasons(prediction.quality) if prediction.quality else _unlike_the_known()
    steps = [
        reason("camera", say("do-again"), say("do-again-more")),
        reason("file", say("do-file"), say("do-file-more")),
        reason("user", say("do-lesion"), say("do-lesion-more")),
    ]
    return card(say("why-title"), why) + card(say("do-title"), f'<ul class="reasons">{"".join(steps)}</ul>')


def _unlike_the_known() -> str:
    line = reason("bad", say("unlike-known"), bad=True)
    return f'<ul class="reasons">{line}</ul>'


def _provenance(prediction: Prediction) -> str:
    answered = prediction.advice != "unsure"
    sha = escape(prediction.model_sha256)
    parts = [
        f"Model <b>{escape(prediction.model_name)}</b>, version {escape(prediction.model_version)}",
        f'weights <span class="id" title="SHA-256 {sha}">{sha[:8]}</span>',
        f"operating point {escape(risk_and_point(prediction)[1])}"
        if answered
        else "numbers and heatmap withheld",
        f"{'answered' if answered else 'refused'} in {seconds_text(prediction.seconds)}",
    ]
    return f'<p class="provenance">{"".join(f"<span>{part}</span>" for part in parts)}</p>'
