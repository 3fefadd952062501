"""Pages that belong to nobody: the way in, errors, icons, and the server's start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

import web
from derm_core import NOTICE
from tests.web.conftest import Person

ROOT = Path(web.__file__).parent
ESCAPED_NOTICE = NOTICE.replace("'", "&#39;")


def test_the_start_page_leads_visitors_in_and_users_to_work(visitor: Person, mira: Person) -> None:
    assert visitor.get("/").location == "/login"
    assert mira.get("/").location == "/new"


@pytest.mark.parametrize("path", ["/login", "/register", "/about", "/nothing"])
def test_the_notice_stands_on_every_page_of_a_visitor(visitor: Person, path: str) -> None:
    assert ESCAPED_NOTICE in visitor.get(path).text


def test_the_notice_stands_on_every_page_of_a_user(mira: Person) -> None:
    key = mira.answered()
    for path in (
        "/new",
        "/history",
        "/account",
        "/account/delete",
        f"/answers/{key}",
        f"/answers/{key}/delete",
    ):
        assert ESCAPED_NOTICE in mira.get(path).text, path


def test_the_page_of_how_it_works_tells_the_limits_that_are_set(
    make_app: Callable[..., Flask],
) -> None:
    page = Person(make_app(DERM_QUOTA_MB=1500, DERM_BATCH_MB=750, DERM_IDLE_MINUTES=20)).get("/about").text
    for words in ("up to 500 files with 750 MB", "up to 1,500 MB", "20 minutes without a request", "HEIC"):
        assert words in page, words
    for subject in ("Lesions and visits", "Batches", "Reviews and second opinions", "What is kept"):
        assert subject in page, subject
    assert "as much as the server has room for" in Person(make_app(DERM_QUOTA_MB=0)).get("/about").text


def test_a_missing_page_says_so_and_shows_the_way_back(mira: Person) -> None:
    response = mira.get("/nothing")
    assert response.status_code == 404
    assert "There is nothing here" in response.text
    assert 'href="/"' in response.text


def test_a_wrong_method_names_the_right_ones(mira: Person) -> None:
    response = mira.client.delete("/history", data={"csrf_token": mira.token()}, buffered=True)
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_an_error_page_asks_nothing_of_a_database_that_is_down(
    app: Flask, mira: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the database is down")

    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    monkeypatch.setattr("web.database.db.session.execute", fail)
    response = mira.get("/history")
    assert response.status_code == 500
    assert "Something broke on our side" in response.text
    assert "Traceback" not in response.text
    assert "Content-Security-Policy" in response.headers


def test_the_sign_of_life_needs_no_account(visitor: Person) -> None:
    assert visitor.get("/healthz").json == {"status": "ok", "model": "ready"}


def test_static_files_may_be_kept_for_good_because_their_address_has_their_hash(visitor: Person) -> None:
    addresses = re.findall(r'(?:href|src)="(/static/[^"#]+)', visitor.get("/login").text)
    assert len(addresses) > 8
    for address in addresses:
        response = visitor.get(address)
        assert response.status_code == 200
        assert re.search(r"\?v=[0-9a-f]{10}$", address)
        assert "max-age=31536000" in response.headers["Cache-Control"]


def test_every_icon_is_drawn_and_none_for_nothing() -> None:
    drawn = set(re.findall(r'symbol id="(\w+)"', (ROOT / "static" / "icons.svg").read_text("utf-8")))
    pages = "\n".join(path.read_text("utf-8") for path in (ROOT / "templates").rglob("*.html"))
    named = set(re.findall(r"icon\('(\w+)'\)", pages))
    assert named <= drawn
    assert {icon for icon in drawn if f"'{icon}'" not in pages} == set()


def test_limits_are_shown_as_they_are_set(make_app: Callable[..., Flask]) -> None:
    person = Person(make_app(MAX_CONTENT_LENGTH=5_000_000))
    person.register()
    text = person.get("/new").text
    assert "up to 5 MB" in text
    assert 'data-limit="5000000"' in text


def test_a_server_starts_on_an_empty_folder_and_answers_before_its_model_is_there(tmp_path: Path) -> None:
    code = (
        "from web.wsgi import app; client = app.test_client(); "
        "print(client.get('/healthz').json['status'], client.get('/login').status_code)"
    )
    environment = {
        **os.environ,
        "DERM_HOME": str(tmp_path / "home"),
        "DERM_MODEL": str(tmp_path / "no model"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["ok", "200"]
    assert {path.name for path in (tmp_path / "home").iterdir()} >= {
        "dermatrace.sqlite3",
        "images",
        "secret-key",
    }
