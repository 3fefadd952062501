"""The audit log: who did what to which record. Adds rows and reads them; the database refuses to change one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import has_request_context
from flask_login import current_user
from sqlalchemy import ColumnElement, select

from web.database import db
from web.models import AuditEvent

ACTIONS = {
    "account.made": "made an account",
    "account.deleted": "deleted the own account",
    "account.exported": "took a copy of everything",
    "session.began": "signed in",
    "session.ended": "signed out another browser",
    "password.changed": "changed the password",
    "password.reset": "set a new password by a link",
    "second-factor.set-up": "set up a second factor",
    "second-factor.removed": "removed the second factor",
    "second-factor.refused": "gave a wrong code",
    "second-factor.cleared": "cleared the second factor of",
    "recovery-code.used": "signed in with a recovery code",
    "recovery-codes.renewed": "made new recovery codes",
    "token.made": "made an API token",
    "token.revoked": "revoked an API token",
    "user.invited": "invited",
    "user.disabled": "disabled",
    "user.enabled": "enabled again",
    "user.role-changed": "changed the role of",
    "user.reset": "made a password link for",
    "user.signed-out": "signed out everywhere",
    "invitation.withdrawn": "withdrew an invitation of",
    "model.added": "added the model",
    "model.removed": "removed the model",
    "model.served": "switched the model to",
    "answer.shared": "shared an answer",
    "answer.unshared": "took back a shared answer",
    "answer.seen": "opened a shared answer",
    "answer.deleted": "deleted an answer",
    "lesion.deleted": "deleted a lesion",
    "lesions.exported": "took lesions along as a case file",
    "lesions.imported": "took in a case file",
    "review.added": "reviewed an answer",
    "cases.exported": "exported reviewed cases",
}
"""Action -> what the log calls it. An action that is not here is shown as it is written."""
COMMAND_LINE = "command line"
PAGE_SIZE = 50


@dataclass(frozen=True)
class AuditPage:
    """Some events, newest first; `older` is the `before` of the page after this one, None on the last."""

    events: list[AuditEvent]
    older: int | None


def record(
    action: str,
    kind: str = "",
    name: str = "",
    *,
    actor: str | None = None,
    **detail: str | int | float | None,
) -> None:
    """Adds one deed to the transaction that does it: both are kept, or neither.

    Args:
        action: what was done, as in ACTIONS.
        kind, name: what it was done to: "user" and an address, "answer" and a key, "model" and its name.
        actor: who did it; None for who is signed in, and outside of a request for the command line.
        detail: more of it, as plain values. No password, no secret, and nothing of a patient.
    """
    db.session.add(AuditEvent(actor=actor or _actor(), action=action, kind=kind, record=name, detail=detail))


def audit_page(*, actor: str = "", action: str = "", before: int | None = None) -> AuditPage:
    """Returns a page of the log, newest first; `actor` and `action` choose, empty ones do not."""
    conditions: list[ColumnElement[bool]] = []
    if actor:
        conditions.append(AuditEvent.actor == actor)
    if action:
        conditions.append(AuditEvent.action == action)
    if before is not None:
        conditions.append(AuditEvent.id < before)
    query = select(AuditEvent).where(*conditions).order_by(AuditEvent.id.desc()).limit(PAGE_SIZE + 1)
    events = list(db.session.scalars(query))
    more = len(events) > PAGE_SIZE
    return AuditPage(events[:PAGE_SIZE], events[PAGE_SIZE - 1].id if more else None)


def action_text(action: str) -> str:
    """Returns an action in words."""
    return ACTIONS.get(action, action)


def detail_text(detail: dict[str, Any]) -> str:
    """Returns what else is known of a deed in one line: `role: clinician, was: user`."""
    return ", ".join(
        f"{name.replace('_', ' ')}: {value}" for name, value in detail.items() if value is not None
    )


def _actor() -> str:
    if not has_request_context():
        return COMMAND_LINE
    return current_user.email if current_user.is_authenticated else "somebody who is not signed in"
