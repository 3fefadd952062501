"""Who a program is: bearer tokens, made, found and checked. A token opens the API alone, as far as its scopes go."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Request, g
from sqlalchemy import or_, select, update

from web.api.problems import Problem
from web.database import db, now
from web.models import ApiToken, User
from web.security import for_programs, login_manager

SCOPES = {
    "read": "Read answers, pictures, heatmaps, lesions and batches",
    "predict": "Send photographs to be answered, one by one or many at once",
    "write": "Change and delete answers, lesions and batches",
}
"""What a token may be allowed to do, and how that is said."""
_PREFIX = "derm_"  # tells people, and scanners for leaked secrets, what it is
_SECRET_BYTES = 32
_START = 12  # characters that a list shows
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Credentials:
    """The token that a request came with, as far as the API needs to know it."""

    name: str
    scopes: frozenset[str]
    expires_at: datetime


def new_token(user: User, *, name: str, scopes: Iterable[str], days: int) -> tuple[ApiToken, str]:
    """Makes a token that is valid for some days; returns its row, not committed yet, and the token, kept nowhere."""
    token = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    row = ApiToken(
        user_id=user.id,
        name=name,
        start=token[:_START],
        digest=_digest(token),
        scopes=" ".join(scope for scope in SCOPES if scope in set(scopes)),
        expires_at=now() + timedelta(days=days),
    )
    db.session.add(row)
    return row, token


def revoke_tokens(user: User) -> None:
    """Ends every token of an account; the caller commits."""
    db.session.execute(
        update(ApiToken)
        .where(ApiToken.user_id == user.id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=now())
    )


def credentials() -> Credentials:
    """Returns what this request may do; in requests to the API that have passed the door."""
    return g.api_credentials


def require_scope(scope: str) -> None:
    """Raises Problem 403 where the token may not do this; an empty scope is every token's."""
    if scope and scope not in credentials().scopes:
        raise Problem(
            403,
            "wrong-scope",
            f"This needs the scope “{scope}”; the token has “{' '.join(sorted(credentials().scopes))}”.",
            headers={
                "WWW-Authenticate": f'Bearer realm="Dermatrace", error="insufficient_scope", scope="{scope}"'
            },
        )


@login_manager.request_loader
def user_of_token(request: Request) -> User | None:
    """Returns whose token a request to the API shows, or None; `g.api_refusal` then says why."""
    if not for_programs():
        return None
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        g.api_refusal = "No token came with the request: send “Authorization: Bearer” and the token."
        return None
    found = db.session.execute(
        select(ApiToken, User)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.digest == _digest(given.token))
    ).one_or_none()
    if found is None:
        g.api_refusal = (
            "There is no such token. It may have been deleted with its account, or copied in part."
        )
        return None
    token, user = found
    if refusal := _refusal(token, user):
        g.api_refusal = refusal
        return None
    g.api_credentials = Credentials(token.name, frozenset(token.scopes.split()), token.expires_at)
    _note_use(token)
    return user


def _refusal(token: ApiToken, user: User) -> str:
    if token.revoked_at is not None:
        return "This token was revoked. Make another one on the page “API tokens”."
    if token.expires_at <= now():
        return "This token has expired. Make another one on the page “API tokens”."
    if user.disabled_at is not None:
        return "The account of this token is disabled. Ask whoever runs the server."
    return ""


def _note_use(token: ApiToken) -> None:
    """Writes down when a token was used last, at most once a minute: not every request shall write."""
    moment = now()
    before = moment - _USE_IS_NOTED_EVERY
    if token.last_used_at is not None and token.last_used_at > before:
        return
    due = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at <= before)
    db.session.execute(update(ApiToken).where(ApiToken.id == token.id, due).values(last_used_at=moment))
    db.session.commit()


def _digest(token: str) -> str:
    # Without salt or stretching: 256 random bits cannot be guessed, and the digest is how a token is found.
    return hashlib.sha256(token.encode()).hexdigest()
