"""Predictions through the API: a photograph in, its answer out; and the list, the files and the end of them."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from derm_core import DIAGNOSES, NOTICE, InvalidImageError, PatientContext, class_bars
from web.answering import answer_photograph, delete_prediction, store
from web.api import inputs, schemas
from web.api.keyset import page_of
from web.api.limits import PHOTOGRAPHS, REQUESTS
from web.api.operations import Operation, read_fields
from web.api.problems import Fault, Problem
from web.audit import record
from web.database import db
from web.models import Lesion, Prediction
from web.pictures import PHOTO, heatmap_name, overlay_png
from web.seeing import own_prediction

predictions = Blueprint("predictions", __name__)

FORM = "multipart/form-data"
PICTURES = (
    *("image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp", "image/heic", "image/heif"),
    "application/octet-stream",
)
FIELD = "image"


class PredictionUpload(inputs.PredictionFields):
    """A photograph, and what may be told with it."""

    image: bytes


def shown(row: Prediction) -> schemas.Prediction:
    """Returns a prediction as it is answered."""
    answered = row.advice != "unsure"
    bars = class_bars(row) if answered else []
    return schemas.Prediction(
        id=row.key,
        url=url_for("api.predictions.show", key=row.key),
        created_at=row.created_at,
        taken_on=row.taken_on,
        advice=row.advice,  # type: ignore[arg-type]
        malignant_probability=min(1.0, row.malignant_probability) if answered else None,
        operating_point=row.operating_point,
        top=row.top if answered else None,
        probabilities=[
            schemas.Probability(
                code=bar.code, name=bar.name, malignant=bar.malignant, probability=bar.probability
            )
            for bar in bars
        ]
        or None,
        plausible=row.plausible if answered else None,
        plausible_level=row.plausible_level if answered else None,
        quality=[schemas.QualityFlag(**{"severity": "refuse", **flag}) for flag in row.quality],
        patient=schemas.Patient(age=row.age, sex=row.sex or None, site=row.site or None),
        answered_with=row.context.split(),
        note=row.note,
        lesion=row.lesion.key if row.lesion else None,
        sample=row.is_sample,
        review=row.review or None,  # type: ignore[arg-type]
        confirmed=row.confirmed or None,
        width=row.width,
        height=row.height,
        model=schemas.Model(name=row.model_name, version=row.model_version, sha256=row.model_sha256),
        photo=url_for("api.predictions.photo", key=row.key),
        heatmaps={bar.code: url_for("api.predictions.heatmap", key=row.key, code=bar.code) for bar in bars},
        notice=NOTICE,
    )


def _again(key: str) -> schemas.Prediction:
    return shown(own_prediction(key))


@predictions.post("/predictions")
@Operation(
    "Answer a photograph",
    scope="predict",
    status=201,
    gives=schemas.Prediction,
    uploads={FORM: PredictionUpload} | dict.fromkeys(PICTURES),
    policies=(REQUESTS, PHOTOGRAPHS),
    again=_again,
    may_be_busy=True,
)
def create(finish: Callable[[str], None]) -> schemas.Prediction:
    """Takes a photograph, answers it, and keeps both.

    Send a form with the file in the field `image` and whatever else is known, or the file alone as the body. Formats
    are told by content: JPEG, PNG, WebP, TIFF, BMP and HEIC. The photograph is written anew without what cameras add
    to it.
    """
    picture, fields = _upload()
    lesion = None if fields.lesion is None else _own_lesion(fields.lesion, "lesion").id

    def keep(row: Prediction) -> None:
        row.lesion_id = lesion
        row.taken_on = fields.taken_on
        finish(url_for("api.predictions.show", key=row.key))

    patient = PatientContext(fields.age, fields.sex or "", fields.site or "")
    try:
        row = answer_photograph(current_user, picture, patient=patient, note=fields.note, and_then=keep)
    except InvalidImageError as err:
        raise Problem(422, "unreadable-picture", str(err)) from err
    return shown(row)


@predictions.get("/predictions")
@Operation("List predictions", scope="read", query=inputs.PredictionFilter, gives=schemas.PredictionPage)
def index(query: inputs.PredictionFilter) -> schemas.PredictionPage:
    """Returns predictions, newest first. Follow `next` until it is null: pages do not shift when others come or go."""
    rows = (
        select(Prediction).where(Prediction.user_id == current_user.id).options(joinedload(Prediction.lesion))
    )
    if query.advice:
        rows = rows.where(Prediction.advice == query.advice)
    if query.top:
        # An answer that is withheld is not to be found by what it would have been.
        rows = rows.where(Prediction.top == query.top, Prediction.advice != "unsure")
    if query.lesion:
        rows = rows.where(Prediction.lesion_id == _own_lesion(query.lesion, "lesion").id)
    if query.review:
        rows = rows.where(Prediction.review == query.review)
    if query.since:
        rows = rows.where(Prediction.created_at >= query.since)
    if query.until:
        rows = rows.where(Prediction.created_at < query.until)
    found, following = page_of(rows, Prediction, limit=query.limit, cursor=query.cursor)
    return schemas.PredictionPage(items=[shown(row) for row in found], next=following)


@predictions.get("/predictions/<key>")
@Operation("Get a prediction", scope="read", gives=schemas.Prediction)
def show(key: str) -> schemas.Prediction:
    """Returns one prediction as it was given: a model that serves later changes none."""
    return shown(own_prediction(key))


@predictions.patch("/predictions/<key>")
@Operation("Change a prediction", scope="write", body=inputs.PredictionChange, gives=schemas.Prediction)
def change(key: str, body: inputs.PredictionChange) -> schemas.Prediction:
    """Changes the note, the lesion that the photograph belongs to, or its day. The answer itself never changes."""
    row = own_prediction(key)
    if "note" in body.model_fields_set:
        row.note = body.note
    if "lesion" in body.model_fields_set:
        row.lesion_id = None if body.lesion is None else _own_lesion(body.lesion, "#/lesion").id
    if "taken_on" in body.model_fields_set:
        row.taken_on = body.taken_on
    db.session.commit()
    return shown(row)


@predictions.delete("/predictions/<key>")
@Operation("Delete a prediction", scope="write", status=204)
def delete(key: str) -> None:
    """Removes a prediction for good, with its photograph and its heatmaps."""
    row = own_prediction(key)
    record("answer.deleted", "answer", row.key)
    delete_prediction(row)


@predictions.get("/predictions/<key>/photo")
@Operation("Get the photograph", scope="read", gives="image/jpeg")
def photo(key: str) -> Response:
    """Returns the photograph as it is kept: upright, without metadata, its long side at most 2,400 pixels."""
    return Response(_file(own_prediction(key), PHOTO), mimetype="image/jpeg")


@predictions.get("/predictions/<key>/heatmaps/<code>")
@Operation("Get a heatmap", scope="read", query=inputs.HeatmapStyle, gives="image/png")
def heatmap(key: str, code: str, query: inputs.HeatmapStyle) -> Response:
    """Returns which parts of the photograph speak for a class, as a PNG. Where there is no answer, there is none."""
    row = own_prediction(key)
    if code not in row.probabilities:
        raise Problem(404, "not-found", f"The model has no class {code!r}." if code in DIAGNOSES else "")
    if row.advice == "unsure":
        raise Problem(404, "not-found", "This photograph has no answer, so there is nothing to explain.")
    kept = _file(row, heatmap_name(code))
    drawn = kept if query.style == "grey" else overlay_png(kept, row.width, row.height)
    return Response(drawn, mimetype="image/png")


def _upload() -> tuple[bytes, inputs.PredictionFields]:
    if request.mimetype != FORM:
        picture, fields = request.get_data(), inputs.PredictionFields()
    else:
        files = request.files.getlist(FIELD)
        if len(files) != 1 or len(request.files) != 1:
            fault = Fault(FIELD, f"Wanted: one file, in the field “{FIELD}”. Send many as a batch.")
            raise Problem(422, "invalid", fault.detail, faults=[fault])
        picture, fields = files[0].read(), read_fields(inputs.PredictionFields, request.form.to_dict())
    if not picture:
        raise Problem(422, "unreadable-picture", "The file is empty.")
    return picture, fields


def _own_lesion(key: str, part: str) -> Lesion:
    found = db.session.scalar(select(Lesion).where(Lesion.key == key, Lesion.user_id == current_user.id))
    if found is None:
        fault = Fault(part, "There is no such lesion of yours.")
        raise Problem(422, "invalid", fault.detail, faults=[fault])
    return found


def _file(row: Prediction, name: str) -> bytes:
    try:
        return store().path(row.key, name).read_bytes()
    except FileNotFoundError as err:
        raise Problem(404, "not-found") from err
