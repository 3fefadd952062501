"""How much may be asked a minute, and how that is said."""

from __future__ import annotations

import re

from tests.web.api.conftest import Program, problem_of, token_of
from tests.web.conftest import Kept, Person


def test_each_answer_says_what_is_left(program: Program) -> None:
    program.app.config["DERM_API_REQUESTS"] = 3
    first, second = program.get("/token"), program.get("/lesions")
    assert first.headers["RateLimit-Policy"] == '"requests";q=3;w=60'
    assert re.fullmatch(r'"requests";r=2;t=\d+', first.headers["RateLimit"])
    assert second.headers["RateLimit"].startswith('"requests";r=1;')


def test_who_asks_too_much_is_told_to_wait(program: Program, other_program: Program, mira: Person) -> None:
    program.app.config["DERM_API_REQUESTS"] = 2
    program.get("/token")
    problem_of(program.get("/predictions?limit=none"), 422, "invalid")
    response = program.get("/token")
    problem_of(response, 429, "too-many-requests")
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["RateLimit"].startswith('"requests";r=0;')
    problem_of(Program(mira.app, token_of(mira)).get("/token"), 429, "too-many-requests")
    assert other_program.get("/token").status_code == 200


def test_photographs_have_a_limit_of_their_own(program: Program, kept: Kept) -> None:
    program.app.config["DERM_API_PHOTOGRAPHS"] = 1
    response = program.predict()
    assert response.headers["RateLimit-Policy"] == '"requests";q=600;w=60, "photographs";q=1;w=60'
    problem_of(program.predict(), 429, "too-many-requests")
    assert program.get("/predictions").status_code == 200
    assert kept.rows() == 1


def test_a_limit_of_nothing_closes_the_operation(program: Program) -> None:
    program.app.config["DERM_API_PHOTOGRAPHS"] = 0
    problem_of(program.predict(), 429, "too-many-requests")
