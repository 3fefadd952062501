"""What clinicians say of a case, and whom its owner asks: confirmed diagnoses, second opinions, the inbox of both."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from derm_core import DIAGNOSES
from web.audit import record
from web.database import db
from web.management_forms import ReviewForm, ShareForm
from web.models import Prediction, Review, Share, User
from web.paging import inbox_page
from web.roles import requires_role
from web.seeing import own_prediction, seen_prediction
from web.throttle import Attempt, TooManyAttemptsError

reviews = Blueprint("reviews", __name__)


@dataclass(frozen=True)
class SharedCase:
    """An answer in a clinician's inbox, whose it is, and since when."""

    prediction: Prediction
    owner: str
    share: Share


def reviews_of(prediction: Prediction) -> list[Review]:
    """Returns every step of a case's review, the newest first."""
    query = select(Review).where(Review.prediction_id == prediction.id).order_by(Review.id.desc())
    return list(db.session.scalars(query))


def clinicians_asked(prediction: Prediction) -> list[User]:
    """Returns with whom an answer is shared, in the order of asking."""
    query = (
        select(User).join(Share, Share.clinician_id == User.id).where(Share.prediction_id == prediction.id)
    )
    return list(db.session.scalars(query.order_by(Share.id)))


@reviews.get("/inbox")
@requires_role("clinician")
def inbox() -> ResponseReturnValue:
    """Lists the answers that others shared with the signed-in clinician, newest first."""
    page = inbox_page(
        current_user,
        current_app.config["HISTORY_PAGE_SIZE"],
        before=request.args.get("before"),
        after=request.args.get("after"),
    )
    owners = {share.prediction.user_id for share in page.rows}
    names = dict(db.session.execute(select(User.id, User.name).where(User.id.in_(owners))).all())
    cases = [
        SharedCase(share.prediction, names.get(share.prediction.user_id, ""), share) for share in page.rows
    ]
    return render_template("review_inbox.html", cases=cases, page=page)


@reviews.route("/answers/<key>/review", methods=["GET", "POST"])
@requires_role("clinician")
def review(key: str) -> ResponseReturnValue:
    """Records what has become known of a case."""
    prediction = seen_prediction(key)
    _refuse_sample(prediction)
    form = ReviewForm(list(DIAGNOSES), diagnosis=prediction.confirmed)
    if not form.validate_on_submit():
        page = render_template("review.html", prediction=prediction, form=form, steps=reviews_of(prediction))
        return page, 400 if request.method == "POST" else 200
    is_confirmed = form.verdict.data == "confirmed"
    _add(
        prediction,
        form.verdict.data,
        diagnosis=form.diagnosis.data if is_confirmed else "",
        confirmed_by=form.confirmed_by.data if is_confirmed else "",
        comment=form.comment.data,
    )
    flash("The review is recorded.")
    return redirect(url_for("predictions.answer", key=key))


@reviews.post("/answers/<key>/review/withdraw")
@requires_role("clinician")
def withdraw(key: str) -> ResponseReturnValue:
    """Takes the newest review back; it stays in the case's record, marked as withdrawn."""
    prediction = seen_prediction(key)
    if not prediction.review:
        abort(404)
    _add(prediction, "withdrawn")
    flash("The review is withdrawn.")
    return redirect(url_for("predictions.answer", key=key))


@reviews.route("/answers/<key>/share", methods=["GET", "POST"])
def share(key: str) -> ResponseReturnValue:
    """Lets a clinician see an answer and review it."""
    prediction = own_prediction(key)
    form = ShareForm()
    if not form.validate_on_submit():
        return _share_page(prediction, form, 400 if request.method == "POST" else 200)
    try:
        # Counted like guesses at the door, or addresses of clinicians could be tried out one after the other.
        attempt = Attempt(f"share:{current_user.email}")
    except TooManyAttemptsError:
        form.email.errors = ["Too many addresses were tried. Wait a few minutes."]
        return _share_page(prediction, form, 429)
    clinician = db.session.scalar(
        select(User).where(
            User.email == form.email.data, User.disabled_at.is_(None), User.id != current_user.id
        )
    )
    if clinician is None or not clinician.has_role("clinician"):
        form.email.errors = [
            "No other clinician has this address here. Check it, or ask an admin to invite them."
        ]
        return _share_page(prediction, form, 400)
    attempt.succeed()
    name = clinician.name
    record("answer.shared", "answer", prediction.key, clinician=clinician.email)
    db.session.add(Share(prediction_id=prediction.id, clinician_id=clinician.id))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()  # It is shared already, which is what was wanted.
    flash(f"{name} can see this answer now.")
    return redirect(url_for("reviews.share", key=key))


@reviews.post("/answers/<key>/unshare")
def unshare(key: str) -> ResponseReturnValue:
    """Takes an answer back from the clinician whose address is in the form."""
    prediction = own_prediction(key)
    form = ShareForm()
    if not form.validate():
        return _share_page(prediction, form, 400)
    clinician = select(User.id).where(User.email == form.email.data).scalar_subquery()
    db.session.execute(
        delete(Share).where(Share.prediction_id == prediction.id, Share.clinician_id == clinician)
    )
    record("answer.unshared", "answer", prediction.key, clinician=form.email.data)
    db.session.commit()
    flash("The answer is taken back.")
    return redirect(url_for("reviews.share", key=key))


def _add(
    prediction: Prediction, verdict: str, *, diagnosis: str = "", confirmed_by: str = "", comment: str = ""
) -> None:
    """Adds one step and lets the answer say what counts now; both or neither."""
    db.session.add(
        Review(
            prediction_id=prediction.id,
            reviewer_id=current_user.id,
            reviewer_name=current_user.name,
            verdict=verdict,
            diagnosis=diagnosis,
            confirmed_by=confirmed_by,
            comment=comment,
        )
    )
    prediction.review = "" if verdict == "withdrawn" else verdict
    prediction.confirmed = diagnosis
    record("review.added", "answer", prediction.key, verdict=verdict, diagnosis=diagnosis or None)
    db.session.commit()


def _share_page(prediction: Prediction, form: ShareForm, status: int = 200) -> ResponseReturnValue:
    page = render_template(
        "review_share.html", prediction=prediction, form=form, clinicians=clinicians_asked(prediction)
    )
    return page, status


def _refuse_sample(prediction: Prediction) -> None:
    if prediction.is_sample:
        abort(404)
