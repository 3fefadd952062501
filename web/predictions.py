"""Sending a photograph, reading its answer, the history, and what can be done with an answer."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from derm_core import InvalidImageError, explained_code
from web.answering import answer_photograph, delete_prediction, store
from web.database import db
from web.forms import NoteForm, PictureForm
from web.history_filters import HistoryFilters, filter_choices
from web.inference import inference
from web.models import Lesion, Prediction
from web.paging import history_page
from web.pictures import PHOTO, THUMBNAIL, heatmap_name, overlay_webp, sample_photograph
from web.quota import QuotaFullError
from web.reviews import clinicians_asked, reviews_of
from web.seeing import is_own, note_seen, own_prediction, seen_prediction
from web.visits import VisitForm, lesion_choices, own_lesion_id

predictions = Blueprint("predictions", __name__)

PHOTOGRAPH_ONLY = "none"
"""In place of a class: the photograph without a heatmap."""


@predictions.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    """Takes a photograph and shows its answer; `?lesion=` chooses the lesion that it shows."""
    form = PictureForm()
    if request.method == "GET":
        _choose_lesion(form, request.args.get("lesion", ""))
    if not form.validate_on_submit():
        return _new_page(form, status=400 if request.method == "POST" else 200)
    upload = next((field.data for field in (form.camera, form.picture) if field.data), None)
    data = upload.read() if upload else b""
    if not data:
        problem = "The file is empty. Copy it again from the camera." if upload else "Choose a picture first."
        return _new_page(form, problem, status=400)
    lesion_id, taken_on = own_lesion_id(form.lesion.data), form.taken_on.data

    def place(row: Prediction) -> None:
        row.lesion_id, row.taken_on = lesion_id, taken_on

    try:
        prediction = answer_photograph(
            current_user, data, patient=form.patient(), note=form.note.data, and_then=place
        )
    except (InvalidImageError, QuotaFullError) as err:
        return _new_page(form, str(err), status=400)
    return redirect(url_for("predictions.answer", key=prediction.key), 303)


@predictions.post("/new/sample")
def new_sample() -> ResponseReturnValue:
    """Answers the sample picture, so that a newcomer sees an answer in one click."""
    prediction = answer_photograph(current_user, sample_photograph(), is_sample=True)
    return redirect(url_for("predictions.answer", key=prediction.key), 303)


@predictions.get("/history")
def history() -> ResponseReturnValue:
    """Lists the answers, newest first; the address says which."""
    filters = HistoryFilters.from_arguments(request.args)
    page = history_page(
        current_user,
        current_app.config["HISTORY_PAGE_SIZE"],
        filters=filters,
        before=request.args.get("before"),
        after=request.args.get("after"),
    )
    return render_template(
        "history.html",
        page=page,
        filters=filters,
        choices=filter_choices(),
        lesions=[*lesion_choices(filters.lesion).items()][1:],
    )


@predictions.get("/answers/<key>")
def answer(key: str) -> ResponseReturnValue:
    """Shows one answer; `?class=mel` chooses the class that is explained."""
    prediction = seen_prediction(key)
    note_seen(prediction)
    return _answer_page(prediction, NoteForm(obj=prediction))


@predictions.post("/answers/<key>/note")
def note(key: str) -> ResponseReturnValue:
    """Keeps what the user writes about an answer."""
    prediction = own_prediction(key)
    form = NoteForm()
    if not form.validate():
        return _answer_page(prediction, form, 400)
    prediction.note = form.note.data
    db.session.commit()
    flash("The note is saved.")
    return redirect(url_for("predictions.answer", key=key))


@predictions.post("/answers/<key>/lesion")
def move(key: str) -> ResponseReturnValue:
    """Says which lesion a photograph shows, and on which day it was taken."""
    prediction = own_prediction(key)
    form = VisitForm()
    if not form.validate():
        return _answer_page(prediction, NoteForm(None, obj=prediction), 400, visit_form=form)
    prediction.lesion_id = own_lesion_id(form.lesion.data)
    prediction.taken_on = form.taken_on.data
    db.session.commit()
    flash("Lesion and day are saved.")
    return redirect(url_for("predictions.answer", key=key))


@predictions.route("/answers/<key>/delete", methods=["GET", "POST"])
def delete(key: str) -> ResponseReturnValue:
    """Asks once more, then removes an answer for good."""
    prediction = own_prediction(key)
    if request.method == "GET":
        return render_template("answer_delete.html", prediction=prediction)
    delete_prediction(prediction)
    flash("The answer and its picture are deleted.")
    return redirect(url_for("predictions.history"))


@predictions.get("/answers/<key>/photo")
def photo(key: str) -> ResponseReturnValue:
    """Returns the photograph."""
    return send_file(_path(seen_prediction(key), PHOTO), max_age=0)


@predictions.get("/answers/<key>/thumbnail")
def thumbnail(key: str) -> ResponseReturnValue:
    """Returns a small copy of the photograph."""
    return send_file(_path(seen_prediction(key), THUMBNAIL), max_age=0)


@predictions.get("/answers/<key>/heatmap/<code>")
def heatmap(key: str, code: str) -> ResponseReturnValue:
    """Returns the heatmap of a class, to be laid over the photograph."""
    prediction = seen_prediction(key)
    if code not in prediction.probabilities:
        abort(404)
    kept = _path(prediction, heatmap_name(code)).read_bytes()
    overlay = overlay_webp(kept, prediction.width, prediction.height)
    return current_app.response_class(overlay, mimetype="image/webp")


def _new_page(form: PictureForm, problem: str = "", *, status: int) -> ResponseReturnValue:
    # Of the patient only a model is told that has learnt to use it; one that is still loading may have.
    asks_patient = inference().uses_context is not False or form.names_patient
    return render_template("new.html", form=form, problem=problem, asks_patient=asks_patient), status


def _choose_lesion(form: PictureForm, key: str) -> None:
    """Chooses a lesion of the user's in the form, and its site; any other key chooses none."""
    lesion = db.session.scalar(select(Lesion).where(Lesion.key == key, Lesion.user_id == current_user.id))
    if lesion is not None:
        form.choose(lesion)
        form.site.data = lesion.site


def _answer_page(
    prediction: Prediction, form: NoteForm, status: int = 200, visit_form: VisitForm | None = None
) -> ResponseReturnValue:
    chosen = request.args.get("class")
    if chosen != PHOTOGRAPH_ONLY and chosen not in prediction.probabilities:
        chosen = explained_code(prediction)
    page = render_template(
        "answer.html",
        prediction=prediction,
        form=form,
        visit_form=(visit_form or _visit_form(prediction)) if is_own(prediction) else None,
        chosen=chosen,
        owned=is_own(prediction),
        steps=reviews_of(prediction),
        asked=clinicians_asked(prediction) if is_own(prediction) else [],
    )
    return page, status


def _visit_form(prediction: Prediction) -> VisitForm:
    lesion = prediction.lesion
    return VisitForm(None, lesion=lesion.key if lesion else "", taken_on=prediction.taken_on)


def _path(prediction: Prediction, name: str) -> Path:
    try:
        return store().path(prediction.key, name)
    except FileNotFoundError:
        abort(404)
