"""SQLite, where several come at once."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from web.database import _prepare_sqlite


def test_many_that_open_a_new_database_at_once_all_get_in(tmp_path: Path) -> None:
    refused: list[Exception] = []

    def open_and_write(path: Path) -> None:
        try:
            connection = sqlite3.connect(path)
            _prepare_sqlite(connection, None)
            connection.execute("CREATE TABLE IF NOT EXISTS rows (id)")
            connection.commit()
            connection.close()
        except sqlite3.Error as err:
            refused.append(err)

    for number in range(40):
        path = tmp_path / f"{number}.sqlite3"
        threads = [threading.Thread(target=open_and_write, args=[path]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert refused == []
