"""What the server writes down, and what it never does."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.web.conftest import Person
from web.logs import REQUEST_ID, JsonFormatter, PlainFormatter, configure_logs


class Lines(logging.Handler):
    """Keeps what is logged, as the server would write it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(JsonFormatter())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]


@pytest.fixture
def lines() -> Iterator[Lines]:
    logger = logging.getLogger("web")
    level, handler = logger.level, Lines()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_every_request_is_one_line_with_its_number(mira: Person, lines: Lines) -> None:
    response = mira.get("/history")
    (line,) = lines.records
    assert (line["endpoint"], line["method"], line["status"]) == ("predictions.history", "GET", 200)
    assert line["request"] == response.headers[REQUEST_ID]
    assert line["seconds"] >= 0
    assert line["level"] == "info"
    assert mira.get("/history").headers[REQUEST_ID] != response.headers[REQUEST_ID]


def test_a_client_cannot_choose_the_number(mira: Person) -> None:
    response = mira.get("/history", headers={REQUEST_ID: "mine"})
    assert response.headers[REQUEST_ID] != "mine"


def test_no_line_names_a_person_a_picture_or_an_address(mira: Person, lines: Lines) -> None:
    key = mira.answered(note="private note")
    mira.get(f"/answers/{key}?class=mel")
    mira.get("/nothing/private-path?q=private")
    mira.logout()
    mira.login("wrong password")
    mira.login()
    text = "\n".join(lines.texts)
    assert len(lines.texts) > 5
    for word in (key, "private", "clinic.org", "Mira", "wrong password", "127.0.0.1"):
        assert word not in text


def test_signs_of_life_are_not_logged(mira: Person, lines: Lines) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/static/icons.svg"):
        mira.get(path)
    assert lines.texts == []


def test_a_fault_is_logged_with_its_traceback_and_without_the_path(
    app: Flask, mira: Person, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)

    def fail(**_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setitem(app.view_functions, "predictions.answer", fail)
    response = mira.get(f"/answers/{'0' * 32}")
    assert response.status_code == 500
    line = next(line for line in lines.records if line["level"] == "error")
    assert "RuntimeError: a fault" in line["traceback"]
    assert (line["endpoint"], line["request"]) == ("predictions.answer", response.headers[REQUEST_ID])
    assert "0" * 32 not in "\n".join(lines.texts)


@pytest.fixture
def untouched_root() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("web")
    handlers, level, own_level = root.handlers[:], root.level, own.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    own.setLevel(own_level)


@pytest.mark.usefixtures("untouched_root")
def test_lines_are_json_where_nobody_sits_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs("")
    logging.getLogger("web.batch_worker").info("%d files", 3, extra={"fields": {"seconds": 1}})
    logging.getLogger("elsewhere").info("of no interest")
    line = json.loads(stream.getvalue())
    assert (line["message"], line["seconds"], line["logger"]) == ("3 files", 1, "web.batch_worker")
    assert "request" not in line


def test_a_plain_line_is_for_people() -> None:
    record = logging.LogRecord("web", logging.WARNING, "", 0, "Removed %d pictures", (2,), None)
    record.fields = {"seconds": 1}
    assert PlainFormatter().format(record)[9:] == "warning Removed 2 pictures seconds=1"
