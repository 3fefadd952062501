"""Making an account, signing in and out, changing the password, and deleting it all."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, logout_user
from flask_wtf import FlaskForm
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from web.api.tokens import revoke_tokens
from web.audit import record
from web.database import db
from web.forms import ChangePasswordForm, LoginForm, OwnPasswordForm, RegisterForm
from web.holdings import delete_user, holdings_of
from web.models import User
from web.passwords import passwords
from web.proof import is_own_password, patience, refuse, wait
from web.second_factor import factor_of, recovery_codes_left
from web.second_factor_sign_in import ask_for_code
from web.security import next_page, public, sign_in
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
        return wait(render_template("register.html", form=form, problem=patience(err)), err)
    user = User(
        email=form.email.data, name=form.name.data, password_hash=passwords().hash(form.password.data)
    )
    db.session.add(user)
    record("account.made", "user", user.email, actor=user.email)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        refuse(form.email, "There is an account with this address. Sign in instead.")
        return _page("register.html", form)
    sign_in(user)
    return redirect(next_page())


@accounts.route("/login", methods=["GET", "POST"])
@public
def login() -> ResponseReturnValue:
    """Signs in. Whether the address or the password was wrong is not told."""
    if current_user.is_authenticated:
        return redirect(next_page())
    form = LoginForm()
    if not form.validate_on_submit():
        return _page("login.html", form)
    try:
        attempt = Attempt(form.email.data)
    except TooManyAttemptsError as err:
        return wait(render_template("login.html", form=form, problem=patience(err)), err)
    user = db.session.scalar(select(User).where(User.email == form.email.data))
    if not passwords().verify(user.password_hash if user else None, form.password.data) or user is None:
        return _page("login.html", form, problem="This address and password do not belong together.")
    if user.disabled_at is not None:
        problem = "This account is disabled. Ask whoever runs this server."
        return _page("login.html", form, problem=problem)
    if passwords().needs_rehash(user.password_hash):
        user.password_hash = passwords().hash(form.password.data)
    attempt.succeed()
    if factor_of(user) is not None:
        return ask_for_code(user)
    sign_in(user)
    return redirect(next_page())


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
    """Sets a new password and ends every other session of the account, and its API tokens where that was ticked."""
    form = ChangePasswordForm(current_user.email, current_user.name)
    if not form.validate():
        return _account_page(form), 400
    try:
        if not is_own_password(form.current):
            return _account_page(form), 400
    except TooManyAttemptsError as err:
        return wait(_account_page(form, patience(err)), err)
    user = current_user._get_current_object()
    user.password_hash = passwords().hash(form.new.data)
    end_all_sessions(user)
    if form.end_tokens.data:
        revoke_tokens(user)
    record("password.changed", "user", user.email, tokens="revoked" if form.end_tokens.data else "kept")
    sign_in(user)
    also = ", and its API tokens are revoked" if form.end_tokens.data else ""
    flash(f"The password is changed. Every other device is signed out{also}.")
    return redirect(url_for("accounts.account"))


@accounts.route("/account/delete", methods=["GET", "POST"])
def delete_account() -> ResponseReturnValue:
    """Asks once more, with the password; then removes rows and files."""
    form = OwnPasswordForm()
    if _is_only_admin():
        problem = "You are the only admin. Make somebody else an admin first."
        return _page("account_delete.html", form, held=holdings_of(current_user), problem=problem)
    if not form.validate_on_submit():
        return _page("account_delete.html", form, held=holdings_of(current_user))
    try:
        if not is_own_password(form.password):
            return _page("account_delete.html", form, held=holdings_of(current_user))
    except TooManyAttemptsError as err:
        held = holdings_of(current_user)
        page = render_template("account_delete.html", form=form, held=held, problem=patience(err))
        return wait(page, err)
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


def _page(template: str, form: FlaskForm, **values: object) -> ResponseReturnValue:
    """Shows a form: with status 400 where it was sent and is shown again."""
    return render_template(template, form=form, **values), 400 if request.method == "POST" else 200


def _account_page(form: ChangePasswordForm, problem: str = "") -> str:
    factor = factor_of(current_user)
    return render_template(
        "account.html",
        form=form,
        held=holdings_of(current_user),
        problem=problem,
        factor=factor,
        codes_left=recovery_codes_left(current_user) if factor else 0,
        sessions=sessions_of(current_user),
        browser_name=browser_name,
        is_this_browser=is_this_browser,
    )
