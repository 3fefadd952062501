"""Links that work once: invitations to an account, and new passwords."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.web.conftest import PASSWORD, Person
from tests.web.owned import user_of
from web.api.tokens import new_token
from web.database import db, now
from web.models import Invitation

NEW_PASSWORD = "quite another sentence"


def link_on(page: str) -> str:
    """The path of the link that a page shows once."""
    found = re.search(r'value="(http[^"]*/join/[^"]+)"', page)
    assert found, page
    return urlsplit(found[1]).path


def invited(admin: Person, email: str = "mira@clinic.org", role: str = "clinician") -> str:
    response = admin.post("/admin/people/invite", {"email": email, "role": role})
    assert response.status_code == 200
    return link_on(response.text)


def reset_of(admin: Person, person: Person) -> str:
    with admin.app.app_context():
        number = user_of(person).id
    return link_on(admin.post(f"/admin/people/{number}/reset").text)


def join(person: Person, link: str, password: str = PASSWORD) -> int:
    return person.post(link, {"name": person.name, "password": password}).status_code


@pytest.fixture
def by_invitation(make_app: Callable[..., Flask]) -> Person:
    """The admin of a site that takes people by invitation."""
    app = make_app(DERM_REGISTRATION="invited")
    admin = Person(app, "root@hospital.org", "Ada Admin")
    done = app.test_cli_runner().invoke(args=["create-admin", admin.email], input=PASSWORD + "\n")
    assert done.exit_code == 0, done.output
    assert admin.login().status_code == 302
    return admin


def test_an_invitation_makes_one_account_of_its_role_and_address(by_invitation: Person) -> None:
    link = invited(by_invitation)
    mira, other = Person(by_invitation.app), Person(by_invitation.app)
    assert "mira@clinic.org" in mira.get(link).text
    assert join(mira, link) == 302
    assert mira.get("/inbox").status_code == 200
    assert other.get(link).status_code == 404
    assert join(other, link) == 404


def test_the_address_in_the_form_does_not_count(by_invitation: Person) -> None:
    mira = Person(by_invitation.app)
    form = {"name": "Mira", "password": PASSWORD, "email": "other@clinic.org", "role": "admin"}
    mira.post(invited(by_invitation), form)
    with mira.app.app_context():
        assert (user_of(mira).email, user_of(mira).role) == ("mira@clinic.org", "clinician")


def test_only_a_digest_of_the_link_is_kept(admin: Person) -> None:
    secret = invited(admin).rpartition("/")[2]
    with admin.app.app_context():
        row = db.session.scalars(select(Invitation)).one()
        assert secret not in (row.digest, row.key)
        assert len(row.digest) == 64
    assert secret not in admin.get("/admin/people").text


def test_an_old_a_withdrawn_and_a_replaced_invitation_open_nothing(admin: Person, visitor: Person) -> None:
    replaced = invited(admin, "a@clinic.org")
    current = invited(admin, "a@clinic.org")
    assert [visitor.get(link).status_code for link in (replaced, current)] == [404, 200]
    with admin.app.app_context():
        key = db.session.scalars(select(Invitation.key).where(Invitation.used_at.is_(None))).one()
    admin.post(f"/admin/invitations/{key}/withdraw")
    assert visitor.get(current).status_code == 404
    old = invited(admin, "b@clinic.org")
    with admin.app.app_context():
        db.session.execute(update(Invitation).values(expires_at=now() - timedelta(seconds=1)))
        db.session.commit()
    assert "This link has ended" in visitor.get(old).text


def test_a_reset_sets_the_password_once_and_ends_every_session_and_token(mira: Person, admin: Person) -> None:
    link = reset_of(admin, mira)
    with mira.app.app_context():
        _, token = new_token(user_of(mira), name="Left behind", scopes=["read"], days=30)
        db.session.commit()
    asked = {"headers": {"Authorization": f"Bearer {token}"}}
    assert mira.app.test_client().get("/api/v1/token", **asked).status_code == 200
    assert mira.get("/account").status_code == 200
    somebody = Person(mira.app)
    assert somebody.post(link, {"password": "short"}).status_code == 400
    assert somebody.post(link, {"password": NEW_PASSWORD}).location == "/login"
    assert mira.get("/account").status_code == 302
    assert mira.app.test_client().get("/api/v1/token", **asked).status_code == 401
    assert somebody.get(link).status_code == 404
    assert Person(mira.app).login().status_code == 400
    assert Person(mira.app).login(NEW_PASSWORD).status_code == 302


def test_a_reset_does_not_open_an_account_that_is_disabled(mira: Person, admin: Person) -> None:
    link = reset_of(admin, mira)
    with mira.app.app_context():
        number = user_of(mira).id
    admin.post(f"/admin/people/{number}/disable")
    Person(mira.app).post(link, {"password": NEW_PASSWORD})
    assert "This account is disabled" in Person(mira.app).login(NEW_PASSWORD).text


def test_who_is_signed_in_does_not_use_up_a_link(mira: Person, admin: Person, visitor: Person) -> None:
    link = invited(admin, "new@clinic.org")
    assert mira.get(link).status_code == 302
    assert mira.post(link, {"name": "Mira", "password": PASSWORD}).status_code == 302
    assert visitor.get(link).status_code == 200


def test_an_address_with_an_account_is_not_invited(admin: Person, mira: Person) -> None:
    response = admin.post("/admin/people/invite", {"email": mira.email, "role": "user"})
    assert response.status_code == 400
    assert "There is an account with this address" in response.text


def test_by_invitation_nobody_registers_alone(by_invitation: Person) -> None:
    mira = Person(by_invitation.app)
    response = mira.register()
    assert response.status_code == 403
    assert "By invitation" in response.text
    assert "Make an account" not in mira.get("/login").text
    with mira.app.app_context():
        assert db.session.scalars(select(Invitation)).all() == []


def test_a_closed_site_takes_nobody_not_even_by_an_old_invitation(
    by_invitation: Person, make_app: Callable[..., Flask]
) -> None:
    link = invited(by_invitation)
    closed = make_app(DERM_REGISTRATION="closed")
    mira, admin = Person(closed), Person(closed, by_invitation.email)
    assert mira.register().status_code == 403
    assert mira.get(link).status_code == 404
    assert admin.login().status_code == 302
    assert admin.post("/admin/people/invite", {"email": "x@clinic.org", "role": "user"}).status_code == 400
