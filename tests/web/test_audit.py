"""The audit log: kept with the deed or not at all, never changed, and read by admins."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DatabaseError

from tests.web.conftest import PASSWORD, Person
from tests.web.owned import user_of
from web.audit import ACTIONS, PAGE_SIZE, audit_page, record
from web.database import db
from web.models import AuditEvent


def events(app: Flask) -> list[tuple[str, str, str]]:
    with app.app_context():
        rows = db.session.scalars(select(AuditEvent).order_by(AuditEvent.id))
        return [(row.actor, row.action, row.record) for row in rows]


def test_the_way_of_an_account_is_told(mira: Person, app: Flask) -> None:
    mira.post("/account/password", {"current": PASSWORD, "new": "another long sentence"})
    mira.post("/account/delete", {"password": "another long sentence"})
    who = mira.email
    assert [action for actor, action, _ in events(app) if actor == who] == [
        "account.made",
        "session.began",
        "password.changed",
        "session.began",
        "account.deleted",
    ]


def test_no_line_can_be_changed_or_removed(mira: Person, app: Flask) -> None:
    before = events(app)
    assert before
    for statement in (update(AuditEvent).values(actor="nobody"), delete(AuditEvent)):
        with app.app_context(), pytest.raises(DatabaseError, match="append-only"):
            db.session.execute(statement)
    assert events(app) == before


def test_a_deed_that_is_rolled_back_is_not_told(mira: Person, app: Flask) -> None:
    before = events(app)
    with app.app_context():
        record("user.disabled", "user", mira.email)
        db.session.rollback()
    assert events(app) == before


def test_outside_of_a_request_the_command_line_did_it(app: Flask) -> None:
    with app.app_context():
        record("model.served", "model", "clinic@2")
        db.session.commit()
    assert events(app) == [("command line", "model.served", "clinic@2")]


def test_an_admin_reads_it_chooses_and_turns_its_pages(admin: Person, app: Flask) -> None:
    with app.app_context():
        for number in range(PAGE_SIZE + 5):
            record("user.enabled", "user", f"somebody-{number}@clinic.org", actor="ada@clinic.org")
        db.session.commit()
        newest = audit_page(actor="ada@clinic.org")
        oldest = audit_page(actor="ada@clinic.org", before=newest.older)
        assert [len(newest.events), len(oldest.events), oldest.older] == [PAGE_SIZE, 5, None]
    page = admin.get("/admin/audit?actor=ada@clinic.org&action=user.enabled").text
    assert f"somebody-{PAGE_SIZE + 4}@clinic.org" in page
    assert "Older" in page
    assert "Nothing of that kind" in admin.get("/admin/audit?actor=nobody@clinic.org").text


def test_it_holds_no_password_and_nothing_of_a_patient(mira: Person, admin: Person, app: Flask) -> None:
    key = mira.answered(note="private", age="97.125", site="genital")
    mira.post(f"/answers/{key}/delete")
    with app.app_context():
        number = user_of(mira).id
    admin.post(f"/admin/people/{number}/reset")
    with app.app_context():
        kept = " ".join(
            f"{row.actor} {row.action} {row.record} {row.detail}"
            for row in db.session.scalars(select(AuditEvent))
        )
        assert not any(word in kept for word in (PASSWORD, "private", "97.125", "genital", "argon2"))


def test_every_action_that_the_website_records_has_words() -> None:
    import re
    from pathlib import Path

    import web

    written = {
        action
        for path in Path(web.__file__).parent.rglob("*.py")
        for action in re.findall(r"\brecord\(\s*\"([a-z.-]+)\"", path.read_text("utf-8"))
    }
    assert len(written) > 10
    assert written <= ACTIONS.keys(), "say in web/audit.py what the log calls these"
