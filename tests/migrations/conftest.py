"""An app on an empty database, once on SQLite and once on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask

from tests.web.fakes import FakePredictor
from tests.web.postgres import empty_database
from web import create_app
from web.database import db


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The website before any migration."""
    with ExitStack() as stack:
        config = {"DERM_HOME": tmp_path / "home"}
        if request.param == "postgresql":
            config["DERM_DATABASE_URL"] = stack.enter_context(empty_database())
        made = create_app(config, FakePredictor())
        with made.app_context():
            yield made
            db.session.remove()
            db.engine.dispose()
