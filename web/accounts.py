"""Making an account, signing in and out, changing the password, and deleting it all."""

from __future__ import annotations

import math

from flask import (
    Blueprint,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user, logout_user
from flask_wtf import FlaskForm
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from wtforms import Field

from web.audit import record
from web.database import db
from web.forms import ChangePasswordForm, DeleteAccountForm, LoginForm, RegisterForm
from web.holdings import delete_user, holdings_of
from web.models import User
from web.passwords import passwords
from web.security import public, same_site, sign_in
from web.sessions import browser_name, end_all_sessions, end_session, is_this_browser, sessions_of
from web.throttle import REGISTRATION, Attempt, TooManyAttemptsError

accounts = Blueprint("accounts", __name__)


@accounts.route("/register", methods=["GET", "POST"])
@public
def register() -> ResponseReturnValue:
    """Makes an account and signs in."""
    if current_user.is_authenticated:
        return redirect(url_for("predictions.new"))
    registration = current_app.config["DERM_REGISTRATION"]
    if registration != "open":
        return render_template("register_closed.html", registration=registration), 403
    form = RegisterForm()
    if not form.validate_on_submit():
        return _page("register.html", form)
    try:
        Attempt(REGISTRATION)
    except TooManyAttemptsError as err:
        return _wait("register.html", form, err)
    user = User(
        email=form.email.data, name=form.name.data, password_hash=passwords().hash(form.password.data)
    )
    db.session.add(user)
    record("account.made", "user", user.email, actor=user.email)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        _refuse(form.email, "There is an account with this address. Sign in instead.")
        return _page("register.html", form)
    sign_in(user)
    return redirect(_next_page())


@accounts.route("/login", methods=["GET", "POST"])
@public
def login() -> ResponseReturnValue:
    """Signs in. Whether the address or the password was wrong is not told."""
    if current_user.is_authenticated:
        return redirect(_next_page())
    form = LoginForm()
    if not form.validate_on_submit():
        return _page("login.html", form)
    try:
        attempt = Attempt(form.email.data)
    except TooManyAttemptsError as err:
        return _wait("login.html", form, err)
    user = db.session.scalar(select(User).where(User.email == form.email.data))
    if not passwords().verify(user.password_hash if user else None, form.password.data) or user is None:
        return _page("login.html", form, problem="This address and password do not belong together.")
    if user.disabled_at is not None:
        problem = "This account is disabled. Ask whoever runs this server."
        return _page("login.html", form, problem=problem)
    if passwords().needs_rehash(user.password_hash):
        user.password_hash = passwords().hash(form.password.data)
    attempt.succeed()
    sign_in(user)
    return redirect(_next_page())


@accounts.post("/logout")
@public
def logout() -> ResponseReturnValue:
    """Ends this session."""
    end_session()
    logout_user()
    session.clear()
    flash("You are signed out.")
    return redirect(url_for("accounts.login"))


@accounts.get("/account")
def account() -> ResponseReturnValue:
    """What the account holds, and what can be done with it."""
    return _account_page(ChangePasswordForm())


@accounts.post("/account/password")
def change_password() -> ResponseReturnValue:
    """Sets a new password and ends every other session of the account."""
    form = ChangePasswordForm(current_user.email, current_user.name)
    if not form.validate():
        return _account_page(form, 400)
    try:
        if not _is_own_password(form.current, form.current.data):
            return _account_page(form, 400)
    except TooManyAttemptsError as err:
        return _wait_on_account(form, err)
    user = current_user._get_current_object()
    user.password_hash = passwords().hash(form.new.data)
    end_all_sessions(user)
    record("password.changed", "user", user.email)
    sign_in(user)
    flash("The password is changed. Every other device is signed out.")
    return redirect(url_for("accounts.account"))


@accounts.route("/account/delete", methods=["GET", "POST"])
def delete_account() -> ResponseReturnValue:
    """Asks once more, with the password; then removes rows and files."""
    form = DeleteAccountForm()
    if _is_only_admin():
        problem = "You are the only admin. Make somebody else an admin first."
        return _page("account_delete.html", form, held=holdings_of(current_user), problem=problem)
    if not form.validate_on_submit():
        return _page("account_delete.html", form, held=holdings_of(current_user))
    try:
        if not _is_own_password(form.password, form.password.data):
            return _page("account_delete.html", form, held=holdings_of(current_user))
    except TooManyAttemptsError as err:
        return _wait("account_delete.html", form, err, held=holdings_of(current_user))
    user = current_user._get_current_object()
    record("account.deleted", "user", user.email, answers=holdings_of(user).answers)
    logout_user()
    session.clear()
    removed = delete_user(user)
    flash(f"Your account is deleted{removed.removed_text}.")
    return redirect(url_for("accounts.login"))


def _is_only_admin() -> bool:
    """Says whether nobody could manage the other accounts any more if this one went."""
    others = select(User.role).where(User.id != current_user.id, User.disabled_at.is_(None)).distinct()
    roles = set(db.session.scalars(others))
    return current_user.has_role("admin") and bool(roles) and "admin" not in roles


def _is_own_password(field: Field, password: str) -> bool:
    """Asks a signed-in user for the password again; guesses count like those at the door."""
    attempt = Attempt(current_user.email)
    if passwords().verify(current_user.password_hash, password):
        attempt.succeed()
        return True
    _refuse(field, "This is not your password.")
    return False


def _refuse(field: Field, reason: str) -> None:
    field.errors = [*field.errors, reason]


def _next_page() -> str:
    return same_site(request.args.get("next")) or url_for("predictions.new")


def _page(template: str, form: FlaskForm, **values: object) -> ResponseReturnValue:
    """Shows a form: with status 400 where it was sent and is shown again."""
    return render_template(template, form=form, **values), 400 if request.method == "POST" else 200


def _account_page(
    form: ChangePasswordForm, status: int = 200, problem: str | None = None
) -> ResponseReturnValue:
    page = render_template(
        "account.html",
        form=form,
        held=holdings_of(current_user),
        problem=problem,
        sessions=sessions_of(current_user),
        browser_name=browser_name,
        is_this_browser=is_this_browser,
    )
    return page, status


def _wait(template: str, form: FlaskForm, err: TooManyAttemptsError, **values: object) -> ResponseReturnValue:
    page = render_template(template, form=form, problem=_patience(err), **values)
    return make_response(page, 429, {"Retry-After": str(err.seconds)})


def _wait_on_account(form: ChangePasswordForm, err: TooManyAttemptsError) -> ResponseReturnValue:
    response = make_response(_account_page(form, 429, _patience(err)))
    response.headers["Retry-After"] = str(err.seconds)
    return response


def _patience(err: TooManyAttemptsError) -> str:
    minutes = math.ceil(err.seconds / 60)
    return f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}."
