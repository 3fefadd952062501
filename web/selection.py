"""What can be done with several answers of the history at once: delete them, or say which lesion they show."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from web.answering import delete_predictions
from web.audit import record
from web.database import db
from web.models import Prediction
from web.visits import MOST_CHOICES, lesion_choices, own_lesion_id, own_predictions

selection = Blueprint("selection", __name__)

MOST_SELECTED = 500
"""Answers at once; a page of the history has far fewer."""


@selection.post("/history/delete")
def delete() -> ResponseReturnValue:
    """Asks once more, then removes the chosen answers for good."""
    chosen = _chosen()
    if not chosen:
        return _nothing_chosen()
    if not request.form.get("sure"):
        return render_template("selection_delete.html", chosen=chosen)
    keys = [prediction.key for prediction in chosen]
    for key in keys:
        record("answer.deleted", "answer", key)
    removed = delete_predictions(current_user, keys)
    flash(f"{_answers(removed)} deleted, with the pictures.")
    return redirect(url_for("predictions.history"), 303)


@selection.post("/history/move")
def move() -> ResponseReturnValue:
    """Asks which lesion the chosen answers show, then keeps it."""
    chosen = _chosen()
    if not chosen:
        return _nothing_chosen()
    if "lesion" not in request.form:
        return render_template(
            "selection_move.html", chosen=chosen, lesions=lesion_choices(), most=MOST_CHOICES
        )
    lesion_id = own_lesion_id(request.form["lesion"])
    for prediction in chosen:
        prediction.lesion_id = lesion_id
    db.session.commit()
    flash(f"{_answers(len(chosen))} moved.")
    if lesion_id is None:
        return redirect(url_for("predictions.history"), 303)
    return redirect(url_for("lesions.show", lesion=request.form["lesion"]), 303)


def _chosen() -> Sequence[Prediction]:
    return own_predictions(request.form.getlist("keys")[:MOST_SELECTED])


def _nothing_chosen() -> ResponseReturnValue:
    flash("Nothing was chosen, or it is not there any more. Tick the answers first.")
    return redirect(url_for("predictions.history"), 303)


def _answers(count: int) -> str:
    return "1 answer" if count == 1 else f"{count} answers"
