"""The worker of batches: claims, restarts, several processes, and that requests go first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

import derm_core
from derm_core import BundleError, Explanations
from tests.web.conftest import Kept, Person, close_connections
from tests.web.fakes import FakePredictor, picture
from tests.web.postgres import empty_database
from tests.web.test_batches import answer_all, items, sent, uploads
from web import batch_worker
from web.batch_worker import BatchWorker, answer_next
from web.database import db, now
from web.inference import Inference, ModelUnavailableError
from web.models import Batch, BatchItem


def set_items(app: Flask, **values: object) -> None:
    with app.app_context():
        db.session.execute(update(BatchItem).values(values))
        db.session.commit()


def batch_of(app: Flask, key: str) -> Batch:
    with app.app_context():
        return db.session.query(Batch).filter_by(key=key).one()


def test_what_a_killed_server_had_taken_is_taken_again_after_a_while(
    app: Flask, mira: Person, kept: Kept
) -> None:
    key = sent(mira, {"a.jpg": picture()})
    set_items(app, state="working", claimed_at=now())
    assert answer_all(app) == 0
    set_items(app, state="working", claimed_at=now() - timedelta(minutes=2))
    assert answer_all(app) == 1
    assert (items(app, key)[0].state, kept.rows()) == ("done", 1)


def test_a_file_that_takes_the_server_down_with_it_is_given_up(app: Flask, mira: Person, kept: Kept) -> None:
    key = sent(mira, {"a.jpg": picture()})
    set_items(app, state="working", attempts=5, claimed_at=now() - timedelta(minutes=2))
    assert answer_all(app) == 0
    item = items(app, key)[0]
    assert item.state == "failed"
    assert "The server stopped several times" in item.error
    assert (kept.rows(), uploads(app)) == (0, [])


def test_an_answer_whose_claim_was_lost_meanwhile_is_withdrawn(
    app: Flask, mira: Person, kept: Kept, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sent(mira, {"a.jpg": picture()})
    explain = predictor.explain_all

    def slowly(*arguments: object, **options: object) -> Explanations:
        set_items(app, claimed_at=now() + timedelta(seconds=1))  # as another process claims it
        return explain(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(predictor, "explain_all", slowly)
    assert answer_next(app)
    assert (kept.rows(), kept.files()) == (0, [])
    assert items(app, key)[0].state == "working"
    assert len(uploads(app)) == 1


def test_a_batch_that_is_deleted_while_its_file_is_answered_leaves_nothing(
    app: Flask, mira: Person, kept: Kept, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sent(mira, {"a.jpg": picture()})
    explain = predictor.explain_all

    def meanwhile(*arguments: object, **options: object) -> Explanations:
        assert mira.post(f"/batches/{key}/delete", {"answers": "delete"}).status_code == 303
        return explain(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(predictor, "explain_all", meanwhile)
    assert answer_next(app)
    assert (kept.rows(), kept.files(), uploads(app)) == (0, [], [])


def test_a_file_that_is_being_answered_while_its_batch_is_paused_is_kept(
    app: Flask, mira: Person, kept: Kept, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sent(mira, {"a.jpg": picture(), "b.jpg": picture()})
    explain = predictor.explain_all

    def meanwhile(*arguments: object, **options: object) -> Explanations:
        assert mira.post(f"/batches/{key}/pause").status_code == 303
        return explain(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(predictor, "explain_all", meanwhile)
    assert answer_all(app) == 1
    assert [item.state for item in items(app, key)] == ["done", "waiting"]
    assert kept.rows() == 1


def test_a_file_that_was_found_before_its_batch_was_paused_is_not_claimed(
    app: Flask, mira: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sent(mira, {"a.jpg": picture()})
    with app.app_context():
        found = batch_worker._candidates()
        db.session.rollback()
    assert mira.post(f"/batches/{key}/pause").status_code == 303
    monkeypatch.setattr(batch_worker, "_candidates", lambda: found)
    assert not answer_next(app)
    assert items(app, key)[0].state == "waiting"


def test_several_processes_answer_each_file_once(make_app: Callable[..., Flask]) -> None:
    apps = [make_app() for _ in range(3)]
    mira = Person(apps[0])
    mira.register()
    key = sent(mira, {f"{number}.jpg": picture(32, 32) for number in range(9)})
    counts: list[int] = []
    threads = [threading.Thread(target=lambda app=app: counts.append(answer_all(app))) for app in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 9
    assert Kept(apps[0]).rows() == 9
    assert {item.state for item in items(apps[0], key)} == {"done"}
    assert batch_of(apps[0], key).finished_at is not None


def test_on_postgresql_too_each_file_is_answered_once(
    make_app: Callable[..., Flask],
) -> None:
    with empty_database() as url:
        apps = [make_app(DERM_DATABASE_URL=url) for _ in range(2)]
        try:
            mira = Person(apps[0])
            mira.register()
            key = sent(mira, {f"{number}.jpg": picture(32, 32) for number in range(6)})
            threads = [threading.Thread(target=answer_all, args=[app]) for app in apps]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert Kept(apps[0]).rows() == 6
            assert {item.state for item in items(apps[0], key)} == {"done"}
            assert mira.get(f"/batches/{key}/progress").json["refer"] == 6
            assert mira.post(f"/batches/{key}/delete", {"answers": "delete"}).status_code == 303
            assert Kept(apps[0]).rows() == 0
        finally:
            for app in apps:
                close_connections(app)


def test_batches_take_turns(app: Flask, mira: Person, stranger: Person) -> None:
    long = sent(mira, {f"{number}.jpg": picture() for number in range(4)})
    short = sent(stranger, {"only.jpg": picture()})
    answer_next(app)
    answer_next(app)
    assert [item.state for item in items(app, short)] == ["done"]
    assert [item.state for item in items(app, long)].count("done") == 1


def test_the_threads_answer_by_themselves_and_stop_when_asked(app: Flask, mira: Person) -> None:
    worker: BatchWorker = app.extensions["batch_worker"]
    worker.start()
    try:
        key = sent(mira, {"a.jpg": picture(), "b.jpg": picture()})
        deadline = threading.Event()
        for _ in range(200):
            if batch_of(app, key).finished_at is not None:
                break
            deadline.wait(0.05)
    finally:
        worker.stop()
    assert {item.state for item in items(app, key)} == {"done"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batch-worker")]


def test_without_a_model_the_files_go_on_waiting(
    app: Flask, mira: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: object) -> None:
        raise BundleError("model.safetensors was altered.")

    key = sent(mira, {"a.jpg": picture()})
    monkeypatch.setitem(vars(derm_core), "load_predictor", fail)
    app.extensions["inference"] = Inference()
    with pytest.raises(ModelUnavailableError):
        answer_next(app)
    assert (items(app, key)[0].state, items(app, key)[0].attempts) == ("waiting", 0)


def test_an_unforeseen_fault_is_a_row_with_a_reason_and_not_the_end(
    app: Flask, mira: Person, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sent(mira, {"a.jpg": picture(), "b.jpg": picture()})
    explain = predictor.explain_all

    def once(*arguments: object, **options: object) -> Explanations:
        monkeypatch.setattr(predictor, "explain_all", explain)
        raise MemoryError

    monkeypatch.setattr(predictor, "explain_all", once)
    assert answer_all(app) == 2
    assert [item.state for item in items(app, key)] == ["failed", "done"]
    assert "Something broke on our side" in items(app, key)[0].error


def test_a_full_quota_is_the_reason(make_app: Callable[..., Flask]) -> None:
    app = make_app(DERM_QUOTA_MB=1)
    mira = Person(app)
    mira.register()
    key = sent(mira, {"a.jpg": picture()})
    mira.answered()
    with app.app_context():
        db.session.execute(db.text("UPDATE predictions SET bytes = 1000000"))
        db.session.commit()
    assert answer_all(app) == 1
    assert items(app, key)[0].error.startswith("Your pictures take all of the 1.0 MB")


def test_the_end_of_a_batch_that_a_killed_server_did_not_note_is_noted_later(
    app: Flask, mira: Person
) -> None:
    key = sent(mira, {"a.jpg": picture()})
    set_items(app, state="failed", error="Not a picture.")
    assert not answer_next(app)
    assert batch_of(app, key).finished_at is not None
