"""The second question at the door: after the password, a code. Until it is answered nobody is signed in."""

from __future__ import annotations

import logging

from flask import Blueprint, current_app, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from web.audit import record
from web.database import db, now
from web.forms import CodeForm
from web.models import User
from web.proof import patience, refuse, wait
from web.second_factor import (
    factor_of,
    is_readable,
    recovery_codes_left,
    takes_app_code,
    takes_recovery_code,
)
from web.security import next_page, public, sign_in
from web.throttle import CODE, Attempt, TooManyAttemptsError

log = logging.getLogger(__name__)

second_factor_sign_in = Blueprint("second_factor_sign_in", __name__, url_prefix="/login")

_PENDING = "password-given"
"""Where the signed cookie says whose password was given, and when. It opens nothing but the pages below."""


def ask_for_code(user: User) -> ResponseReturnValue:
    """Leads somebody whose password was right to the page that asks for the code."""
    session.clear()
    session[_PENDING] = {"user": user.get_id(), "at": int(now().timestamp())}
    return redirect(url_for("second_factor_sign_in.code", next=request.args.get("next")))


@second_factor_sign_in.route("/code", methods=["GET", "POST"])
@public
def code() -> ResponseReturnValue:
    """Asks for the code that the app shows."""
    return _ask(by_recovery_code=False)


@second_factor_sign_in.route("/recovery-code", methods=["GET", "POST"])
@public
def recovery_code() -> ResponseReturnValue:
    """Asks for a recovery code instead."""
    return _ask(by_recovery_code=True)


def _ask(*, by_recovery_code: bool) -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(next_page())
    user = _pending_user()
    factor = factor_of(user) if user else None
    if user is None or factor is None:
        session.pop(_PENDING, None)
        return redirect(url_for("accounts.login"))
    form = CodeForm()

    def page(problem: str = "") -> str:
        readable = is_readable(factor)
        if not readable:
            log.warning("The server's key has changed: secrets of second factors cannot be read")
        return render_template(
            "login_code.html",
            form=form,
            problem=problem,
            by_recovery_code=by_recovery_code,
            readable=readable,
        )

    if not form.validate_on_submit():
        return page(), 400 if request.method == "POST" else 200
    try:
        attempt = Attempt(user.email, CODE)
    except TooManyAttemptsError as err:
        return wait(page(patience(err)), err)
    takes = takes_recovery_code if by_recovery_code else takes_app_code
    if not takes(user, form.code.data):
        record("second-factor.refused", "user", user.email, actor=user.email)
        db.session.commit()
        refuse(form.code, _refusal(by_recovery_code=by_recovery_code))
        return page(), 400
    left = recovery_codes_left(user)
    if by_recovery_code:
        record("recovery-code.used", "user", user.email, actor=user.email, left=left)
    attempt.succeed()
    sign_in(user)
    if by_recovery_code:
        flash(_left_text(left))
    return redirect(next_page())


def _pending_user() -> User | None:
    """Returns whose password was given in this browser a short while ago, and is still the password."""
    pending = session.get(_PENDING)
    if (
        not pending
        or pending["at"] < now().timestamp() - current_app.config["CODE_PAGE_LIFETIME"].total_seconds()
    ):
        return None
    number, _, key = pending["user"].partition(":")
    user = db.session.get(User, int(number))
    if user is None or user.session_key != key or user.disabled_at is not None:
        return None
    return user


def _refusal(*, by_recovery_code: bool) -> str:
    if by_recovery_code:
        return "This is none of the recovery codes that are left. Each works once."
    return "This is not the code of this moment. Each works once: wait for the next one."


def _left_text(left: int) -> str:
    if not left:
        return "That was your last recovery code. Make new ones on your account’s page."
    return f"{left} recovery code{'' if left == 1 else 's'} left. Make new ones on your account’s page."
