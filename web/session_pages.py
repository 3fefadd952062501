"""Ending the sessions of other browsers, from the account's page. Lists none: that page does."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from web.audit import record
from web.database import db
from web.models import UserSession
from web.proof import ask_for_proof
from web.sessions import browser_name, end_other_sessions, is_this_browser

sessions = Blueprint("sessions", __name__)


def own_session(key: str) -> UserSession:
    """Returns the signed-in user's session of that key; for anybody else's, as for one that never was, 404."""
    query = select(UserSession).where(UserSession.key == key, UserSession.user_id == current_user.id)
    return db.session.scalar(query) or abort(404)


@sessions.post("/account/sessions/<session>/end")
def end(**address: str) -> ResponseReturnValue:
    """Signs out one browser of the account."""
    row = own_session(address["session"])
    here = is_this_browser(row)
    name = browser_name(row.user_agent)
    if (question := ask_for_proof(f"Sign out {name}?", "Sign out")) is not None:
        return question
    db.session.delete(row)
    record("session.ended", "user", current_user.email, browser=name)
    db.session.commit()
    flash("You are signed out." if here else f"{name} is signed out.")
    return redirect(url_for("accounts.account"))


@sessions.post("/account/sessions/end-others")
def end_others() -> ResponseReturnValue:
    """Signs out every browser of the account but this one."""
    if (question := ask_for_proof("Sign out every other browser?", "Sign out everywhere else")) is not None:
        return question
    if ended := end_other_sessions(current_user):
        record("session.ended", "user", current_user.email, browsers=ended)
    db.session.commit()
    flash("No other browser was signed in." if not ended else "Every other browser is signed out.")
    return redirect(url_for("accounts.account"))
