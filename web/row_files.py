"""The rows of all tables as lines of JSON: out of one database at one moment, and into another, of either kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Date, Engine, Table, func, inspect, select, text

from web.database import Base, UTCDateTime, migrate

SHORT_LIVED = ("idempotent_requests", "login_attempts", "user_sessions")
"""Tables that are not copied: a session that has been ended since must not come back with an old copy."""
_AT_ONCE = 500


def copied_tables() -> list[Table]:
    """Returns the tables that are copied, each after those that its rows point to."""
    return [table for table in Base.metadata.sorted_tables if table.name not in SHORT_LIVED]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Gives a connection that sees the database as it is now, whatever is written meanwhile; it holds nobody up."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        yield connection
        connection.rollback()


def revision_of(connection: Connection) -> str:
    """Returns which migration a database is at; empty where it has no tables."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.scalar(text("SELECT version_num FROM alembic_version")) or ""


def head_revision() -> str:
    """Returns the migration that this version works with; inside an application context."""
    return ScriptDirectory.from_config(migrate.get_config()).get_current_head() or ""


def write_rows(connection: Connection, table: Table, path: Path) -> int:
    """Writes the rows of a table, one a line, in the order of their numbers, and returns how many there are."""
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(select(table).order_by(table.c.id))
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            values = {name: _plain(value) for name, value in row._mapping.items()}
            file.write(json.dumps(values, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_rows(path: Path, table: Table) -> Iterator[dict[str, Any]]:
    """Yields the rows that write_rows wrote, ready to be inserted."""
    readers = {column.name: _reader(column) for column in table.columns}
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield {name: readers[name](value) for name, value in json.loads(line).items()}


def insert_rows(connection: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> int:
    """Inserts rows under the numbers that they have, has the next one count on from there, and returns how many."""
    count = 0
    while some := list(islice(rows, _AT_ONCE)):
        connection.execute(table.insert(), some)
        count += len(some)
    if count and connection.dialect.name == "postgresql":
        highest = select(func.max(table.c.id)).scalar_subquery()
        connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), highest)))
    return count


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def _reader(column: Column[Any]) -> Callable[[Any], Any]:
    read: Callable[[str], Any]
    if isinstance(column.type, UTCDateTime):
        read = datetime.fromisoformat
    elif isinstance(column.type, Date):
        read = date.fromisoformat
    else:
        return lambda value: value
    return lambda value: None if value is None else read(value)
