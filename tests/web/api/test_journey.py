"""What a program does from its first request to its last, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from tests.web.api.conftest import Program, problem_of, token_of
from tests.web.conftest import Kept, Person
from tests.web.fakes import picture
from tests.web.postgres import empty_database
from tests.web.test_batches import answer_all
from web.api.idempotency import LEASE
from web.database import db, now
from web.models import IdempotentRequest


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> Iterator[Flask]:
    with ExitStack() as stack:
        config = {}
        if request.param == "postgresql":
            config["DERM_DATABASE_URL"] = stack.enter_context(empty_database())
        yield make_app(**config)


def test_the_whole_journey(site: Flask) -> None:
    mira, kept = Person(site), Kept(site)
    mira.register()
    program = Program(site, token_of(mira))
    lesion = program.lesion("Left forearm\x00", site="upper extremity")
    assert lesion["name"] == "Left forearm"
    answers = [program.predicted(lesion=lesion["id"], note=f"Visit {number}\x00") for number in range(3)]
    assert program.get(answers[0]["url"]).json == answers[0]
    first = program.get("/predictions?limit=2&since=2020-01-01T00:00:00%2B01:00").json
    second = program.get(f"/predictions?limit=2&cursor={first['next']}").json
    assert [item["note"] for item in first["items"] + second["items"]] == ["Visit 2", "Visit 1", "Visit 0"]
    assert program.get("/lesions").json["items"][0]["photographs"] == 3

    key = {"Idempotency-Key": "visit-4"}
    made = program.predict(headers=key).json
    assert program.predict(headers=key).json == made
    program.delete(made["url"])
    with site.app_context():
        long_ago = now() - LEASE - timedelta(seconds=1)
        db.session.execute(update(IdempotentRequest).values(status=0, location="", created_at=long_ago))
        db.session.commit()
    assert program.predict(headers=key).status_code == 201
    problem_of(program.predict(headers=key, note="other"), 422, "key-reused")

    files = {"files": [(io.BytesIO(picture()), "a.jpg"), (io.BytesIO(b"x"), "b.jpg")]}
    batch = program.post("/batches", data=files).json
    answer_all(site)
    items = program.get(batch["items"]).json["items"]
    assert [item["state"] for item in items] == ["done", "failed"]

    assert program.delete(f"{batch['url']}?predictions=delete").status_code == 204
    assert program.delete(f"{lesion['url']}?photographs=delete").status_code == 204
    assert [item["lesion"] for item in program.get("/predictions").json["items"]] == [None]
    assert kept.rows() == 1
