"""A POST with an Idempotency-Key is done once: repeated, refused, taken over, and forgotten in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.web.api.conftest import Program, problem_of
from tests.web.conftest import Kept
from tests.web.fakes import FakePredictor, picture
from web.api.idempotency import KEPT, LEASE
from web.database import db, now
from web.models import IdempotentRequest, Lesion

KEY = {"Idempotency-Key": "6f1e9c1a-6b0e-4b7c-9a39-1f0f3a6b2d77"}


def rows(app: Flask) -> list[IdempotentRequest]:
    with app.app_context():
        return list(db.session.scalars(select(IdempotentRequest)))


def change_rows(app: Flask, **values: object) -> None:
    with app.app_context():
        db.session.execute(update(IdempotentRequest).values(**values))
        db.session.commit()


def test_the_same_request_is_answered_once_and_told_again(
    program: Program, kept: Kept, predictor: FakePredictor
) -> None:
    first = program.predict(headers=KEY, note="once")
    again = program.predict(headers=KEY, note="once")  # its form has another separator
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json == first.json
    assert again.location == first.location
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(predictor.seen) == kept.rows() == 1


def test_quotes_around_a_key_are_no_part_of_it(program: Program, kept: Kept) -> None:
    program.predict(headers=KEY)
    program.predict(headers={"Idempotency-Key": f'"{KEY["Idempotency-Key"]}"'})
    assert kept.rows() == 1


def test_without_a_key_each_request_is_a_new_one(program: Program, kept: Kept) -> None:
    assert program.predicted()["id"] != program.predicted()["id"]
    assert kept.rows() == 2


def test_a_key_with_other_content_is_refused(program: Program, kept: Kept) -> None:
    program.predict(headers=KEY, note="one")
    problem_of(program.predict(headers=KEY, note="another"), 422, "key-reused")
    problem_of(program.predict(picture(width=170), headers=KEY, note="one"), 422, "key-reused")
    problem_of(program.post("/lesions", json={"name": "Back"}, headers=KEY), 422, "key-reused")
    assert kept.rows() == 1


def test_the_keys_of_two_users_are_two_keys(program: Program, other_program: Program, kept: Kept) -> None:
    mine, theirs = program.predict(headers=KEY).json, other_program.predict(headers=KEY).json
    assert mine["id"] != theirs["id"]
    assert kept.rows() == 2


def test_a_key_that_is_none_is_refused(program: Program, kept: Kept) -> None:
    for key in ("", '""', "k" * 201, "two words"):
        problem_of(program.predict(headers={"Idempotency-Key": key}), 422, "invalid")
    assert kept.rows() == 0


def test_a_lesion_is_made_once_too(program: Program, app: Flask) -> None:
    made = [program.post("/lesions", json={"name": "Back"}, headers=KEY).json for _ in range(2)]
    assert made[0] == made[1]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Lesion)) == 1


def test_a_request_that_failed_may_be_sent_again(
    program: Program, app: Flask, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem_of(program.predict(b"no picture", headers=KEY), 422, "unreadable-picture")
    assert rows(app) == []

    def fail(*_: object, **__: object) -> None:
        raise OSError("The disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("web.storage.PictureStore.save", fail)
        with pytest.raises(OSError, match="full"):
            program.predict(headers=KEY)
    assert rows(app) == []
    assert program.predict(headers=KEY).status_code == 201
    assert kept.rows() == 1


def test_while_the_first_is_answered_the_second_is_told_to_wait(
    program: Program, app: Flask, kept: Kept
) -> None:
    program.predict(headers=KEY)
    change_rows(app, status=0, location="")
    response = program.predict(headers=KEY)
    problem_of(response, 409, "still-running")
    assert int(response.headers["Retry-After"]) >= 1
    assert kept.rows() == 1


def test_what_a_killed_server_left_is_taken_over(program: Program, app: Flask, kept: Kept) -> None:
    key = program.predict(headers=KEY).json["id"]
    program.delete(f"/predictions/{key}")
    change_rows(app, status=0, location="", created_at=now() - LEASE - timedelta(seconds=1))
    assert program.predict(headers=KEY).status_code == 201
    assert program.predict(headers=KEY).headers["Idempotency-Replayed"] == "true"
    assert kept.rows() == 1


def test_who_was_too_slow_and_taken_over_makes_nothing(
    program: Program, app: Flask, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    from web.pictures import read_photograph

    def slow(data: bytes) -> object:
        change_rows(app, created_at=now() + timedelta(seconds=1))  # as another attempt does
        return read_photograph(data)

    monkeypatch.setattr("web.answering.read_photograph", slow)
    problem_of(program.predict(headers=KEY), 409, "still-running")
    assert (kept.rows(), kept.files()) == (0, [])
    assert len(rows(app)) == 1


def test_what_was_deleted_since_is_neither_told_nor_made_again(
    program: Program, app: Flask, kept: Kept
) -> None:
    answer = program.predict(headers=KEY, note="private").json
    program.delete(answer["url"])
    problem_of(program.predict(headers=KEY, note="private"), 404, "not-found")
    assert kept.rows() == 0
    assert "private" not in str([vars(row) for row in rows(app)])


def test_after_a_day_a_key_is_free_again(program: Program, app: Flask, kept: Kept) -> None:
    program.predict(headers=KEY)
    change_rows(app, created_at=now() - KEPT - timedelta(seconds=1))
    assert program.predict(headers=KEY, note="another").status_code == 201
    assert kept.rows() == 2
    assert len(rows(app)) == 1
