"""Who is signed in where: the list of browsers, ending them from elsewhere, and their own end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.web.conftest import PASSWORD, Person
from tests.web.owned import user_of
from web.database import db, now
from web.models import UserSession
from web.sessions import browser_name

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"
)


def is_signed_in(person: Person) -> bool:
    return person.get("/account").status_code == 200


def another_browser(person: Person, agent: str = FIREFOX) -> Person:
    other = Person(person.app, person.email, person.name)
    other.client.environ_base["HTTP_USER_AGENT"] = agent
    assert other.login().status_code == 302
    return other


def keys(person: Person) -> list[str]:
    with person.app.app_context():
        query = select(UserSession.key).where(UserSession.user_id == user_of(person).id)
        return list(db.session.scalars(query.order_by(UserSession.id)))


def shift(app: Flask, **columns: timedelta) -> None:
    """Moves what the sessions remember into the past."""
    with app.app_context():
        db.session.execute(update(UserSession).values({name: now() - back for name, back in columns.items()}))
        db.session.commit()


def test_the_account_lists_every_browser_and_says_which_one_asks(mira: Person) -> None:
    another_browser(mira)
    page = mira.get("/account").text
    assert "Firefox on Linux" in page
    assert page.count("this browser") == 1


def test_one_browser_is_signed_out_from_another(mira: Person) -> None:
    other = another_browser(mira)
    assert mira.post(f"/account/sessions/{keys(mira)[1]}/end").status_code == 302
    assert is_signed_in(mira)
    assert not is_signed_in(other)


def test_all_others_are_signed_out_at_once(mira: Person, stranger: Person) -> None:
    others = [another_browser(mira), another_browser(mira, IPHONE)]
    assert (
        "Every other browser is signed out."
        in mira.post("/account/sessions/end-others", follow_redirects=True).text
    )
    assert [is_signed_in(person) for person in (mira, *others, stranger)] == [True, False, False, True]


def test_a_session_that_has_not_proved_itself_lately_is_asked_for_the_password(
    mira: Person, app: Flask
) -> None:
    other = another_browser(mira)
    shift(app, proved_at=timedelta(minutes=16))
    paths = [f"/account/sessions/{keys(mira)[1]}/end", "/account/sessions/end-others"]
    for path in paths:
        page = mira.post(path)
        assert (page.status_code, "Show that it is still you" in page.text) == (200, True)
        wrong = mira.post(path, {"password": "wrong horse battery"})
        assert (wrong.status_code, "This is not your password." in wrong.text) == (400, True)
        assert mira.post(path, {"password": ""}).status_code == 400
        assert is_signed_in(other)
    before = keys(mira)[0]
    assert mira.post(paths[0], {"password": PASSWORD}).status_code == 302
    assert not is_signed_in(other)
    assert is_signed_in(mira)
    assert keys(mira) != [before]  # whoever proves who they are has a new session
    another_browser(mira)
    assert mira.post(paths[1]).status_code == 302
    assert len(keys(mira)) == 1


def test_guessing_the_password_to_end_a_session_is_throttled(make_app: Callable[..., Flask]) -> None:
    mira = Person(make_app(LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS=1))
    mira.register()
    shift(mira.app, proved_at=timedelta(minutes=16))
    guess = {"password": "wrong horse battery"}
    tried = [mira.post("/account/sessions/end-others", guess) for _ in range(2)]
    assert [response.status_code for response in tried] == [400, 429]
    assert "Retry-After" in tried[1].headers


def test_signing_out_removes_the_row_so_that_a_kept_cookie_opens_nothing(mira: Person) -> None:
    cookie = mira.client.get_cookie("dermatrace")
    assert cookie is not None
    mira.logout()
    assert keys(mira) == []
    mira.client.set_cookie("dermatrace", cookie.value)
    assert not is_signed_in(mira)


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(mira: Person) -> None:
    other = another_browser(mira)
    mira.post("/account/password", {"current": PASSWORD, "new": "another long sentence"})
    assert is_signed_in(mira)
    assert not is_signed_in(other)
    assert len(keys(mira)) == 1


def test_an_idle_session_ends_and_the_door_says_why(mira: Person, app: Flask) -> None:
    shift(app, last_seen_at=timedelta(minutes=61))
    response = mira.get("/history")
    assert response.location == "/login?next=%2Fhistory"
    assert "You were signed out after 60 minutes" in mira.get("/login").text
    assert keys(mira) == []


def test_a_session_in_use_ends_after_a_working_day_too(mira: Person, app: Flask) -> None:
    shift(app, created_at=timedelta(hours=13), last_seen_at=timedelta(minutes=1))
    assert not is_signed_in(mira)


def test_how_long_a_session_may_be_idle_is_a_setting(make_app: Callable[..., Flask]) -> None:
    app = make_app(DERM_IDLE_MINUTES="5", DERM_SESSION_HOURS="2")
    mira = Person(app)
    mira.register()
    shift(app, last_seen_at=timedelta(minutes=4))
    assert is_signed_in(mira)
    shift(app, last_seen_at=timedelta(minutes=6))
    assert not is_signed_in(mira)


def test_a_request_is_noted_but_not_each_of_many(mira: Person, app: Flask) -> None:
    def seen() -> object:
        with app.app_context():
            return db.session.scalar(select(UserSession.last_seen_at))

    shift(app, last_seen_at=timedelta(minutes=10))
    mira.get("/account")
    first = seen()
    mira.get("/account")
    assert seen() == first
    with app.app_context():
        assert first > now() - timedelta(minutes=1)


def test_more_sessions_than_allowed_end_the_one_that_was_quiet_longest(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(SESSIONS_PER_ACCOUNT=2)
    mira = Person(app)
    mira.register()
    second = another_browser(mira)
    third = another_browser(mira)
    assert [is_signed_in(person) for person in (mira, second, third)] == [False, True, True]


def test_a_disabled_account_is_out_at_once_and_stays_out(mira: Person, admin: Person) -> None:
    with mira.app.app_context():
        number = user_of(mira).id
    assert admin.post(f"/admin/people/{number}/disable").status_code == 302
    assert not is_signed_in(mira)
    assert "This account is disabled" in Person(mira.app).login().text
    assert "do not belong together" in Person(mira.app).login("wrong horse battery").text
    assert admin.post(f"/admin/people/{number}/enable").status_code == 302
    assert is_signed_in(another_browser(mira))


def test_sessions_that_ran_out_do_not_pile_up(mira: Person, app: Flask) -> None:
    shift(app, created_at=timedelta(hours=13))
    another_browser(mira)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(UserSession)) == 1


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("curl/8.5.0", "curl"),
        ("", "A browser"),
    ],
)
def test_a_browser_is_named_in_few_words(agent: str, name: str) -> None:
    assert browser_name(agent) == name
