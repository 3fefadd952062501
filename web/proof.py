"""Asks somebody who is signed in for the password once more. Guesses count like those at the door."""

from __future__ import annotations

import math

from flask import Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from wtforms import Field

from web.forms import OwnPasswordForm
from web.passwords import passwords
from web.sessions import is_fresh, prove_session
from web.throttle import Attempt, TooManyAttemptsError


def is_own_password(field: Field) -> bool:
    """Says whether a field has the user's password; where not, its errors say so.

    Raises TooManyAttemptsError after too many guesses.
    """
    attempt = Attempt(current_user.email)
    if passwords().verify(current_user.password_hash, field.data):
        attempt.succeed()
        return True
    refuse(field, "This is not your password.")
    return False


def ask_for_proof(title: str, button: str) -> ResponseReturnValue | None:
    """Returns a page that asks for the password, or None where a view may go on.

    It may where the session was proved lately, or where the password has come with this request. The page sends its
    form to the address that it was asked for at.
    """
    if is_fresh():
        return None
    form = OwnPasswordForm()

    def page(problem: str = "") -> str:
        return render_template("proof.html", form=form, title=title, button=button, problem=problem)

    if form.password.name not in request.form:
        return page()
    try:
        if not form.validate() or not is_own_password(form.password):
            return page(), 400
    except TooManyAttemptsError as err:
        return wait(page(patience(err)), err)
    prove_session()
    return None


def refuse(field: Field, reason: str) -> None:
    """Adds to what is wrong with a field."""
    field.errors = [*field.errors, reason]


def patience(err: TooManyAttemptsError) -> str:
    """Returns when the next attempt is allowed, as a sentence."""
    minutes = math.ceil(err.seconds / 60)
    return f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}."


def wait(page: str, err: TooManyAttemptsError) -> Response:
    """Returns a page as the answer to one attempt too many."""
    return make_response(page, 429, {"Retry-After": str(err.seconds)})
