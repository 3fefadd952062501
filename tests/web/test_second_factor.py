"""Setting up a second factor, its recovery codes, its removal, and whom it is asked of."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.web.authenticator import Authenticator, recovery_codes_on
from tests.web.conftest import PASSWORD, Person
from tests.web.owned import user_of
from web.database import db, now
from web.models import AuditEvent, RecoveryCode, SecondFactor, UserSession
from web.second_factor_pages import draw
from web.second_factor_secret import seal, unseal

PAGE = "/account/second-factor"


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    return Authenticator(monkeypatch)


def factors(app: Flask) -> list[SecondFactor]:
    with app.app_context():
        return list(db.session.scalars(select(SecondFactor)))


def deeds(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))


def is_on(person: Person) -> bool:
    return "Signing in asks for a code" in person.get("/account").text


def test_the_first_code_turns_it_on_and_recovery_codes_are_shown_once(
    mira: Person, phone: Authenticator
) -> None:
    assert not is_on(mira)
    codes = phone.set_up(mira)
    assert is_on(mira)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[a-z2-9]{5}-[a-z2-9]{5}", code) for code in codes)
    page = mira.get(PAGE).text
    assert "10 of 10" in page
    assert not any(code in page for code in codes)
    assert "second-factor.set-up" in deeds(mira.app)


def test_it_is_not_begun_without_the_password(mira: Person) -> None:
    response = mira.post(f"{PAGE}/begin", {"password": "wrong horse battery"})
    assert response.status_code == 400
    assert "This is not your password." in response.text
    assert mira.post(f"{PAGE}/begin").status_code == 400
    assert factors(mira.app) == []
    assert mira.get(f"{PAGE}/set-up").location == PAGE


def test_guessing_the_password_there_is_throttled(make_app: Callable[..., Flask]) -> None:
    mira = Person(make_app(LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS=1))
    mira.register()
    tried = [mira.post(f"{PAGE}/begin", {"password": "wrong"}) for _ in range(2)]
    assert [response.status_code for response in tried] == [400, 429]
    assert "Too many attempts" in tried[1].text
    assert int(tried[1].headers["Retry-After"]) > 0


def test_a_wrong_first_code_turns_nothing_on_and_the_picture_stays(
    mira: Person, phone: Authenticator
) -> None:
    mira.post(f"{PAGE}/begin", {"password": PASSWORD})
    phone.scan(mira.get(f"{PAGE}/set-up").text)
    wrong = f"{(int(phone.code()) + 1) % 1_000_000:06}"
    for code in (wrong, "", "12345", "code", "１２３４５６"):
        assert mira.post(f"{PAGE}/set-up", {"code": code}).status_code == 400
    assert f">{phone.secret}<" in mira.get(f"{PAGE}/set-up").text
    assert not is_on(mira)
    assert Person(mira.app).login().location == "/new"


def test_a_code_may_be_written_in_groups(mira: Person, phone: Authenticator) -> None:
    mira.post(f"{PAGE}/begin", {"password": PASSWORD})
    phone.scan(mira.get(f"{PAGE}/set-up").text)
    code = phone.code()
    assert mira.post(f"{PAGE}/set-up", {"code": f" {code[:3]} {code[3:]} "}).status_code == 201


def test_the_secret_is_not_shown_to_a_session_that_was_left_open(mira: Person, app: Flask) -> None:
    mira.post(f"{PAGE}/begin", {"password": PASSWORD})
    with app.app_context():
        db.session.execute(update(UserSession).values(proved_at=now() - timedelta(minutes=16)))
        db.session.commit()
    assert mira.get(f"{PAGE}/set-up").location == PAGE


def test_setting_it_up_gives_the_session_a_new_key_and_ends_the_others(
    mira: Person, app: Flask, phone: Authenticator
) -> None:
    other = Person(app)
    other.login()
    cookie = mira.client.get_cookie("dermatrace")
    phone.set_up(mira)
    assert mira.get("/account").status_code == 200
    assert other.get("/account").status_code == 302
    old = Person(app)
    assert cookie is not None
    old.client.set_cookie("dermatrace", cookie.value)
    assert old.get("/account").status_code == 302


def test_secret_and_recovery_codes_are_not_kept_as_they_are(
    mira: Person, app: Flask, phone: Authenticator
) -> None:
    codes = phone.set_up(mira)
    assert phone.secret not in factors(app)[0].secret
    with app.app_context():
        assert unseal(factors(app)[0].secret) == phone.secret
        digests = list(db.session.scalars(select(RecoveryCode.digest)))
    assert all(digest.startswith("$argon2id$") for digest in digests)
    assert not any(code.replace("-", "") in digest for code in codes for digest in digests)


def test_another_key_of_the_server_opens_no_secret(make_app: Callable[..., Flask]) -> None:
    with make_app(DERM_SECRET_KEY="one key of the server").app_context():
        sealed = seal("JBSWY3DPEHPK3PXP")
    with make_app(DERM_SECRET_KEY="another key of the server").app_context():
        assert unseal(sealed) is None


def test_new_recovery_codes_end_the_old_ones_and_need_password_and_code(
    mira: Person, app: Flask, phone: Authenticator
) -> None:
    old = phone.set_up(mira)
    path = f"{PAGE}/recovery-codes"
    assert mira.get(path).status_code == 200
    assert mira.post(path, {"password": PASSWORD, "code": phone.code()}).status_code == 400  # it was used
    assert mira.post(path, {"password": "wrong", "code": phone.next_code()}).status_code == 400
    assert mira.post(path, {"password": PASSWORD}).status_code == 400
    response = mira.post(path, {"password": PASSWORD, "code": phone.code()})
    assert response.status_code == 201
    new = recovery_codes_on(response.text)
    assert not set(old) & set(new)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(RecoveryCode)) == 10
    assert "recovery-codes.renewed" in deeds(app)


def test_it_is_removed_by_password_and_code_and_by_nothing_less(
    mira: Person, app: Flask, phone: Authenticator
) -> None:
    codes = phone.set_up(mira)
    path = f"{PAGE}/remove"
    for form in (
        {"password": PASSWORD},
        {"code": codes[0]},
        {"password": "wrong", "code": codes[0]},
        {"password": PASSWORD, "code": "aaaaa-aaaaa"},
    ):
        assert mira.post(path, form).status_code == 400
        assert is_on(mira)
    assert mira.post(path, {"password": PASSWORD, "code": codes[0]}).location == PAGE
    assert not is_on(mira)
    assert factors(app) == []
    assert "second-factor.removed" in deeds(app)
    assert Person(app).login().location == "/new"


def test_there_is_nothing_to_renew_or_remove_before_it_is_set_up(mira: Person) -> None:
    for page in ("recovery-codes", "remove"):
        assert mira.get(f"{PAGE}/{page}").location == PAGE
        assert mira.post(f"{PAGE}/{page}", {"password": PASSWORD, "code": "123456"}).location == PAGE


def test_it_is_not_begun_anew_over_the_one_that_is_on(mira: Person, app: Flask, phone: Authenticator) -> None:
    phone.set_up(mira)
    kept = factors(app)[0].secret
    assert mira.post(f"{PAGE}/begin", {"password": PASSWORD}).location == PAGE
    assert mira.get(f"{PAGE}/set-up").location == PAGE
    assert factors(app)[0].secret == kept


def test_nobody_changes_the_second_factor_of_another(
    mira: Person, stranger: Person, app: Flask, phone: Authenticator
) -> None:
    codes = phone.set_up(mira)
    kept = factors(app)[0].secret
    assert not is_on(stranger)
    for page in ("recovery-codes", "remove"):
        assert stranger.post(f"{PAGE}/{page}", {"password": PASSWORD, "code": codes[0]}).status_code == 302
    stranger.post(f"{PAGE}/begin", {"password": PASSWORD})
    assert phone.secret not in stranger.get(f"{PAGE}/set-up").text
    assert stranger.post(f"{PAGE}/set-up", {"code": phone.next_code()}).status_code == 400
    assert is_on(mira)
    assert kept in [factor.secret for factor in factors(app)]


def test_an_admin_clears_a_lost_one_and_its_owner_is_signed_out(
    mira: Person, admin: Person, app: Flask, phone: Authenticator
) -> None:
    phone.set_up(mira)
    with app.app_context():
        number = user_of(mira).id
    path = f"/admin/people/{number}/clear-second-factor"
    assert mira.post(path).status_code == 403
    assert is_on(mira)
    assert "Clear the second factor" in admin.get(f"/admin/people/{number}").text
    assert "1 has a second factor. Nobody must." in admin.get("/admin").text
    assert admin.post(path).status_code == 302
    assert mira.get("/account").status_code == 302
    assert Person(app).login().location == "/new"
    with app.app_context():
        deed = db.session.scalars(
            select(AuditEvent).where(AuditEvent.action == "second-factor.cleared")
        ).one()
        assert (deed.actor, deed.record) == (admin.email, mira.email)
    assert "cleared the second factor of" in admin.get("/admin/audit").text
    assert "Clear the second factor" not in admin.get(f"/admin/people/{number}").text


def test_an_admin_does_not_clear_the_own_one(admin: Person, app: Flask, phone: Authenticator) -> None:
    phone.set_up(admin)
    with app.app_context():
        number = user_of(admin).id
    assert admin.post(f"/admin/people/{number}/clear-second-factor").status_code == 409
    assert is_on(admin)


def test_the_command_line_clears_that_of_the_only_admin(
    admin: Person, app: Flask, phone: Authenticator
) -> None:
    phone.set_up(admin)
    runner = app.test_cli_runner()
    done = runner.invoke(args=["clear-second-factor", "Root@Hospital.org"])
    assert (done.exit_code, done.output) == (0, "root@hospital.org signs in by the password alone.\n")
    assert admin.get("/account").status_code == 302
    assert admin.login().location == "/new"
    done = runner.invoke(args=["clear-second-factor", "nobody@clinic.org"])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)


def test_whoever_must_have_one_is_led_to_it_before_anything_else_opens(
    make_app: Callable[..., Flask], phone: Authenticator
) -> None:
    mira = Person(make_app(DERM_SECOND_FACTOR="everyone"))
    assert mira.register().status_code == 302
    for path in (
        "/new",
        "/history",
        "/account",
        "/account/tokens",
        "/account/delete",
        f"{PAGE}/remove",
        "/nothing",
    ):
        response = mira.get(path)
        assert (response.status_code, response.location) == (
            (404, None) if path == "/nothing" else (302, PAGE)
        ), path
    assert mira.upload().location == PAGE
    assert mira.get("/about").status_code == 200
    assert "This server asks for a second factor" in mira.get(PAGE).text
    phone.set_up(mira)
    assert mira.get("/history").status_code == 200
    mira.post(f"{PAGE}/remove", {"password": PASSWORD, "code": phone.next_code()})
    assert mira.get("/history").location == PAGE
    assert mira.logout().location == "/login"


def test_of_clinicians_it_is_asked_where_that_is_set_and_not_of_users(make_app: Callable[..., Flask]) -> None:
    mira = Person(make_app(DERM_SECOND_FACTOR="clinicians"))
    mira.register()
    assert mira.get("/history").status_code == 200
    for role in ("clinician", "admin"):
        mira.becomes(role)
        assert mira.get("/history").location == PAGE


def test_a_qr_code_is_drawn_as_one_path_within_its_quiet_zone() -> None:
    drawing = draw("otpauth://totp/Dermatrace:mira%40clinic.org?secret=JBSWY3DPEHPK3PXP&issuer=Dermatrace")
    starts = [(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h", drawing.path)]
    assert min(x for x, _ in starts) == min(y for _, y in starts) == 4
    assert max(y for _, y in starts) == drawing.side - 5
    assert drawing.path.startswith("M4 4h7v1h-7z")  # the upper edge of the finder in the corner
