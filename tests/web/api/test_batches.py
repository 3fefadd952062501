"""Batches through the API."""

from __future__ import annotations

import io

from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from tests.web.api.conftest import Program, problem_of, queries_for
from tests.web.conftest import Kept
from tests.web.fakes import picture
from tests.web.test_batches import answer_all, zipped
from web.database import db
from web.models import Batch

FILES = {"monday/a.jpg": picture(), "monday/b.txt": b"no picture", "monday/c.jpg": picture(170)}


def send(program: Program, files: dict[str, bytes], **options: object) -> TestResponse:
    parts = [(io.BytesIO(content), name) for name, content in files.items()]
    return program.post("/batches", data={"files": parts}, content_type="multipart/form-data", **options)


def test_a_batch_is_taken_at_once_and_answered_afterwards(program: Program, app: Flask) -> None:
    response = send(program, FILES)
    assert response.status_code == 202
    batch = response.json
    assert response.location == batch["url"]
    assert (batch["name"], batch["state"], batch["total"], batch["waiting"]) == ("monday", "running", 3, 3)
    answer_all(app)
    done = program.get(batch["url"]).json
    assert (done["state"], done["answered"], done["failed"], done["waiting"]) == ("finished", 2, 1, 0)
    assert program.get("/batches").json["items"] == [done]


def test_each_file_has_its_prediction_or_its_reason(program: Program, app: Flask) -> None:
    batch = send(program, {"monday.zip": zipped(FILES)}).json
    answer_all(app)
    first = program.get(f"{batch['items']}?limit=2").json
    rest = program.get(f"{batch['items']}?limit=2&after={first['next']}").json
    good, bad, last = [*first["items"], *rest["items"]]
    assert rest["next"] is None
    assert [item["name"] for item in (good, bad, last)] == ["a.jpg", "b.txt", "c.jpg"]
    assert good["prediction"] == program.get(good["prediction"]["url"]).json
    assert (bad["state"], bad["prediction"]) == ("failed", None)
    assert bad["error"]
    assert last["error"] is None


def test_a_batch_is_cancelled_and_deleted(program: Program, app: Flask, kept: Kept) -> None:
    batch = send(program, FILES).json
    cancelled = program.post(f"{batch['url']}/cancel").json
    assert (cancelled["state"], cancelled["failed"]) == ("cancelled", 3)
    assert program.post(f"{batch['url']}/cancel").json == cancelled
    other = send(program, FILES).json
    answer_all(app)
    assert kept.rows() == 2
    assert program.delete(batch["url"]).status_code == 204
    assert program.delete(f"{other['url']}?predictions=delete").status_code == 204
    assert program.get("/batches").json["items"] == []
    assert (kept.rows(), kept.files()) == (0, [])


def test_a_batch_is_paused_and_continued(program: Program, app: Flask) -> None:
    batch = send(program, FILES).json
    paused = program.post(f"{batch['url']}/pause").json
    assert (paused["state"], paused["waiting"]) == ("paused", 3)
    assert program.post(f"{batch['url']}/pause").json == paused
    assert answer_all(app) == 0
    assert program.get("/batches").json["items"] == [paused]
    assert program.post(f"{batch['url']}/continue").json == batch
    answer_all(app)
    done = program.get(batch["url"]).json
    assert done["state"] == "finished"
    for deed in ("pause", "continue"):
        assert program.post(f"{batch['url']}/{deed}").json == done


def test_a_long_list_takes_as_many_queries_as_a_short_one(program: Program) -> None:
    for _ in range(3):
        send(program, {"a.jpg": picture(32, 32)})
    program.get("/token")
    assert len(program.get("/batches?limit=3").json["items"]) == 3
    assert queries_for(program, "/batches?limit=3") == queries_for(program, "/batches?limit=1")


def test_a_batch_is_taken_once(program: Program, app: Flask) -> None:
    key = {"Idempotency-Key": "monday"}
    first, again = send(program, FILES, headers=key), send(program, FILES, headers=key)
    assert first.json == again.json
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    problem_of(send(program, {"a.jpg": picture()}, headers=key), 422, "key-reused")
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Batch)) == 1


def test_what_is_no_batch_is_refused(program: Program, app: Flask) -> None:
    problem_of(send(program, {}), 422, "invalid")
    problem_of(program.post("/batches", data={"folder": (io.BytesIO(b"x"), "a.jpg")}), 422, "invalid")
    problem_of(program.post("/batches", data=b"PK", content_type="application/zip"), 415, "wrong-type")
    app.config["BATCH_FILES"] = 2
    problem_of(send(program, FILES), 422, "batch-refused")
    app.config["BATCH_FILES"] = 1
    problem_of(send(program, FILES), 413, "too-large")
    assert program.get("/batches").json["items"] == []
