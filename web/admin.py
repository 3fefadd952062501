"""Administration: people and their roles, invitations, the audit log, and how the server stands."""

from __future__ import annotations

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from web.audit import ACTIONS, action_text, audit_page, detail_text, record
from web.database import db, now
from web.forms import tidy_email
from web.house import people_page, state_of_house
from web.invitations import invite as add_invitation
from web.invitations import link_to, make_reset, open_invitations
from web.management_forms import InviteForm, RoleForm
from web.models import Invitation, User
from web.reviewed import count_reviews
from web.roles import requires_role
from web.second_factor import factor_of, remove_factor
from web.sessions import browser_name, end_all_sessions, sessions_of

admin = Blueprint("admin", __name__, url_prefix="/admin")


def somebody(number: int) -> User:
    """Returns the user of that number; 404 where there is none."""
    return db.session.get(User, number) or abort(404)


def somebody_else(number: int) -> User:
    """Returns the user of that number, who is not the one that asks: nobody locks out themselves.

    So there is always an admin left. 404 where there is none, 409 for oneself.
    """
    if number != current_user.id:
        return somebody(number)
    text = "So that there is always an admin left, only another admin can do this to you."
    page = render_template("error.html", status=409, title="Not to your own account", text=text)
    abort(make_response(page, 409))


@admin.get("")
@requires_role("admin")
def overview() -> ResponseReturnValue:
    """Shows storage, the queue, and how many people, answers and reviews there are."""
    return render_template("admin.html", state=state_of_house(), reviewed=count_reviews())


@admin.get("/people")
@requires_role("admin")
def people() -> ResponseReturnValue:
    """Lists the accounts, newest first; `?q=` searches names and addresses."""
    words = request.args.get("q", "").strip()
    page = people_page(words, before=request.args.get("before", type=int))
    return render_template("admin_people.html", page=page, words=words, invitations=open_invitations())


@admin.get("/people/<int:user>")
@requires_role("admin")
def person(user: int) -> ResponseReturnValue:
    """Shows one account and what can be done with it."""
    found = somebody(user)
    return _person_page(found)


@admin.route("/people/invite", methods=["GET", "POST"])
@requires_role("admin")
def invite() -> ResponseReturnValue:
    """Makes a link for somebody who is to have an account, and shows it once."""
    closed = current_app.config["DERM_REGISTRATION"] == "closed"
    form = InviteForm()
    if closed or not form.validate_on_submit():
        page = render_template("admin_invite.html", form=form, closed=closed)
        return page, 400 if request.method == "POST" else 200
    if db.session.scalar(select(User.id).where(User.email == form.email.data)) is not None:
        form.email.errors = ["There is an account with this address. Find it under People."]
        return render_template("admin_invite.html", form=form, closed=closed), 400
    secret = add_invitation(form.email.data, form.role.data)
    db.session.commit()
    return render_template("admin_invited.html", link=link_to(secret), email=form.email.data)


@admin.post("/invitations/<invitation>/withdraw")
@requires_role("admin")
def withdraw(invitation: str) -> ResponseReturnValue:
    """Ends a link that was not used yet."""
    row = db.session.scalar(select(Invitation).where(Invitation.key == invitation)) or abort(404)
    row.used_at = row.used_at or now()
    record("invitation.withdrawn", "user", row.email)
    db.session.commit()
    flash("The invitation is withdrawn.")
    return redirect(url_for("admin.people"))


@admin.post("/people/<int:user>/role")
@requires_role("admin")
def change_role(user: int) -> ResponseReturnValue:
    """Gives an account another role, at once."""
    found = somebody_else(user)
    form = RoleForm()
    if not form.validate():
        return _person_page(found, 400)
    record("user.role-changed", "user", found.email, role=form.role.data, was=found.role)
    found.role = form.role.data
    db.session.commit()
    flash(f"{found.name} is {'an admin' if found.role == 'admin' else f'a {found.role}'} now.")
    return redirect(url_for("admin.person", user=user))


@admin.post("/people/<int:user>/disable")
@requires_role("admin")
def disable(user: int) -> ResponseReturnValue:
    """Keeps somebody out, at once and in every browser; nothing of theirs is lost."""
    found = somebody_else(user)
    found.disabled_at = found.disabled_at or now()
    end_all_sessions(found)
    record("user.disabled", "user", found.email)
    db.session.commit()
    flash(f"{found.name} cannot sign in any more.")
    return redirect(url_for("admin.person", user=user))


@admin.post("/people/<int:user>/enable")
@requires_role("admin")
def enable(user: int) -> ResponseReturnValue:
    """Lets somebody in again."""
    found = somebody(user)
    found.disabled_at = None
    record("user.enabled", "user", found.email)
    db.session.commit()
    flash(f"{found.name} can sign in again.")
    return redirect(url_for("admin.person", user=user))


@admin.post("/people/<int:user>/reset")
@requires_role("admin")
def reset(user: int) -> ResponseReturnValue:
    """Makes a link that sets a new password, and shows it once."""
    found = somebody(user)
    secret = make_reset(found)
    db.session.commit()
    return render_template("admin_reset.html", link=link_to(secret), person=found)


@admin.post("/people/<int:user>/sign-out")
@requires_role("admin")
def sign_out(user: int) -> ResponseReturnValue:
    """Ends every session of an account."""
    found = somebody_else(user)
    end_all_sessions(found)
    record("user.signed-out", "user", found.email)
    db.session.commit()
    flash(f"{found.name} is signed out everywhere.")
    return redirect(url_for("admin.person", user=user))


@admin.post("/people/<int:user>/clear-second-factor")
@requires_role("admin")
def clear_second_factor(user: int) -> ResponseReturnValue:
    """Lets somebody who lost the app and the codes in by the password alone, and ends their sessions."""
    found = somebody_else(user)
    remove_factor(found)
    end_all_sessions(found)
    record("second-factor.cleared", "user", found.email)
    db.session.commit()
    flash(f"{found.name} signs in by the password alone now, and is signed out everywhere.")
    return redirect(url_for("admin.person", user=user))


@admin.get("/audit")
@requires_role("admin")
def audit_log() -> ResponseReturnValue:
    """Shows who did what to which record, newest first."""
    actor, action = tidy_email(request.args.get("actor")), request.args.get("action", "")
    page = audit_page(actor=actor, action=action, before=request.args.get("before", type=int))
    return render_template(
        "admin_audit.html",
        page=page,
        actor=actor,
        action=action,
        actions=ACTIONS,
        action_text=action_text,
        detail_text=detail_text,
    )


def _person_page(found: User, status: int = 200) -> ResponseReturnValue:
    page = render_template(
        "admin_person.html",
        person=found,
        form=RoleForm(role=found.role),
        is_self=found.id == current_user.id,
        factor=factor_of(found),
        sessions=sessions_of(found),
        browser_name=browser_name,
        reset_hours=int(current_app.config["RESET_LIFETIME"].total_seconds() // 3600),
    )
    return page, status
