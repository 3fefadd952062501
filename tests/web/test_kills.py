"""A server that is killed at any moment, again and again: nothing that it acknowledged is lost, nothing is left behind.

KILLS in the environment says how often; few times tell little, and many take long.
"""

from __future__ import annotations

import http.client
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select

from tests.web.conftest import CHEAP_ARGON2, PASSWORD, Person, close_connections
from tests.web.fakes import FakePredictor, picture
from tests.web.test_batches import answer_all
from web import create_app
from web.answering import store, sweep_pictures
from web.batch_uploads import OPEN_STATES, sweep_uploads, waiting_uploads
from web.database import db, upgrade_database
from web.models import Batch, BatchItem, Prediction

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("KILLS", "3"))
BOUNDARY = "----photographs"
PICTURE = picture(64, 48)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")


@dataclass
class Client:
    """Somebody who keeps sending photographs and batches, and remembers what the server acknowledged."""

    port: int
    cookie: str
    token: str
    path: str
    field: str
    count: int
    acknowledged: list[str] = field(default_factory=list)
    fault: str = ""

    def run(self) -> None:
        while not self.fault:
            try:
                status, location = self._post(self.path, self.field, self.count)
            except (OSError, http.client.HTTPException):
                return  # The server is dead.
            if status == 303:
                self.acknowledged.append(location.rpartition("/")[2])
            else:
                self.fault = f"{self.path} was answered with {status}"

    def _post(self, path: str, field: str, count: int) -> tuple[int, str]:
        part = 'Content-Disposition: form-data; name="{}"{}\r\n\r\n'
        parts = [part.format("csrf_token", "").encode() + self.token.encode()]
        parts += [
            part.format(field, f'; filename="{number}.jpg"').encode() + PICTURE for number in range(count)
        ]
        body = b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY.encode(), content) for content in parts)
        body += b"--%s--\r\n" % BOUNDARY.encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Cookie": self.cookie, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read()
            return response.status, response.headers.get("Location", "")
        finally:
            connection.close()


@contextmanager
def server(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.web.killable", str(home)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def open_session(port: int) -> tuple[str, str]:
    """Signs in with an account that is made where it is not there yet; returns the cookie and a CSRF token."""
    cookie = ""

    def ask(method: str, path: str, **values: str) -> str:
        nonlocal cookie
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, urlencode(values), headers)
        response = connection.getresponse()
        page = response.read().decode()
        for given in response.headers.get_all("Set-Cookie") or []:
            cookie = given.partition(";")[0]
        connection.close()
        return page

    def token(page: str) -> str:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert found, page
        return found[1]

    account = {"email": "mira@clinic.org", "password": PASSWORD}
    ask("POST", "/register", name="Dr Mira Aydin", csrf_token=token(ask("GET", "/register")), **account)
    if "Sign out" not in ask("GET", "/about"):
        ask("POST", "/login", csrf_token=token(ask("GET", "/login")), **account)
    form_token = token(ask("GET", "/about"))  # which may renew the cookie
    return cookie, form_token


@pytest.fixture
def survivor(tmp_path: Path) -> Iterator[Flask]:
    """The site on the home folder of the killed servers; what it finds there is of any age."""
    config = {
        "DERM_HOME": tmp_path / "home",
        "ARGON2": CHEAP_ARGON2,
        "TESTING": True,
        "BATCH_CLAIM": timedelta(0),
        "BATCH_ATTEMPTS": 1000,
        "SWEEP_OLDER_THAN": timedelta(seconds=-1),
    }
    app = create_app(config, FakePredictor())
    upgrade_database(app)
    yield app
    close_connections(app)


def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(survivor: Flask, tmp_path: Path) -> None:
    rhythm = random.Random(7)
    answers: list[str] = []
    batches: list[str] = []
    for _ in range(KILLS):
        with server(tmp_path / "home") as (process, port):
            cookie, token = open_session(port)
            single = Client(port, cookie, token, "/new", "picture", 1)
            many = Client(port, cookie, token, "/batches", "files", 3)
            threads = [threading.Thread(target=client.run) for client in (single, many)]
            for thread in threads:
                thread.start()
            wanted, deadline = rhythm.randint(1, 6), time.monotonic() + 30
            while len(single.acknowledged) + len(many.acknowledged) < wanted and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(rhythm.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
            process.wait()
            for thread in threads:
                thread.join()
            assert not single.fault + many.fault
            answers += single.acknowledged
            batches += many.acknowledged

    sweep_pictures(survivor)
    sweep_uploads(survivor)
    assert_agreed(survivor)
    assert answers
    assert batches
    with survivor.app_context():
        assert set(answers) <= set(db.session.scalars(select(Prediction.key)))
        assert set(batches) <= set(db.session.scalars(select(Batch.key)))
    person = Person(survivor)
    person.login()
    for key in answers[-3:]:
        assert person.get(f"/answers/{key}").status_code == 200
        assert person.get(f"/answers/{key}/photo").status_code == 200

    answer_all(survivor)
    assert_agreed(survivor)
    with survivor.app_context():
        assert set(db.session.scalars(select(BatchItem.state))) <= {"done"}
        assert db.session.scalar(select(Batch.id).where(Batch.finished_at.is_(None))) is None
        assert waiting_uploads().keys() == []
    print(f"{KILLS} kills, {len(answers)} answers and {len(batches)} batches acknowledged, none lost")


def assert_agreed(app: Flask) -> None:
    """No row lacks its files, no file its row."""
    with app.app_context():
        rows = set(db.session.scalars(select(Prediction.key)))
        assert set(store().keys()) == rows
        assert all((store().folder(key) / "photo.jpg").stat().st_size for key in rows)
        assert list((store().root / "incoming").iterdir()) == []
        open_items = select(BatchItem.upload_key).where(BatchItem.state.in_(OPEN_STATES))
        assert set(waiting_uploads().keys()) == set(db.session.scalars(open_items))
        in_batches = list(
            db.session.scalars(select(BatchItem.prediction_id).where(BatchItem.state == "done"))
        )
        assert len(in_batches) == len(set(in_batches))
        assert None not in in_batches
        db.session.rollback()
