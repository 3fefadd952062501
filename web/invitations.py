"""Links that work once: to make an account, or to set a new password. Sends nothing; whoever made one passes it on."""

from __future__ import annotations

import hashlib
import secrets

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import ColumnElement, CursorResult, select, update
from sqlalchemy.exc import IntegrityError

from web.api.tokens import revoke_tokens
from web.audit import record
from web.database import db, now
from web.management_forms import JoinForm, NewPasswordForm
from web.models import Invitation, User
from web.passwords import passwords
from web.security import public, sign_in
from web.sessions import end_all_sessions

invitations = Blueprint("invitations", __name__)

SECRET_BYTES = 32


def invite(email: str, role: str) -> str:
    """Adds an invitation and returns what stands in its link; the caller commits.

    An earlier invitation of the same address ends.
    """
    _withdraw(Invitation.email == email, Invitation.user_id.is_(None))
    record("user.invited", "user", email, role=role)
    return _add(
        Invitation(email=email, role=role, expires_at=now() + current_app.config["INVITATION_LIFETIME"])
    )


def make_reset(user: User) -> str:
    """Adds a link that sets a new password and returns what stands in it; the caller commits.

    An earlier link of the same account ends. The password that the account has stays until the link is used.
    """
    _withdraw(Invitation.user_id == user.id)
    record("user.reset", "user", user.email)
    lifetime = current_app.config["RESET_LIFETIME"]
    return _add(Invitation(email=user.email, role=user.role, user_id=user.id, expires_at=now() + lifetime))


def open_invitations() -> list[Invitation]:
    """Returns the invitations to make an account that can still be used, newest first."""
    query = select(Invitation).where(
        Invitation.user_id.is_(None), Invitation.used_at.is_(None), Invitation.expires_at > now()
    )
    return list(db.session.scalars(query.order_by(Invitation.id.desc())))


def link_to(secret: str) -> str:
    """Returns the whole address of a link, to be copied."""
    return url_for("invitations.join", secret=secret, _external=True)


@invitations.route("/join/<secret>", methods=["GET", "POST"])
@public
def join(secret: str) -> ResponseReturnValue:
    """Makes the account, or sets the password, that the link is for."""
    if current_user.is_authenticated:
        flash("Sign out first: the link is for somebody who is not signed in.")
        return redirect(url_for("pages.home"))
    invitation = _usable(secret)
    if invitation is None:
        return render_template("join_ended.html"), 404
    return _reset(invitation) if invitation.user_id is not None else _join(invitation)


def _join(invitation: Invitation) -> ResponseReturnValue:
    if current_app.config["DERM_REGISTRATION"] == "closed":
        return render_template("join_ended.html"), 404
    form = JoinForm(invitation.email)
    if not form.validate_on_submit():
        return _page("join.html", form, invitation)
    user = User(
        email=invitation.email,
        name=form.name.data,
        role=invitation.role,
        password_hash=passwords().hash(form.password.data),
    )
    _use(invitation)
    db.session.add(user)
    record("account.made", "user", user.email, actor=user.email, role=user.role)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        flash("There is an account with this address already. Sign in instead.")
        return redirect(url_for("accounts.login"))
    sign_in(user)
    return redirect(url_for("predictions.new"))


def _reset(invitation: Invitation) -> ResponseReturnValue:
    user = db.session.get_one(User, invitation.user_id)
    form = NewPasswordForm(user.email, user.name)
    if not form.validate_on_submit():
        return _page("reset.html", form, invitation)
    _use(invitation)
    user.password_hash = passwords().hash(form.password.data)
    # Whoever had the old password may have made tokens with it.
    end_all_sessions(user)
    revoke_tokens(user)
    record("password.reset", "user", user.email, actor=user.email)
    db.session.commit()
    flash("The new password is set. Sign in with it.")
    return redirect(url_for("accounts.login"))


def _add(invitation: Invitation) -> str:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    invitation.digest = _digest(secret)
    db.session.add(invitation)
    return secret


def _withdraw(*which: ColumnElement[bool]) -> None:
    db.session.execute(update(Invitation).where(*which, Invitation.used_at.is_(None)).values(used_at=now()))


def _usable(secret: str) -> Invitation | None:
    query = select(Invitation).where(
        Invitation.digest == _digest(secret), Invitation.used_at.is_(None), Invitation.expires_at > now()
    )
    return db.session.scalar(query)


def _use(invitation: Invitation) -> None:
    """Marks the link as used; of two requests at once, the second gets 404."""
    query = update(Invitation).where(Invitation.id == invitation.id, Invitation.used_at.is_(None))
    done = db.session.execute(query.values(used_at=now()))
    if not isinstance(done, CursorResult) or done.rowcount != 1:
        db.session.rollback()
        abort(404)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _page(template: str, form: NewPasswordForm, invitation: Invitation) -> ResponseReturnValue:
    return render_template(
        template, form=form, invitation=invitation
    ), 400 if request.method == "POST" else 200
