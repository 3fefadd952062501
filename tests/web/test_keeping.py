"""Rows and files agree, whatever fails in between."""

from __future__ import annotations

import errno
import io
import sqlite3
import time

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.web.conftest import Kept, Person
from tests.web.fakes import picture
from web.answering import sweep_pictures


def test_where_the_commit_fails_no_file_stays(
    mira: Person, kept: Kept, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    token = mira.token()
    monkeypatch.setattr(Session, "commit", _fail)
    response = mira.client.post(
        "/new", data={"csrf_token": token, "picture": (io.BytesIO(picture()), "a.jpg")}, buffered=True
    )
    monkeypatch.undo()
    assert response.status_code == 500
    assert "What you sent may not have been kept" in response.text
    assert (kept.rows(), kept.files()) == (0, [])


def test_where_the_commit_went_through_but_was_not_confirmed_the_files_stay(
    mira: Person, kept: Kept, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    token = mira.token()
    commit = Session.commit

    def lose_the_connection(session: Session) -> None:
        commit(session)
        raise OSError("connection lost")

    monkeypatch.setattr(Session, "commit", lose_the_connection)
    response = mira.client.post(
        "/new", data={"csrf_token": token, "picture": (io.BytesIO(picture()), "a.jpg")}, buffered=True
    )
    monkeypatch.undo()
    assert response.status_code == 500
    assert kept.rows() == 1
    assert len(kept.files()) == 9


@pytest.mark.parametrize(
    "fault",
    [OSError(errno.ENOSPC, "No space left on device"), sqlite3.OperationalError("database or disk is full")],
    ids=["files", "database"],
)
def test_a_full_disk_is_said_and_leaves_nothing(
    fault: Exception,
    mira: Person,
    kept: Kept,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        if isinstance(fault, OSError):
            raise fault
        fault.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise OperationalError("INSERT", {}, fault)

    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    where = "web.storage.os.fsync" if isinstance(fault, OSError) else "sqlalchemy.orm.Session.flush"
    token = mira.token()
    monkeypatch.setattr(where, fail)
    response = mira.client.post(
        "/new", data={"csrf_token": token, "picture": (io.BytesIO(picture()), "a.jpg")}, buffered=True
    )
    monkeypatch.undo()
    assert response.status_code == 507
    assert "The server&#39;s disk is full" in response.text
    assert "could not be kept" in caplog.text
    assert "Traceback" not in caplog.text
    assert (kept.rows(), kept.files()) == (0, [])


def test_where_the_disk_fails_no_row_and_no_file_stays(
    mira: Person, kept: Kept, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    monkeypatch.setattr("web.storage.os.fsync", _fail)
    assert mira.upload().status_code == 500
    monkeypatch.undo()
    assert (kept.rows(), kept.files()) == (0, [])


def _fail(*_: object) -> None:
    raise OSError("No space left on device")


def test_the_sweep_removes_files_without_a_row_and_nothing_else(
    mira: Person, kept: Kept, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = mira.answered()
    with app.app_context():
        orphan = app.extensions["pictures"].folder("0" * 32)
    orphan.mkdir(parents=True)
    (orphan / "photo.jpg").write_bytes(b"left by a killed server")
    assert sweep_pictures(app) == 0
    two_hours_later = time.time() + 7200
    monkeypatch.setattr("web.storage.time.time", lambda: two_hours_later)
    assert sweep_pictures(app) == 1
    assert {path.parent.name for path in kept.files()} == {key}


def test_a_picture_whose_files_are_gone_is_a_plain_404(mira: Person, kept: Kept, app: Flask) -> None:
    key = mira.answered()
    with app.app_context():
        app.extensions["pictures"].delete(key)
    assert mira.get(f"/answers/{key}/photo").status_code == 404
    assert mira.get(f"/answers/{key}").status_code == 200
