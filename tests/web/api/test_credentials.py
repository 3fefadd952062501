"""Who may do what through the API: every operation with every kind of token that is not the right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from tests.web.api.conftest import API, Program, problem_of, token_of
from tests.web.conftest import Kept, Person
from tests.web.owned import OWNED, VALUES, user_of
from web.api.operations import Operation, operation_of
from web.database import db, now
from web.models import ApiToken, User

SCOPES = ("read", "predict", "write")


@dataclass(frozen=True)
class Asked:
    """One operation of the API at an address of somebody's."""

    endpoint: str
    method: str
    path: str
    operation: Operation
    is_owned: bool

    def by(self, program: Program) -> TestResponse:
        """Asks, with a body that would do."""
        body = {"name": "Left forearm"} if self.method == "POST" else {}
        sent = {"json": body} if self.operation.body is not None else {}
        return program.ask(self.method, self.path, **sent)


def asked(app: Flask, values: dict[str, str]) -> Iterator[Asked]:
    """Every operation, with addresses filled in."""
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is not None:
            with app.test_request_context():
                path = app.url_for(rule.endpoint, **{name: values[name] for name in rule.arguments})
            method = next(iter((rule.methods or set()) - {"HEAD", "OPTIONS"}))
            yield Asked(rule.endpoint, method, path, operation, bool(rule.arguments & OWNED.keys()))


@pytest.fixture
def operations(app: Flask, mira: Person) -> list[Asked]:
    """Every operation, on what is Mira's; those that remove something come last."""
    values = VALUES | {name: OWNED[name](mira) for name in ("key", "lesion", "batch")}
    return sorted(asked(app, values), key=lambda one: one.method == "DELETE")


def test_every_route_of_the_api_is_an_operation_with_a_scope(app: Flask, operations: list[Asked]) -> None:
    routes = {rule.endpoint for rule in app.url_map.iter_rules() if rule.rule.startswith(API + "/")}
    assert routes == {one.endpoint for one in operations} | {"api.openapi.document"}
    assert {one.endpoint for one in operations if one.operation.scope not in SCOPES} == {"api.account.token"}


def test_nobody_comes_in_without_a_valid_token(
    app: Flask, mira: Person, operations: list[Asked], kept: Kept
) -> None:
    refused = {
        "no token": Program(app),
        "an unknown token": Program(app, "derm_" + "x" * 43),
        "a digest for a token": Program(app, digest_of(app, token_of(mira))),
        "an expired token": Program(app, token_of(mira, days=0)),
        "a revoked token": Program(app, revoked(mira)),
    }
    for one in operations:
        for what, program in refused.items():
            problem_of(one.by(program), 401, "no-token")
            assert "Bearer" in one.by(program).headers["WWW-Authenticate"], what
    assert kept.rows() == 1


def test_the_token_of_a_disabled_user_is_refused(app: Flask, mira: Person, operations: list[Asked]) -> None:
    program = Program(app, token_of(mira))
    with app.app_context():
        db.session.execute(update(User).values(disabled_at=now()))
        db.session.commit()
    for one in operations:
        assert "disabled" in problem_of(one.by(program), 401, "no-token")["detail"]


def test_a_stranger_finds_nothing_and_changes_nothing(
    operations: list[Asked], other_program: Program, program: Program, kept: Kept
) -> None:
    owned = [one for one in operations if one.is_owned]
    assert len(owned) >= 12
    before = [one.by(program).data for one in owned if one.method == "GET"]
    for one in owned:
        theirs = one.by(other_program)
        problem_of(theirs, 404, "not-found")
        nobodys = Asked(one.endpoint, one.method, without_keys(one.path), one.operation, True).by(
            other_program
        )
        assert (theirs.status_code, theirs.data) == (nobodys.status_code, nobodys.data), one
    assert [one.by(program).data for one in owned if one.method == "GET"] == before
    assert kept.rows() == 1
    for path in ("/predictions", "/lesions", "/batches"):
        assert other_program.get(path).json["items"] == []


def test_a_token_does_what_its_scopes_say_and_no_more(
    operations: list[Asked], program_with: Callable[..., Program], kept: Kept
) -> None:
    for scope in SCOPES:
        others = [other for other in SCOPES if other != scope]
        limited = program_with(*others)
        for one in operations:
            if one.operation.scope == scope:
                response = one.by(limited)
                problem_of(response, 403, "wrong-scope")
                assert f'scope="{scope}"' in response.headers["WWW-Authenticate"]
    assert kept.rows() == 1
    assert program_with("read").get("/token").json["scopes"] == ["read"]


def test_what_a_token_may_do_it_does(operations: list[Asked], program: Program) -> None:
    for one in operations:
        if one.method in ("GET", "PATCH", "DELETE"):
            assert one.by(program).status_code == one.operation.status, one
    assert program.get("/predictions").json["items"] == []


def test_a_cookie_opens_no_operation_and_a_token_no_page(
    app: Flask, mira: Person, program: Program, operations: list[Asked]
) -> None:
    for one in operations:
        response = mira.client.open(one.path, method=one.method, buffered=True)
        problem_of(response, 401, "no-token")
        assert "Set-Cookie" not in response.headers
    assert program.ask("GET", "/api/v1/../../history").status_code in (302, 404)
    for path in ("/history", "/account", "/account/tokens"):
        response = program.client.get(path, headers={"Authorization": f"Bearer {program.token}"})
        assert response.status_code == 302
        assert response.location.startswith("/login")
    assert mira.get("/history").status_code == 200


def test_other_ways_to_write_a_token_are_no_token(app: Flask, mira: Person) -> None:
    token = token_of(mira)
    client = app.test_client()
    for header in (f"Basic {token}", token, "Bearer", f"Bearer {token} x", f"Bearer  {token[:-1]}"):
        assert client.get(f"{API}/token", headers={"Authorization": header}).status_code == 401, header
    assert client.get(f"{API}/token?token={token}").status_code == 401
    assert client.get(f"{API}/token", headers={"Authorization": f"bearer {token}"}).status_code == 200


def test_the_last_use_is_noted_at_most_once_a_minute(app: Flask, program: Program) -> None:
    def last_use() -> object:
        with app.app_context():
            return db.session.scalars(db.select(ApiToken.last_used_at)).one()

    assert last_use() is None
    program.get("/token")
    first = last_use()
    assert first is not None
    program.get("/token")
    assert last_use() == first
    with app.app_context():
        db.session.execute(update(ApiToken).values(last_used_at=now() - timedelta(seconds=61)))
        db.session.commit()
    program.get("/token")
    assert last_use() > first


def test_with_an_account_go_its_tokens(app: Flask, mira: Person, program: Program) -> None:
    assert program.get("/token").status_code == 200
    mira.post("/account/delete", {"password": "correct horse battery"})
    problem_of(program.get("/token"), 401, "no-token")
    with app.app_context():
        assert db.session.scalars(db.select(ApiToken)).all() == []


def digest_of(app: Flask, token: str) -> str:
    with app.app_context():
        return db.session.scalars(db.select(ApiToken.digest).order_by(ApiToken.id.desc())).first() or token


def revoked(person: Person) -> str:
    token = token_of(person)
    with person.app.app_context():
        row = db.session.scalars(
            db.select(ApiToken).where(ApiToken.user_id == user_of(person).id).order_by(ApiToken.id.desc())
        ).first()
        assert row is not None
        row.revoked_at = now()
        db.session.commit()
    return token


def without_keys(path: str) -> str:
    return "/".join("0" * 32 if len(step) == 32 else step for step in path.split("/"))
