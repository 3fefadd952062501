"""A scanner's command that is asked about every upload."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from tests.web.conftest import Kept, Person
from tests.web.fakes import FakePredictor, picture
from tests.web.test_batches import answer_all, items, sent
from web.batch_uploads import waiting_uploads

SCANNER = """
import pathlib, sys
seen = pathlib.Path(sys.argv[-1]).read_bytes()
print(f"looked at {len(seen)} bytes")
sys.exit(1 if b"EICAR" in seen else 0)
"""
INFECTED = picture() + b"EICAR"
"""A picture that decodes; only the scanner finds fault with it."""


@pytest.fixture
def scanned(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    script = tmp_path / "scanner.py"
    script.write_text(SCANNER)
    return make_app(DERM_SCAN_COMMAND=f"{sys.executable} {script}")


def test_what_the_command_refuses_is_not_kept_and_gets_one_sentence(
    scanned: Flask, predictor: FakePredictor
) -> None:
    mira, kept = Person(scanned), Kept(scanned)
    mira.register()
    response = mira.upload(INFECTED)
    assert response.status_code == 400
    assert "The virus scanner of this server refuses this file." in response.text
    assert (kept.rows(), kept.files(), predictor.seen) == (0, [], [])
    with scanned.app_context():
        assert list(waiting_uploads().root.iterdir()) == []
    assert mira.upload().status_code == 303
    with scanned.app_context():
        assert list(waiting_uploads().root.iterdir()) == []


def test_a_file_of_a_batch_that_the_command_refuses_is_a_row_with_its_reason(scanned: Flask) -> None:
    mira = Person(scanned)
    mira.register()
    key = sent(mira, {"good.jpg": picture(), "bad.jpg": INFECTED})
    answer_all(scanned)
    found = {item.name: (item.state, item.error) for item in items(scanned, key)}
    assert found["good.jpg"] == ("done", "")
    assert found["bad.jpg"][0] == "failed"
    assert "virus scanner" in found["bad.jpg"][1]


def test_without_a_command_nothing_is_run(mira: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.scanning.subprocess.run", lambda *given, **named: pytest.fail("was run"))
    assert mira.upload(INFECTED).status_code == 303


def test_a_command_that_does_not_end_refuses_too(scanned: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.scanning._LONGEST_SECONDS", 0.001)
    mira = Person(scanned)
    mira.register()
    response = mira.upload()
    assert response.status_code == 400
    assert "could not have this file scanned" in response.text
    assert Kept(scanned).rows() == 0
