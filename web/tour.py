"""The tour of the first log-in: an answer for the sample picture in one click, and how it is read."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from web.answering import answer_photograph
from web.database import db, now
from web.pictures import sample_photograph

tour = Blueprint("tour", __name__)


def is_on_tour() -> bool:
    """Says whether the signed-in user has neither ended nor skipped the tour yet."""
    return current_user.is_authenticated and current_user.toured_at is None


@tour.post("/tour/sample")
def sample() -> ResponseReturnValue:
    """Answers the sample picture; its page explains itself while the tour lasts."""
    prediction = answer_photograph(current_user, sample_photograph(), is_sample=True)
    return redirect(url_for("predictions.answer", key=prediction.key), 303)


@tour.post("/tour/end")
def end() -> ResponseReturnValue:
    """Ends the tour for good, or skips it."""
    current_user.toured_at = current_user.toured_at or now()
    db.session.commit()
    return redirect(url_for("predictions.new"))
