"""The website as a command line reaches it: its database and its home, without serving. Starts no thread."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from derm_core.errors import ConfigError
from web import create_app
from web.database import db


def existing_site() -> Flask:
    """Returns the website that DERM_HOME and DERM_DATABASE_URL name; raises ConfigError where there is none."""
    app = create_app()
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"])
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise ConfigError(
            f"There is no database at {url.database}. Set DERM_HOME to the folder that the server uses."
        )
    return _connected(app)


def new_site() -> Flask:
    """Returns the website on whatever DERM_HOME and DERM_DATABASE_URL name, be it empty."""
    return _connected(create_app())


def _connected(app: Flask) -> Flask:
    try:
        with app.app_context(), db.engine.connect():
            return app
    except OperationalError as err:
        raise ConfigError(
            f"The database cannot be used: {err.orig} Check DERM_DATABASE_URL and DERM_HOME."
        ) from err
