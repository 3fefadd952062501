"""The pages of API tokens: shown once, kept as a digest, listed, revoked."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

from flask import Flask
from sqlalchemy import select, update

from tests.web.api.conftest import Program
from tests.web.conftest import Person
from web.database import db, now
from web.models import ApiToken

FIELDS = {"name": "Import", "scopes": ["read", "predict"], "days": "30"}


def rows(app: Flask) -> list[ApiToken]:
    with app.app_context():
        return list(db.session.scalars(select(ApiToken)))


def made(person: Person, **fields: object) -> str:
    """Makes a token on the page, and returns it."""
    response = person.post("/account/tokens", FIELDS | fields)
    assert response.status_code == 201, response.text
    found = re.search(r'id="secret"[^>]*>(derm_[\w-]{43})<', response.text)
    assert found, response.text
    return found[1]


def test_a_token_is_shown_once_and_kept_as_a_digest(app: Flask, mira: Person) -> None:
    token = made(mira)
    row = rows(app)[0]
    assert row.digest == hashlib.sha256(token.encode()).hexdigest()
    assert token not in str(vars(row))
    assert row.scopes == "read predict"
    assert timedelta(days=29) < row.expires_at - now() <= timedelta(days=30)
    page = mira.get("/account/tokens").text
    assert row.start in page
    assert token not in page
    assert "never" in page


def test_a_token_from_the_page_opens_the_api_until_it_is_revoked(app: Flask, mira: Person) -> None:
    program = Program(app, made(mira))
    assert program.get("/token").json["scopes"] == ["read", "predict"]
    key = rows(app)[0].key
    assert "Revoke “Import”?" in mira.get(f"/account/tokens/{key}/revoke").text
    assert program.get("/token").status_code == 200
    assert mira.post(f"/account/tokens/{key}/revoke").status_code == 302
    assert program.get("/token").status_code == 401
    first = rows(app)[0].revoked_at
    mira.post(f"/account/tokens/{key}/revoke")
    assert rows(app)[0].revoked_at == first
    assert "revoked" in mira.get("/account/tokens").text


def test_nobody_sees_or_revokes_the_token_of_another(app: Flask, mira: Person, stranger: Person) -> None:
    made(mira)
    row = rows(app)[0]
    assert row.start not in stranger.get("/account/tokens").text
    assert stranger.get(f"/account/tokens/{row.key}/revoke").status_code == 404
    assert stranger.post(f"/account/tokens/{row.key}/revoke").status_code == 404
    assert rows(app)[0].revoked_at is None


def test_a_form_that_does_not_fit_makes_no_token(app: Flask, mira: Person) -> None:
    for fields in (
        {"name": " "},
        {"name": "n" * 81},
        {"scopes": []},
        {"scopes": ["admin"]},
        {"days": "36500"},
    ):
        assert mira.post("/account/tokens", FIELDS | fields).status_code == 400, fields
    assert mira.client.post("/account/tokens", data=FIELDS).status_code == 400
    assert rows(app) == []


def test_the_page_says_what_is_wrong(mira: Person) -> None:
    page = mira.post("/account/tokens", FIELDS | {"name": "", "scopes": []}).text
    assert "Say what it is for" in page
    assert "Choose at least one." in page
    assert 'value="derm_' not in page


def test_tokens_in_use_are_bounded_and_ended_ones_do_not_count(app: Flask, mira: Person) -> None:
    app.config["TOKENS_PER_ACCOUNT"] = 2
    made(mira)
    made(mira)
    response = mira.post("/account/tokens", FIELDS)
    assert response.status_code == 400
    assert "2 tokens in use" in response.text
    with app.app_context():
        db.session.execute(update(ApiToken).values(expires_at=now()))
        db.session.commit()
    made(mira)
    assert "expired" in mira.get("/account/tokens").text


def test_the_account_leads_to_the_tokens(mira: Person) -> None:
    assert 'href="/account/tokens"' in mira.get("/account").text
