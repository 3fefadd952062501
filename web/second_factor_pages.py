"""Setting up a second factor, its recovery codes, and its removal. Who signs in is asked for codes elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import segno
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from web.audit import record
from web.database import db
from web.forms import CodeForm, OwnPasswordAndCodeForm, OwnPasswordForm
from web.proof import is_own_password, patience, refuse, wait
from web.second_factor import (
    address_of,
    begin_factor,
    confirm_factor,
    factor_of,
    is_readable,
    lacks_factor,
    new_recovery_codes,
    recovery_codes_left,
    remove_factor,
    secret_to_confirm,
    takes_code,
)
from web.security import without_second_factor
from web.sessions import end_other_sessions, is_fresh, prove_session
from web.throttle import CODE, Attempt, TooManyAttemptsError

second_factor_pages = Blueprint("second_factor", __name__, url_prefix="/account/second-factor")

_QUIET_ZONE = 4  # modules of white around a QR code, as its standard asks


@dataclass(frozen=True)
class Drawing:
    """A QR code as the path of an SVG: `side` modules wide and high, black on white."""

    side: int
    path: str


@second_factor_pages.get("")
@without_second_factor
def overview() -> ResponseReturnValue:
    """Shows whether there is a second factor, and what can be done."""
    return _overview(OwnPasswordForm())


@second_factor_pages.post("/begin")
@without_second_factor
def begin() -> ResponseReturnValue:
    """Asks for the password, and leads on to the code to be scanned."""
    form = OwnPasswordForm()
    if factor_of(current_user) is not None:
        return redirect(url_for("second_factor.overview"))
    try:
        if not form.validate() or not is_own_password(form.password):
            return _overview(form), 400
    except TooManyAttemptsError as err:
        return wait(_overview(form, patience(err)), err)
    begin_factor(current_user)
    prove_session()
    return redirect(url_for("second_factor.set_up"))


@second_factor_pages.route("/set-up", methods=["GET", "POST"])
@without_second_factor
def set_up() -> ResponseReturnValue:
    """Shows the code to be scanned, and turns the second factor on with the first code of the app."""
    secret = secret_to_confirm(current_user)
    # Who only finds the browser open must not see the secret.
    if secret is None or not is_fresh():
        return redirect(url_for("second_factor.overview"))
    form = CodeForm()
    drawing = draw(address_of(current_user, secret))

    def page(problem: str = "") -> str:
        return render_template(
            "second_factor_set_up.html", form=form, secret=secret, drawing=drawing, problem=problem
        )

    if not form.validate_on_submit():
        return page(), 400 if request.method == "POST" else 200
    try:
        attempt = Attempt(current_user.email, CODE)
    except TooManyAttemptsError as err:
        return wait(page(patience(err)), err)
    if not confirm_factor(current_user, form.code.data):
        refuse(form.code, "This is not the code of this moment. Is the clock of the phone right?")
        return page(), 400
    codes = new_recovery_codes(current_user)
    _keep("second-factor.set-up", attempt)
    return render_template("recovery_codes.html", codes=codes, is_new=True), 201


@second_factor_pages.route("/recovery-codes", methods=["GET", "POST"])
def recovery_codes() -> ResponseReturnValue:
    """Makes new recovery codes, for the password and a code, and shows them once."""
    return _with_password_and_code("renew")


@second_factor_pages.route("/remove", methods=["GET", "POST"])
def remove() -> ResponseReturnValue:
    """Removes the second factor, for the password and a code."""
    return _with_password_and_code("remove")


def draw(text: str) -> Drawing:
    """Returns a text as a QR code."""
    rows = segno.make(text, error="m", micro=False).matrix
    parts = []
    for y, row in enumerate(rows, _QUIET_ZONE):
        x = _QUIET_ZONE
        for dark, modules in groupby(row):
            width = len(list(modules))
            if dark:
                parts.append(f"M{x} {y}h{width}v1h-{width}z")
            x += width
    return Drawing(len(rows) + 2 * _QUIET_ZONE, "".join(parts))


def _overview(form: OwnPasswordForm, problem: str = "") -> str:
    factor = factor_of(current_user)
    return render_template(
        "second_factor.html",
        form=form,
        problem=problem,
        factor=factor,
        readable=factor is None or is_readable(factor),
        left=recovery_codes_left(current_user),
        demanded=lacks_factor(current_user),
    )


def _with_password_and_code(deed: str) -> ResponseReturnValue:
    if factor_of(current_user) is None:
        return redirect(url_for("second_factor.overview"))
    form = OwnPasswordAndCodeForm()

    def page(problem: str = "") -> str:
        return render_template("second_factor_ask.html", form=form, deed=deed, problem=problem)

    if not form.validate_on_submit():
        return page(), 400 if request.method == "POST" else 200
    try:
        if not is_own_password(form.password):
            return page(), 400
        attempt = Attempt(current_user.email, CODE)
    except TooManyAttemptsError as err:
        return wait(page(patience(err)), err)
    if not takes_code(current_user, form.code.data):
        record("second-factor.refused", "user", current_user.email)
        db.session.commit()
        refuse(form.code, "This is neither the app’s code of this moment nor a recovery code that is left.")
        return page(), 400
    if deed == "renew":
        codes = new_recovery_codes(current_user)
        _keep("recovery-codes.renewed", attempt)
        return render_template("recovery_codes.html", codes=codes, is_new=False), 201
    remove_factor(current_user)
    _keep("second-factor.removed", attempt)
    flash("The second factor is removed. Every other device is signed out.")
    return redirect(url_for("second_factor.overview"))


def _keep(action: str, attempt: Attempt) -> None:
    """Keeps what was changed: every other session of the account ends, and this one gets a new key."""
    record(action, "user", current_user.email)
    end_other_sessions(current_user)
    attempt.succeed()
    prove_session()
