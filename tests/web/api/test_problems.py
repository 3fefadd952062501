"""Every error of the API is a problem document, also where no operation was reached."""

from __future__ import annotations

from typing import NoReturn

import pytest
from flask import Flask

from tests.web.api.conftest import Program, problem_of
from tests.web.conftest import Person
from web.api.problems import KINDS
from web.security import HEADERS


def test_an_address_that_is_none_is_a_problem_too(program: Program, app: Flask) -> None:
    problem_of(program.get("/nothing"), 404, "not-found")
    problem_of(Program(app).get("/nothing"), 404, "not-found")
    problem_of(program.get("/predictions/"), 404, "not-found")
    problem_of(program.get("/predictions/short"), 404, "not-found")
    assert "text/html" in app.test_client().get("/nothing").content_type


def test_a_method_that_is_none_says_which_there_are(program: Program) -> None:
    for method in ("PUT", "DELETE", "TRACE"):
        response = program.ask(method, "/predictions")
        problem_of(response, 405, "wrong-method")
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_a_fault_of_the_server_tells_nothing_of_it(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> NoReturn:
        raise RuntimeError("secret path /var/lib")

    program.app.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr("web.api.predictions.shown", fail)
    program.predict()
    response = program.get("/predictions")
    problem_of(response, 500, "fault")
    assert "secret" not in response.text


def test_a_problem_has_the_headers_of_every_response(program: Program) -> None:
    for response in (program.get("/nothing"), program.get("/token"), Program(program.app).get("/token")):
        for name, value in HEADERS.items():
            assert response.headers[name] == value
        assert response.headers["Cache-Control"] == "private, no-store"


def test_each_kind_is_explained_on_the_page(visitor: Person) -> None:
    page = visitor.get("/api").text
    for kind in KINDS:
        assert f'id="{kind}"' in page
