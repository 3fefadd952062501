"""Who is signed in where: a row for each browser, and its end by idleness and by age. Shows no page."""

from __future__ import annotations

import re
from datetime import timedelta

from flask import current_app, flash, request, session
from sqlalchemy import delete, select

from web.audit import record
from web.database import db, now
from web.models import User, UserSession, new_key

COOKIE_KEY = "browser"
"""Where the signed cookie names its row."""
_NOTED_EVERY = timedelta(minutes=1)
_USER_AGENT_LENGTH = 200
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)


def begin_session(user: User) -> None:
    """Adds a row for this browser and writes its key into the cookie; commits.

    Of more sessions than an account may have at once, those that were quiet longest end.
    """
    most = current_app.config["SESSIONS_PER_ACCOUNT"]
    db.session.execute(delete(UserSession).where(UserSession.created_at < now() - _longest()))
    others = (
        select(UserSession.id)
        .where(UserSession.user_id == user.id)
        .order_by(UserSession.last_seen_at.desc(), UserSession.id.desc())
    )
    too_many = db.session.scalars(others.offset(most - 1)).all()
    db.session.execute(delete(UserSession).where(UserSession.id.in_(too_many)))
    row = UserSession(user_id=user.id, user_agent=(request.user_agent.string or "")[:_USER_AGENT_LENGTH])
    db.session.add(row)
    record("session.began", "user", user.email, actor=user.email)
    db.session.commit()
    session[COOKIE_KEY] = row.key


def user_of_session(user_id: int) -> User | None:
    """Returns the user of this browser's session, and notes that it was seen.

    None where it was ended, was idle for too long, is too old, or the account is disabled.
    """
    query = select(UserSession, User).join(User, User.id == UserSession.user_id)
    found = db.session.execute(query.where(UserSession.key == session.get(COOKIE_KEY, ""))).one_or_none()
    if found is None:
        return None
    row, user = found
    moment, idle = now(), current_app.config["IDLE_TIMEOUT"]
    if row.user_id != user_id or user.disabled_at is not None:
        return None
    if row.last_seen_at < moment - idle or row.created_at < moment - _longest():
        was_idle = row.last_seen_at < moment - idle
        db.session.delete(row)
        db.session.commit()
        minutes = int(idle.total_seconds() // 60)
        flash(
            f"You were signed out after {minutes} minutes without a sign of you."
            if was_idle
            else "You were signed out: a session ends after a working day."
        )
        return None
    if row.last_seen_at < moment - _NOTED_EVERY:
        row.last_seen_at = moment
        db.session.commit()
    return user


def end_session() -> None:
    """Removes the row of this browser; commits. The cookie is the caller's to clear."""
    db.session.execute(delete(UserSession).where(UserSession.key == session.get(COOKIE_KEY, "")))
    db.session.commit()


def end_all_sessions(user: User) -> None:
    """Ends every session of an account, this one too; the caller commits."""
    db.session.execute(delete(UserSession).where(UserSession.user_id == user.id))
    user.session_key = new_key()


def end_other_sessions(user: User) -> int:
    """Ends every session of an account but this one, and returns how many; the caller commits."""
    others = [row for row in sessions_of(user) if not is_this_browser(row)]
    for row in others:
        db.session.delete(row)
    return len(others)


def is_fresh() -> bool:
    """Says whether this session's user proved lately who they are."""
    proved_at = db.session.scalar(
        select(UserSession.proved_at).where(UserSession.key == session.get(COOKIE_KEY, ""))
    )
    return proved_at is not None and proved_at > now() - current_app.config["PROOF_LIFETIME"]


def prove_session() -> None:
    """Notes that this session's user has proved who they are, and gives the session a new key; commits."""
    row = db.session.scalars(select(UserSession).where(UserSession.key == session.get(COOKIE_KEY, ""))).one()
    row.key, row.proved_at = new_key(), now()
    db.session.commit()
    session[COOKIE_KEY] = row.key


def sessions_of(user: User) -> list[UserSession]:
    """Returns the sessions that have not run out, the one that was seen last first."""
    moment = now()
    query = select(UserSession).where(
        UserSession.user_id == user.id,
        UserSession.last_seen_at >= moment - current_app.config["IDLE_TIMEOUT"],
        UserSession.created_at >= moment - _longest(),
    )
    return list(db.session.scalars(query.order_by(UserSession.last_seen_at.desc(), UserSession.id.desc())))


def is_this_browser(row: UserSession) -> bool:
    """Says whether a session is the one that asks."""
    return row.key == session.get(COOKIE_KEY)


def browser_name(user_agent: str) -> str:
    """Returns what a browser calls itself in few words: Firefox on Linux."""
    browser, system = _first(user_agent, _BROWSERS), _first(user_agent, _SYSTEMS)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or re.split(r"[/\s]", user_agent, maxsplit=1)[0][:40] or "A browser"


def _longest() -> timedelta:
    return current_app.config["PERMANENT_SESSION_LIFETIME"]


def _first(text: str, names: tuple[tuple[str, str], ...]) -> str:
    return next((name for mark, name in names if mark in text), "")
