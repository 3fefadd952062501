"""Answers and lesions as PDF, to be printed or sent along. Draws nothing itself."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from flask import Blueprint, Response, abort, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from derm_core import (
    PatientContext,
    QualityFlag,
    ReportedAnswer,
    answer_report,
    diagnosis_name,
    explained_code,
    lesion_report,
    unpack_heatmap,
)
from derm_core import Prediction as Answer
from web.answering import store
from web.database import db
from web.lesion_forms import place_name
from web.models import Prediction, Review
from web.pictures import PHOTO, heatmap_name
from web.presentation import measured_sentence
from web.seeing import is_own, note_seen, seen_prediction
from web.visits import own_lesion, visits_of

reports = Blueprint("reports", __name__)

_NOT_FOR_NAMES = re.compile(r"[^a-z0-9]+")


@reports.get("/answers/<key>/report.pdf")
def answer(key: str) -> ResponseReturnValue:
    """Returns the report of an answer, for whoever may see it."""
    prediction = seen_prediction(key)
    note_seen(prediction)
    # The name of a lesion may be a patient's code: it is its owner's alone, also where an answer is shared.
    lesion = prediction.lesion if is_own(prediction) else None
    title = "Sample picture" if prediction.is_sample else lesion.name if lesion else ""
    pdf = answer_report(_reported(prediction, explained=True), title=title, requested_by=current_user.name)
    return _download(pdf, "answer", prediction.created_at)


@reports.get("/lesions/<lesion>/report.pdf")
def lesion(lesion: str) -> ResponseReturnValue:
    """Returns the report of a lesion: its newest answer, and how it changed."""
    found = own_lesion(lesion)
    visits = visits_of(found)
    if not visits:
        flash("There is nothing to report yet. Add a photograph to this lesion first.")
        return redirect(url_for("lesions.show", lesion=lesion))
    newest = visits[-1].prediction
    pdf = lesion_report(
        found.name,
        [_reported(visit.prediction, explained=visit.prediction is newest) for visit in visits],
        site=place_name(found),
        notes=found.notes,
        requested_by=current_user.name,
    )
    return _download(pdf, found.name, newest.created_at)


def answer_of(row: Prediction) -> Answer:
    """Returns the answer that a row keeps, as the engine gave it."""
    return Answer(
        probabilities=row.probabilities,
        top=row.top,
        malignant_probability=row.malignant_probability,
        operating_point=row.operating_point,
        advice=row.advice,  # type: ignore[arg-type]
        quality=tuple(QualityFlag(**flag) for flag in row.quality),  # type: ignore[arg-type]
        model_name=row.model_name,
        model_version=row.model_version,
        model_sha256=row.model_sha256,
        seconds=row.seconds,
        context=tuple(row.context.split()),
        plausible=tuple(row.plausible or ()),
    )


def _reported(row: Prediction, *, explained: bool) -> ReportedAnswer:
    """Returns what a report prints of an answer; its heatmap is read where the answer is to be explained."""
    code = explained_code(row)
    shows_heatmap = explained and row.advice != "unsure"
    return ReportedAnswer(
        prediction=answer_of(row),
        photograph=_path(row, PHOTO),
        answered_at=row.created_at,
        taken_on=row.taken_on,
        heatmap=unpack_heatmap(_path(row, heatmap_name(code)).read_bytes()) if shows_heatmap else None,
        explained=code,
        patient=PatientContext(row.age, row.sex, row.site),
        note=row.note,
        measured=measured_sentence(row) or "",
        plausible_level=row.plausible_level,
        review=_review_text(row),
        is_sample=row.is_sample,
        record=row.key,
    )


def _review_text(row: Prediction) -> str:
    """Writes what was confirmed, and how; empty where nothing was."""
    if row.review != "confirmed":
        return ""
    query = select(Review.confirmed_by).where(Review.prediction_id == row.id).order_by(Review.id.desc())
    how = db.session.scalar(query.limit(1))
    return f"{diagnosis_name(row.confirmed)}, by {how}" if how else diagnosis_name(row.confirmed)


def _path(row: Prediction, name: str) -> Path:
    try:
        return store().path(row.key, name)
    except FileNotFoundError:
        abort(404)


def _download(pdf: bytes, name: str, moment: datetime) -> Response:
    """Returns the file to be saved: a page's policy would keep a browser's own viewer from showing it."""
    plain = _NOT_FOR_NAMES.sub("-", name.lower()).strip("-")[:40] or "lesion"
    response = Response(pdf, mimetype="application/pdf")
    response.headers["Content-Disposition"] = (
        f'attachment; filename="dermatrace-{plain}-{moment:%Y-%m-%d}.pdf"'
    )
    return response
