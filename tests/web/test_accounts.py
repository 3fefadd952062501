"""Registering, signing in and out, passwords, and deleting an account."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from tests.web.api.conftest import Program
from tests.web.conftest import PASSWORD, Kept, Person
from tests.web.test_tokens import made
from web.database import db
from web.models import LoginAttempt, User
from web.passwords import Passwords, password_fault


def user_of(person: Person) -> User:
    with person.app.app_context():
        return db.session.scalars(select(User).where(User.email == person.email)).one()


def is_signed_in(person: Person) -> bool:
    return person.get("/history").status_code == 200


def test_whoever_registers_is_signed_in_and_led_to_the_first_picture(visitor: Person) -> None:
    response = visitor.register()
    assert (response.status_code, response.location) == (302, "/new")
    assert is_signed_in(visitor)


def test_a_password_is_kept_as_an_argon2id_hash(mira: Person) -> None:
    kept = user_of(mira).password_hash
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept


def test_an_address_is_the_same_in_capitals_and_with_spaces(mira: Person, app: Flask) -> None:
    again = Person(app, "  Mira@Clinic.ORG ")
    assert "There is an account with this address" in again.register().text
    assert again.login().status_code == 302


@pytest.mark.parametrize(
    "email", ["", "mira", "mira@clinic", "mira@clinic.", "@clinic.org", "a b@clinic.org"]
)
def test_an_address_that_is_none_is_refused(app: Flask, email: str) -> None:
    person = Person(app, email)
    assert person.register().status_code == 400
    assert not is_signed_in(person)


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_a_name_that_is_none_is_refused(app: Flask, name: str) -> None:
    assert Person(app, name=name).register().status_code == 400


def test_control_characters_do_not_reach_the_database(app: Flask) -> None:
    person = Person(app, "mira@clinic.org", "Mira\x00 \x07Ay\tdin")
    assert person.register().status_code == 302
    assert user_of(person).name == "Mira Ay din"


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "password123",
        "Password123!",
        "P@ssw0rd123",
        "1234567890",
        "aaaaaaaaaaaa",
        "mira@clinic.org",
        "x" * 129,
    ],
)
def test_a_poor_password_is_refused(visitor: Person, password: str) -> None:
    assert visitor.register(password).status_code == 400
    assert not is_signed_in(visitor)


@pytest.mark.parametrize("password", [PASSWORD, "Tr0ub4dor&3 again", "zwölf Boxkämpfer", "g7#Kq!x2Lp0z"])
def test_a_good_password_has_no_fault(password: str) -> None:
    assert password_fault(password, "mira@clinic.org", "Mira") is None


def test_signing_out_needs_a_post_and_ends_the_session(mira: Person) -> None:
    assert mira.get("/logout").status_code == 405
    assert is_signed_in(mira)
    assert mira.logout().status_code == 302
    assert not is_signed_in(mira)


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(mira: Person, app: Flask) -> None:
    wrong = Person(app).login("wrong horse battery")
    unknown = Person(app, "nobody@clinic.org").login()
    assert wrong.status_code == unknown.status_code == 400
    sentence = "This address and password do not belong together."
    assert sentence in wrong.text
    assert sentence in unknown.text


def test_an_unknown_address_costs_a_hash_too(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    hasher = type(Passwords()._hasher)
    original = hasher.verify
    monkeypatch.setattr(
        hasher, "verify", lambda self, kept, word: verified.append(kept) or original(self, kept, word)
    )
    Person(app, "nobody@clinic.org").login()
    assert len(verified) == 1


def test_a_hash_of_older_cost_is_renewed_at_sign_in(mira: Person, make_app: Callable[..., Flask]) -> None:
    before = user_of(mira).password_hash
    dearer = make_app(ARGON2={"time_cost": 2, "memory_cost": 16, "parallelism": 1})
    assert Person(dearer).login().status_code == 302
    after = user_of(mira).password_hash
    assert "m=16,t=2" in after
    assert after != before


@pytest.mark.parametrize("target", ["/history?before=1-" + "a" * 32, "/account"])
def test_after_signing_in_the_way_leads_on_to_where_one_wanted_to_go(
    mira: Person, app: Flask, target: str
) -> None:
    response = Person(app).login(query_string={"next": target})
    assert response.location == target


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil.example",
        "javascript:alert(1)", "/\tevil", "/\n/evil.example", "evil.example", "", "http:evil", " //evil.example",
    ],
)  # fmt: skip
def test_no_sign_in_leads_to_another_site(mira: Person, app: Flask, target: str) -> None:
    for person in (Person(app), mira):
        response = person.client.get("/login", query_string={"next": target})
        if person is not mira:
            response = person.post(
                "/login", {"email": person.email, "password": PASSWORD}, query_string={"next": target}
            )
        assert response.location == "/new"


def test_signing_in_begins_a_fresh_session(mira: Person, app: Flask) -> None:
    person = Person(app)
    person.get("/login")
    with person.client.session_transaction() as session:
        session["planted"] = "by somebody else"
        old_token = session["csrf_token"]
    assert person.login().status_code == 302
    with person.client.session_transaction() as session:
        assert "planted" not in session
        assert session.get("csrf_token") != old_token


def test_too_many_failures_close_the_door_also_for_the_right_password(
    mira: Person, make_app: Callable[..., Flask]
) -> None:
    person = Person(make_app(LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS=3))
    for _ in range(3):
        assert person.login("wrong horse battery").status_code == 400
    response = person.login()
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 900
    assert "Too many attempts. Try again in 15 minutes." in response.text


def test_the_door_opens_again_after_a_while(mira: Person, make_app: Callable[..., Flask]) -> None:
    app = make_app(LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS=1)
    person = Person(app)
    person.login("wrong horse battery")
    assert person.login().status_code == 429
    with app.app_context():
        for attempt in db.session.scalars(select(LoginAttempt)):
            attempt.created_at -= timedelta(minutes=16)
        db.session.commit()
    assert person.login().status_code == 302


def test_an_unknown_address_is_throttled_like_a_known_one(make_app: Callable[..., Flask]) -> None:
    person = Person(make_app(LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS=2), "nobody@clinic.org")
    assert [person.login().status_code for _ in range(3)] == [400, 400, 429]


def test_failures_at_one_account_do_not_close_another(
    mira: Person, stranger: Person, make_app: Callable[..., Flask]
) -> None:
    app = make_app(LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS=1)
    Person(app).login("wrong horse battery")
    assert Person(app).login().status_code == 429
    assert Person(app, stranger.email).login().status_code == 302


def test_one_address_cannot_try_every_account(make_app: Callable[..., Flask]) -> None:
    app = make_app(LOGIN_FAILURES_PER_ADDRESS=3)
    tried = [Person(app, f"nobody{number}@clinic.org").login().status_code for number in range(4)]
    assert tried == [400, 400, 400, 429]


def test_a_success_forgets_the_failures_before_it(mira: Person, make_app: Callable[..., Flask]) -> None:
    app = make_app(LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS=2)
    for _ in range(3):
        assert Person(app).login("wrong horse battery").status_code == 400
        assert Person(app).login().status_code == 302


def test_counted_attempts_name_nobody(visitor: Person, app: Flask) -> None:
    visitor.login("wrong horse battery")
    with app.app_context():
        row = db.session.scalars(select(LoginAttempt)).one()
        assert "mira" not in row.account
        assert "127" not in row.address or len(row.address) == 32


def test_one_address_cannot_make_accounts_without_end(make_app: Callable[..., Flask]) -> None:
    app = make_app(REGISTRATIONS_PER_ADDRESS=2)
    made = [Person(app, f"user{number}@clinic.org").register().status_code for number in range(3)]
    assert made == [302, 302, 429]


def test_a_changed_password_holds_and_signs_every_other_device_out(mira: Person, app: Flask) -> None:
    other_device = Person(app)
    other_device.login()
    response = mira.post("/account/password", {"current": PASSWORD, "new": "another horse entirely"})
    assert response.status_code == 302
    assert is_signed_in(mira)
    assert not is_signed_in(other_device)
    assert Person(app).login().status_code == 400
    assert Person(app).login("another horse entirely").status_code == 302


@pytest.mark.parametrize(("sent", "status"), [({"end_tokens": "y"}, 401), ({}, 200)])
def test_a_changed_password_revokes_the_tokens_of_the_api_where_that_stays_ticked(
    mira: Person, sent: dict[str, str], status: int
) -> None:
    program = Program(mira.app, made(mira))
    assert re.search(r'<input checked id="end_tokens"', mira.get("/account").text)
    form = {"current": PASSWORD, "new": "another horse entirely", **sent}
    assert mira.post("/account/password", form).status_code == 302
    assert program.get("/token").status_code == status


@pytest.mark.parametrize(
    ("current", "new"),
    [
        ("wrong horse battery", "another horse entirely"),
        (PASSWORD, "short"),
        (PASSWORD, PASSWORD),
        (PASSWORD, "mira@clinic.org"),
    ],
)
def test_a_password_is_not_changed_without_the_old_one_and_a_good_new_one(
    mira: Person, app: Flask, current: str, new: str
) -> None:
    before = user_of(mira).password_hash
    assert mira.post("/account/password", {"current": current, "new": new}).status_code == 400
    assert user_of(mira).password_hash == before


def test_guessing_the_password_from_inside_is_throttled_too(
    mira: Person, make_app: Callable[..., Flask]
) -> None:
    person = Person(make_app(LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS=2))
    person.login()
    guess = {"current": "wrong horse battery", "new": "another horse entirely"}
    assert [person.post("/account/password", guess).status_code for _ in range(3)] == [400, 400, 429]
    assert person.post("/account/delete", {"password": PASSWORD}).status_code == 429


def test_a_deleted_account_leaves_no_row_and_no_file(mira: Person, stranger: Person, kept: Kept) -> None:
    mira.answered()
    mira.answered()
    theirs = stranger.answered()
    assert mira.post("/account/delete", {"password": PASSWORD}).status_code == 302
    assert kept.rows() == 1
    assert {path.parent.name for path in kept.files()} == {theirs}
    assert not is_signed_in(mira)
    assert mira.login().status_code == 400
    assert stranger.get(f"/answers/{theirs}").status_code == 200


def test_an_account_is_not_deleted_without_its_password(mira: Person, kept: Kept) -> None:
    mira.answered()
    assert mira.post("/account/delete", {"password": "wrong horse battery"}).status_code == 400
    assert kept.rows() == 1
    assert is_signed_in(mira)


def test_a_session_cookie_of_a_deleted_account_opens_nothing(mira: Person, app: Flask) -> None:
    other_device = Person(app)
    other_device.login()
    mira.post("/account/delete", {"password": PASSWORD})
    assert not is_signed_in(other_device)
    assert other_device.upload().status_code == 302
