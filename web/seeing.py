"""Who may see an answer: its owner, and the clinicians with whom it is shared. Shows no page."""

from __future__ import annotations

from flask import abort
from flask_login import current_user
from sqlalchemy import select

from web.audit import record
from web.database import db
from web.models import Prediction, Share


def own_prediction(key: str) -> Prediction:
    """Returns the signed-in user's answer of that key; for anybody else's, as for one that never was, 404."""
    query = select(Prediction).where(Prediction.key == key, Prediction.user_id == current_user.id)
    return db.session.scalar(query) or abort(404)


def seen_prediction(key: str) -> Prediction:
    """Returns an answer that the signed-in user may see: their own, or one shared with them as a clinician.

    For any other, as for one that never was, 404. Whoever only sees an answer may neither change, move nor delete it.
    """
    prediction = db.session.scalar(select(Prediction).where(Prediction.key == key)) or abort(404)
    if is_own(prediction) or (current_user.has_role("clinician") and _is_shared(prediction)):
        return prediction
    abort(404)


def is_own(prediction: Prediction) -> bool:
    """Says whether an answer belongs to the signed-in user."""
    return prediction.user_id == current_user.id


def note_seen(prediction: Prediction) -> None:
    """Notes in the audit log that somebody else's answer was opened."""
    if not is_own(prediction):
        record("answer.seen", "answer", prediction.key)
        db.session.commit()


def _is_shared(prediction: Prediction) -> bool:
    query = select(Share.id).where(
        Share.prediction_id == prediction.id, Share.clinician_id == current_user.id
    )
    return db.session.scalar(query) is not None
