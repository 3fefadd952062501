"""The lesions that a user follows: listed, made, shown over time, changed and deleted. Answers no photograph."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from web.answering import delete_predictions
from web.audit import record
from web.body_map import CREASES, EARS, OUTLINE, REGIONS, VIEW_BOX, VIEWS
from web.database import db
from web.forms import tidy_line
from web.history_filters import TEXT_LENGTH
from web.lesion_forms import DeleteLesionForm, LesionForm, place_name, place_of
from web.lesion_pair import pair_of
from web.lesion_timeline import risk_chart, trend
from web.models import Lesion, Prediction
from web.paging import lesions_page
from web.visits import count_visits, own_lesion, summaries_of, visits_of

lesions = Blueprint("lesions", __name__)

DRAWING = {
    "box": " ".join(f"{value:g}" for value in VIEW_BOX),
    "views": VIEWS,
    "regions": REGIONS,
    "outline": OUTLINE,
    "ears": EARS,
    "creases": CREASES,
}
"""What a page needs to draw the body."""


@lesions.get("/lesions")
def index() -> ResponseReturnValue:
    """Lists the lesions, the newest first; `?text=` searches their names."""
    text = tidy_line(request.args.get("text"))[:TEXT_LENGTH]
    page = lesions_page(
        current_user,
        current_app.config["HISTORY_PAGE_SIZE"],
        text=text,
        before=request.args.get("before"),
        after=request.args.get("after"),
    )
    summaries = summaries_of(page.rows)
    return render_template("lesions.html", page=page, summaries=summaries, text=text, place_name=place_name)


@lesions.route("/lesions/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    """Makes a lesion."""
    form = LesionForm()
    if not form.validate_on_submit():
        return _form_page(form, None)
    lesion = Lesion(user_id=current_user.id)
    form.fill(lesion)
    db.session.add(lesion)
    db.session.commit()
    flash("The lesion is kept. Add its first photograph.")
    return redirect(url_for("lesions.show", lesion=lesion.key), 303)


@lesions.get("/lesions/<lesion>")
def show(lesion: str) -> ResponseReturnValue:
    """Shows a lesion over time.

    `?left=` and `?right=` choose the two photographs that stand side by side, `?class=` what their heatmaps explain.
    """
    shown = own_lesion(lesion)
    asked = request.args
    visits = visits_of(shown)
    return render_template(
        "lesion.html",
        lesion=shown,
        visits=visits,
        total=len(visits) if len(visits) < 2 else count_visits(shown),
        pair=pair_of(
            visits,
            left=asked.get("left", ""),
            right=asked.get("right", ""),
            code=asked.get("class", ""),
        ),
        chart=risk_chart(visits),
        trend=trend(visits) if visits else None,
        sizes=[visit for visit in visits if visit.answered and visit.prediction.lesion_share is not None],
        drawing=DRAWING,
        place=place_of(shown),
        place_name=place_name,
    )


@lesions.route("/lesions/<lesion>/edit", methods=["GET", "POST"])
def edit(lesion: str) -> ResponseReturnValue:
    """Changes a lesion's name, place and notes."""
    changed = own_lesion(lesion)
    form = LesionForm.of(changed)
    if not form.validate_on_submit():
        return _form_page(form, changed)
    form.fill(changed)
    db.session.commit()
    flash("The lesion is saved.")
    return redirect(url_for("lesions.show", lesion=changed.key), 303)


@lesions.route("/lesions/<lesion>/delete", methods=["GET", "POST"])
def delete(lesion: str) -> ResponseReturnValue:
    """Asks what becomes of the photographs, then removes a lesion for good."""
    doomed = own_lesion(lesion)
    form = DeleteLesionForm()
    if not form.validate_on_submit():
        status = 400 if request.method == "POST" else 200
        page = render_template(
            "lesion_delete.html", lesion=doomed, form=form, photographs=count_visits(doomed)
        )
        return page, status
    removed = 0
    if form.photographs.data == "delete":
        keys = db.session.scalars(
            select(Prediction.key).where(
                Prediction.lesion_id == doomed.id, Prediction.user_id == current_user.id
            )
        ).all()
        removed = delete_predictions(current_user, keys)
    # The database itself leaves loose what still belongs to it.
    record("lesion.deleted", "lesion", doomed.key, photographs=removed)
    db.session.delete(doomed)
    db.session.commit()
    flash(f"The lesion is deleted{_with(removed)}.")
    return redirect(url_for("lesions.index"), 303)


def _with(removed: int) -> str:
    if not removed:
        return ""
    return " with its photograph" if removed == 1 else f" with its {removed} photographs"


def _form_page(form: LesionForm, lesion: Lesion | None) -> ResponseReturnValue:
    status = 400 if request.method == "POST" else 200
    return render_template("lesion_form.html", form=form, lesion=lesion, drawing=DRAWING), status
