"""The second question at the door: codes that work once, recovery codes, throttling, and what stays closed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.web.api.conftest import Program
from tests.web.authenticator import Authenticator
from tests.web.conftest import PASSWORD, Person
from tests.web.owned import user_of
from tests.web.test_invitations import NEW_PASSWORD, reset_of
from tests.web.test_tokens import made
from web.database import db, now
from web.models import LoginAttempt, RecoveryCode, UserSession


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    return Authenticator(monkeypatch)


@pytest.fixture
def codes(mira: Person, phone: Authenticator) -> list[str]:
    """Mira has a second factor; these are her recovery codes. She is signed out."""
    made_codes = phone.set_up(mira)
    mira.logout()
    return made_codes


def at_the_code(app: Flask, **options: object) -> Person:
    """Mira in another browser, with the password given and no code yet."""
    person = Person(app)
    assert person.login(**options).location.startswith("/login/code")
    return person


def test_the_password_alone_opens_nothing(app: Flask, codes: list[str]) -> None:
    person = at_the_code(app)
    for path in ("/new", "/history", "/account", "/account/second-factor", "/admin"):
        assert person.get(path).location.startswith("/login"), path
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(UserSession)) == 0


def test_password_and_code_sign_in_and_lead_to_where_one_wanted_to_go(
    app: Flask, codes: list[str], phone: Authenticator
) -> None:
    person = at_the_code(app, query_string={"next": "/history"})
    phone.pass_steps(1)
    response = person.post("/login/code?next=/history", {"code": phone.code()})
    assert response.location == "/history"
    assert person.get("/history").status_code == 200


def test_no_code_leads_to_another_site(app: Flask, codes: list[str], phone: Authenticator) -> None:
    for target in ("https://evil.example/", "//evil.example"):
        person = at_the_code(app, query_string={"next": target})
        response = person.post("/login/code", {"code": phone.next_code()}, query_string={"next": target})
        assert response.location == "/new"


def test_the_session_is_a_fresh_one_after_both(app: Flask, codes: list[str], phone: Authenticator) -> None:
    person = at_the_code(app)
    with person.client.session_transaction() as session:
        session["planted"] = "by somebody else"
    token = person.token()
    assert person.post("/login/code", {"code": phone.next_code()}).location == "/new"
    with person.client.session_transaction() as session:
        assert "planted" not in session
        assert "password-given" not in session
    assert person.client.post("/logout", data={"csrf_token": token}).status_code == 400


def test_a_code_works_once_also_in_another_browser(
    app: Flask, codes: list[str], phone: Authenticator
) -> None:
    code = phone.next_code()
    assert at_the_code(app).post("/login/code", {"code": code}).status_code == 302
    again = at_the_code(app).post("/login/code", {"code": code})
    assert again.status_code == 400
    assert "Each works once" in again.text
    earlier = at_the_code(app).post("/login/code", {"code": phone.code(-1)})
    assert earlier.status_code == 400


def test_a_clock_may_be_one_step_off_and_no_more(app: Flask, codes: list[str], phone: Authenticator) -> None:
    for steps, status in ((-2, 400), (-1, 302), (0, 302), (1, 302), (2, 400)):
        phone.pass_steps(10)
        assert at_the_code(app).post("/login/code", {"code": phone.code(steps)}).status_code == status, steps


def test_a_recovery_code_works_once_and_tells_how_many_are_left(app: Flask, codes: list[str]) -> None:
    assert at_the_code(app).get("/login/recovery-code").status_code == 200
    person = at_the_code(app)
    response = person.post(
        "/login/recovery-code", {"code": codes[3].upper().replace("-", " ")}, follow_redirects=True
    )
    assert "9 recovery codes left" in response.text
    again = at_the_code(app).post("/login/recovery-code", {"code": codes[3]})
    assert again.status_code == 400
    assert "Each works once" in again.text
    with app.app_context():
        used = db.session.scalar(select(func.count()).where(RecoveryCode.used_at.is_not(None)))
    assert used == 1


def test_a_recovery_code_of_somebody_else_opens_nothing(
    app: Flask, codes: list[str], stranger: Person, phone: Authenticator
) -> None:
    theirs = phone.set_up(stranger)
    assert at_the_code(app).post("/login/recovery-code", {"code": theirs[0]}).status_code == 400
    assert at_the_code(app).post("/login/code", {"code": phone.next_code()}).status_code == 400


def test_codes_are_throttled_and_the_right_password_forgets_no_guess(
    make_app: Callable[..., Flask], codes: list[str], phone: Authenticator
) -> None:
    app = make_app(CODE_FAILURES_PER_ACCOUNT=3)
    wrong = f"{(int(phone.next_code()) + 1) % 1_000_000:06}"
    for path in ("/login/code", "/login/recovery-code", "/login/code"):
        assert at_the_code(app).post(path, {"code": wrong}).status_code == 400
    response = at_the_code(app).post("/login/code", {"code": phone.code()})
    assert response.status_code == 429
    assert "Try again in 15 minutes." in response.text
    assert 0 < int(response.headers["Retry-After"]) <= 900
    assert at_the_code(app).post("/login/recovery-code", {"code": codes[0]}).status_code == 429
    with app.app_context():
        db.session.execute(update(LoginAttempt).values(created_at=now() - timedelta(minutes=16)))
        db.session.commit()
    assert at_the_code(app).post("/login/code", {"code": phone.code()}).status_code == 302


def test_failures_at_one_second_factor_do_not_close_another(
    make_app: Callable[..., Flask], codes: list[str], stranger: Person, phone: Authenticator
) -> None:
    app = make_app(CODE_FAILURES_PER_ACCOUNT=1)
    assert at_the_code(app).post("/login/code", {"code": "000000"}).status_code == 400
    assert at_the_code(app).post("/login/code", {"code": "000000"}).status_code == 429
    phone.set_up(stranger)
    other = Person(app, stranger.email)
    other.login()
    assert other.post("/login/code", {"code": phone.next_code()}).status_code == 302


def test_a_wrong_code_is_written_into_the_log(app: Flask, codes: list[str], admin: Person) -> None:
    at_the_code(app).post("/login/code", {"code": "000000"})
    assert "gave a wrong code" in admin.get("/admin/audit").text


def test_the_page_of_the_code_opens_after_the_password_alone_and_not_for_long(
    app: Flask, codes: list[str], phone: Authenticator
) -> None:
    for path in ("/login/code", "/login/recovery-code"):
        assert Person(app).get(path).location == "/login"
        assert Person(app).post(path, {"code": phone.code()}).location == "/login"
    person = at_the_code(app)
    assert person.get("/login/code").status_code == 200
    app.config["CODE_PAGE_LIFETIME"] = timedelta(seconds=-1)
    assert person.post("/login/code", {"code": phone.next_code()}).location == "/login"
    assert person.get("/history").status_code == 302


def test_a_password_that_was_changed_or_an_account_that_was_disabled_meanwhile_opens_nothing(
    app: Flask, codes: list[str], admin: Person, phone: Authenticator
) -> None:
    waiting = at_the_code(app)
    with app.app_context():
        number = user_of(waiting).id
    admin.post(f"/admin/people/{number}/disable")
    assert waiting.post("/login/code", {"code": phone.next_code()}).location == "/login"
    admin.post(f"/admin/people/{number}/enable")
    assert waiting.post("/login/code", {"code": phone.next_code()}).location == "/login"


def test_a_new_password_by_a_link_does_not_skip_the_code(
    app: Flask, codes: list[str], mira: Person, admin: Person, phone: Authenticator
) -> None:
    link = reset_of(admin, mira)
    assert Person(app).post(link, {"password": NEW_PASSWORD}).location == "/login"
    person = Person(app)
    assert person.login(NEW_PASSWORD).location.startswith("/login/code")
    assert person.get("/history").status_code == 302
    assert person.post("/login/code", {"code": phone.next_code()}).location == "/new"


def test_a_wrong_password_does_not_tell_of_a_second_factor(
    app: Flask, codes: list[str], stranger: Person
) -> None:
    pages = [Person(app, email).login("wrong horse battery") for email in ("mira@clinic.org", stranger.email)]
    assert [page.status_code for page in pages] == [400, 400]
    assert not any("/login/code" in page.text for page in pages)


def test_tokens_of_the_api_go_on_without_a_code(mira: Person, phone: Authenticator) -> None:
    token = made(mira)
    phone.set_up(mira)
    mira.logout()
    assert Program(mira.app, token).get("/token").status_code == 200


def test_who_must_have_a_second_factor_may_use_a_token_that_was_made_before(
    mira: Person, make_app: Callable[..., Flask]
) -> None:
    token = made(mira)
    assert Program(make_app(DERM_SECOND_FACTOR="everyone"), token).get("/token").status_code == 200


def test_after_the_servers_key_has_changed_a_recovery_code_still_signs_in(
    make_app: Callable[..., Flask], codes: list[str], phone: Authenticator
) -> None:
    app = make_app(DERM_SECRET_KEY="another key of the server")
    person = at_the_code(app)
    assert "key has changed" in person.get("/login/code").text
    assert person.post("/login/code", {"code": phone.next_code()}).status_code == 400
    assert person.post("/login/recovery-code", {"code": codes[0]}).status_code == 302
    assert "key has changed" in person.get("/account/second-factor").text
    form = {"password": PASSWORD, "code": codes[1]}
    assert person.post("/account/second-factor/remove", form).status_code == 302
    phone.set_up(person)
