"""The website on a database and a folder of its own, a fake predictor, and people who use it."""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

import derm_core
from tests.web.fakes import FakePredictor, fake_explanation, fake_methods, picture
from tests.web.postgres import copied_database, empty_database
from web import create_app
from web.answering import store
from web.database import db, upgrade_database
from web.models import Prediction, User

PASSWORD = "correct horse battery"
CHEAP_ARGON2 = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}


class Person:
    """Somebody with a browser: sends forms with the token of the page they stand on."""

    def __init__(self, app: Flask, email: str = "mira@clinic.org", name: str = "Dr Mira Aydin") -> None:
        self.app, self.email, self.name = app, email, name
        self.client: FlaskClient = app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, buffered=True, **options)

    def token(self) -> str:
        """The CSRF token of this session: every page of somebody who is signed in has one, and so has the door."""
        for page in ("/about", "/login"):
            if found := re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(page).text):
                return found[1]
        raise AssertionError("no page has a token")

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        sent = {"csrf_token": self.token(), **(data or {})}
        return self.client.post(path, data=sent, buffered=True, **options)

    def register(self, password: str = PASSWORD) -> TestResponse:
        return self.post("/register", {"name": self.name, "email": self.email, "password": password})

    def login(self, password: str = PASSWORD, **options: Any) -> TestResponse:
        return self.post("/login", {"email": self.email, "password": password}, **options)

    def logout(self) -> TestResponse:
        return self.post("/logout")

    def becomes(self, role: str) -> None:
        """Gives the person's account this role."""
        with self.app.app_context():
            db.session.execute(update(User).where(User.email == self.email).values(role=role))
            db.session.commit()

    def upload(
        self,
        content: bytes | None = None,
        *,
        name: str = "IMG_0001.jpg",
        field: str = "picture",
        note: str = "",
        **patient: str,
    ) -> TestResponse:
        stream = io.BytesIO(picture() if content is None else content)
        sent = {field: (stream, name), "note": note, **patient}
        return self.post("/new", sent, content_type="multipart/form-data")

    def answered(self, content: bytes | None = None, **fields: str) -> str:
        """Uploads a picture, with a note and what is known of the patient, and returns the key of its answer."""
        response = self.upload(content, **fields)
        assert response.status_code == 303, response.text
        return response.location.rpartition("/")[2]


@pytest.fixture(autouse=True)
def other_explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake predictor has no network that could be explained otherwise."""
    monkeypatch.setitem(vars(derm_core), "explanation_methods", fake_methods)
    monkeypatch.setitem(vars(derm_core), "explain_by", fake_explanation)


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file at head, to be copied: migrating anew for every test would take most of the time."""
    home = tmp_path_factory.mktemp("migrated")
    app = create_app({"DERM_HOME": home}, FakePredictor())
    upgrade_database(app)
    close_connections(app)
    return home / "dermatrace.sqlite3"


@pytest.fixture(scope="session")
def migrated_postgres() -> Iterator[str]:
    """The name of a database at head on a real PostgreSQL, to be copied like the file."""
    with empty_database() as address:
        app = create_app({"DERM_HOME": tempfile.mkdtemp(), "DERM_DATABASE_URL": address}, FakePredictor())
        upgrade_database(app)
        close_connections(app)
        shutil.rmtree(app.config["DERM_HOME"])
        yield psycopg.conninfo.conninfo_to_dict(address)["dbname"]


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A database at head of this test's own, as a setting: SQLite, or what DERM_TEST_DATABASE names."""
    kind = os.environ.get("DERM_TEST_DATABASE", "sqlite")
    (tmp_path / "home").mkdir()
    if kind == "postgresql":
        with copied_database(request.getfixturevalue("migrated_postgres")) as address:
            yield {"DERM_DATABASE_URL": address}
    else:
        assert kind == "sqlite", f"DERM_TEST_DATABASE is {kind!r}; wanted: sqlite or postgresql"
        shutil.copy(request.getfixturevalue("migrated_database"), tmp_path / "home")
        yield {}


@pytest.fixture
def make_app(
    tmp_path: Path, predictor: FakePredictor, database: dict[str, str]
) -> Iterator[Callable[..., Flask]]:
    """Makes apps on one home folder; closes their connections afterwards."""
    made: list[Flask] = []

    def make(**config: Any) -> Flask:
        settings = {"DERM_HOME": tmp_path / "home", "ARGON2": CHEAP_ARGON2, "TESTING": True, **database}
        app = create_app({**settings, **config}, predictor)
        if "DERM_DATABASE_URL" in config:
            upgrade_database(app)
        made.append(app)
        return app

    yield make
    for app in made:
        close_connections(app)


def close_connections(app: Flask) -> None:
    """Leaves no connection of an app open."""
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def visitor(app: Flask) -> Person:
    """Somebody who is not signed in."""
    return Person(app)


@pytest.fixture
def mira(app: Flask) -> Person:
    """A signed-in user."""
    person = Person(app)
    assert person.register().status_code == 302
    return person


@pytest.fixture
def stranger(app: Flask) -> Person:
    """Another signed-in user."""
    person = Person(app, "other@clinic.org", "Olu Other")
    assert person.register().status_code == 302
    return person


@pytest.fixture
def clinician(app: Flask) -> Person:
    """A signed-in clinician."""
    person = Person(app, "karin@hospital.org", "Dr Karin Klein")
    assert person.register().status_code == 302
    person.becomes("clinician")
    return person


@pytest.fixture
def admin(app: Flask) -> Person:
    """A signed-in administrator."""
    person = Person(app, "root@hospital.org", "Ada Admin")
    assert person.register().status_code == 302
    person.becomes("admin")
    return person


class Kept:
    """What is on the disk and in the tables."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def rows(self) -> int:
        with self.app.app_context():
            return db.session.scalar(select(func.count()).select_from(Prediction)) or 0

    def files(self) -> list[Path]:
        with self.app.app_context():
            return sorted(path for path in store().root.rglob("*") if path.is_file())

    def row(self, key: str) -> Prediction:
        with self.app.app_context():
            return db.session.scalars(select(Prediction).where(Prediction.key == key)).one()

    def file(self, key: str, name: str) -> Path:
        with self.app.app_context():
            return store().path(key, name)


@pytest.fixture
def kept(app: Flask) -> Kept:
    return Kept(app)
