"""What the arguments of the site's addresses name: how a person comes to own one, and what is open to all.

A new argument of a route is entered here, or the access tests fail and say so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from tests.web.conftest import Person
from web.database import db, now
from web.models import ApiToken, Batch, BatchItem, Invitation, Lesion, Prediction, User, UserSession

PUBLIC = {
    "accounts.login",
    "accounts.logout",
    "accounts.register",
    "api.openapi.document",
    "invitations.join",
    "operations.metrics",
    "operations.ready",
    "pages.about",
    "pages.health",
    "pages.home",
    "reference.page",
    "second_factor_sign_in.code",
    "second_factor_sign_in.recovery_code",
    "static",
}
"""What may be seen without an account. A new public page is added here, on purpose."""

VALUES = {
    "method": "layer_cam",
    "code": "mel",
    "filename": "icons.svg",
    "model": "bundled",
    "secret": "no-such-link",
}
"""Arguments that name nobody's property."""


def user_of(person: Person) -> User:
    """The person's row; inside an application context."""
    return db.session.scalars(select(User).where(User.email == person.email)).one()


def _first_or_new(person: Person, model: Any, attribute: str, **values: Any) -> str:
    """What names the person's own row of a table: one that is there, so that arguments fit together, or a new one."""
    with person.app.app_context():
        query = select(model).where(model.user_id == user_of(person).id).limit(1)
        row = db.session.scalar(query)
        if row is None:
            row = model(user_id=user_of(person).id, **values)
            db.session.add(row)
            db.session.commit()
        return str(getattr(row, attribute))


def answer(person: Person) -> str:
    """The key of an answer."""
    with person.app.app_context():
        kept = db.session.scalar(
            select(Prediction.key).where(Prediction.user_id == user_of(person).id).limit(1)
        )
    return kept or person.answered()


def lesion(person: Person) -> str:
    """The key of a lesion."""
    return _first_or_new(person, Lesion, "key", name="Left forearm")


def batch(person: Person) -> str:
    """The key of a batch with one waiting file."""
    key = _first_or_new(person, Batch, "key", name="Morning clinic", total=1)
    with person.app.app_context():
        row = db.session.scalars(select(Batch).where(Batch.key == key)).one()
        if db.session.scalar(select(BatchItem).where(BatchItem.batch_id == row.id).limit(1)) is None:
            db.session.add(BatchItem(batch_id=row.id, position=0, name="IMG_0001.jpg"))
            db.session.commit()
    return key


def item(person: Person) -> str:
    """The upload key of a file of the person's batch."""
    key = batch(person)
    with person.app.app_context():
        query = select(BatchItem.upload_key).join(Batch, Batch.id == BatchItem.batch_id)
        return db.session.scalars(query.where(Batch.key == key).limit(1)).one()


def user(person: Person) -> str:
    """The number of the person's account."""
    with person.app.app_context():
        return str(user_of(person).id)


def session(person: Person) -> str:
    """The key of another session of the person's, than the one that asks."""
    with person.app.app_context():
        row = UserSession(user_id=user_of(person).id, user_agent="Another browser")
        db.session.add(row)
        db.session.commit()
        return row.key


def invitation(person: Person) -> str:
    """The key of a link that sets a new password for the person."""
    return _first_or_new(
        person,
        Invitation,
        "key",
        digest=f"{hash(person.email) & 0xFFFFFFFF:064x}",
        email=person.email,
        expires_at=now() + timedelta(days=1),
    )


def token(person: Person) -> str:
    """The key of an API token."""
    return _first_or_new(
        person,
        ApiToken,
        "key",
        name="Import",
        start="derm_AbCdEfG",
        digest=f"{hash(person.email) & 0xFFFFFFFF:064x}",
        scopes="read",
        expires_at=now() + timedelta(days=30),
    )


OWNED: dict[str, Callable[[Person], str]] = {
    "key": answer,
    "lesion": lesion,
    "batch": batch,
    "item": item,
    "user": user,
    "session": session,
    "invitation": invitation,
    "token": token,
}
"""Argument of an address -> what makes one such thing for a person, and returns what names it."""
