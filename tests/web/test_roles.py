"""Roles: what each may do, and who decides it."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.web.conftest import Person
from tests.web.owned import user_of
from web.models import ROLES, User
from web.roles import required_role, requires_role


def number_of(person: Person) -> int:
    with person.app.app_context():
        return user_of(person).id


def role_of(person: Person) -> str:
    with person.app.app_context():
        return user_of(person).role


def test_each_role_may_do_all_that_the_one_before_it_may() -> None:
    for number, role in enumerate(ROLES):
        user = User(role=role)
        assert [user.has_role(other) for other in ROLES] == [other <= number for other in range(len(ROLES))]


def test_a_view_without_a_mark_is_for_every_user() -> None:
    def view() -> None: ...

    assert required_role(view) == "user"
    assert required_role(requires_role("clinician")(view)) == "clinician"
    with pytest.raises(ValueError, match="no role 'boss'"):
        requires_role("boss")


def test_whoever_registers_is_a_user_whatever_the_form_says(app: Flask) -> None:
    mira = Person(app)
    mira.post(
        "/register",
        {"name": mira.name, "email": mira.email, "password": "correct horse battery", "role": "admin"},
    )
    assert role_of(mira) == "user"
    assert mira.get("/admin").status_code == 403


def test_a_changed_role_counts_from_the_next_request(mira: Person, admin: Person) -> None:
    assert mira.get("/inbox").status_code == 403
    assert admin.post(f"/admin/people/{number_of(mira)}/role", {"role": "clinician"}).status_code == 302
    assert mira.get("/inbox").status_code == 200
    admin.post(f"/admin/people/{number_of(mira)}/role", {"role": "user"})
    assert mira.get("/inbox").status_code == 403


def test_a_role_that_is_none_is_refused(mira: Person, admin: Person) -> None:
    assert admin.post(f"/admin/people/{number_of(mira)}/role", {"role": "boss"}).status_code == 400
    assert role_of(mira) == "user"


@pytest.mark.parametrize(("action", "form"), [("role", {"role": "user"}), ("disable", {}), ("sign-out", {})])
def test_no_admin_locks_out_themselves(admin: Person, action: str, form: dict[str, str]) -> None:
    response = admin.post(f"/admin/people/{number_of(admin)}/{action}", form)
    assert response.status_code == 409
    assert "another admin" in response.text
    assert role_of(admin) == "admin"
    assert admin.get("/admin").status_code == 200


def test_the_menu_shows_what_a_role_may_open(mira: Person, clinician: Person, admin: Person) -> None:
    seen = [
        ("/inbox" in page, 'href="/admin"' in page)
        for page in (person.get("/about").text for person in (mira, clinician, admin))
    ]
    assert seen == [(False, False), (True, False), (True, True)]


def test_the_only_admin_does_not_leave_the_others_alone(mira: Person, admin: Person) -> None:
    form = {"password": "correct horse battery"}
    assert "You are the only admin" in admin.post("/account/delete", form).text
    assert admin.get("/admin").status_code == 200
    mira.becomes("admin")
    assert admin.post("/account/delete", form).status_code == 302
    assert mira.get("/admin").status_code == 200
