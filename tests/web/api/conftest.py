"""Programs that use the API with tokens of their own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import TestResponse

from tests.web.conftest import Person
from tests.web.fakes import picture
from tests.web.owned import user_of
from web.api.tokens import SCOPES, new_token
from web.database import db

API = "/api/v1"


class Program:
    """Something that sends a token with each request, and no cookie."""

    def __init__(self, app: Flask, token: str = "") -> None:
        self.app, self.token = app, token
        self.client: FlaskClient = app.test_client(use_cookies=False)

    def ask(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = dict(options.pop("headers", {}))
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        path = path if path.startswith("/api/") else API + path
        return self.client.open(path, method=method, headers=headers, buffered=True, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.ask("POST", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self.ask("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.ask("DELETE", path, **options)

    def predict(
        self, content: bytes | None = None, *, headers: dict[str, str] | None = None, **fields: str
    ) -> TestResponse:
        stream = io.BytesIO(picture() if content is None else content)
        sent = {"image": (stream, "IMG_0001.jpg"), **fields}
        return self.post("/predictions", data=sent, content_type="multipart/form-data", headers=headers or {})

    def predicted(self, **fields: str) -> dict[str, Any]:
        response = self.predict(**fields)
        assert response.status_code == 201, response.text
        return response.json

    def lesion(self, name: str = "Left forearm", **fields: Any) -> dict[str, Any]:
        response = self.post("/lesions", json={"name": name, **fields})
        assert response.status_code == 201, response.text
        return response.json


def token_of(person: Person, scopes: Iterable[str] = SCOPES, *, days: int = 30) -> str:
    """A new token of a person."""
    with person.app.app_context():
        _, token = new_token(user_of(person), name="Test", scopes=scopes, days=days)
        db.session.commit()
        return token


def queries_for(program: Program, path: str) -> int:
    """How many queries an address takes."""
    asked: list[str] = []
    with program.app.app_context():
        engine = db.engine

    def note(*values: object) -> None:
        asked.append(str(values[2]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert program.get(path).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(asked)


def problem_of(response: TestResponse, status: int, kind: str) -> dict[str, Any]:
    """The problem document of a response, which must be one of this status and kind."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    problem = json.loads(response.text)
    assert problem["status"] == status
    assert problem["type"] == f"/api#{kind}", problem
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.fixture
def program(mira: Person) -> Program:
    """A program of Mira's that may do everything."""
    return Program(mira.app, token_of(mira))


@pytest.fixture
def other_program(stranger: Person) -> Program:
    """A program of somebody else's that may do everything there."""
    return Program(stranger.app, token_of(stranger))


@pytest.fixture
def program_with(mira: Person) -> Callable[..., Program]:
    """Makes programs of Mira's with these scopes."""
    return lambda *scopes: Program(mira.app, token_of(mira, scopes))
