"""A file that one holds at a time: others wait, are told, and get it in the end."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from derm_core.file_lock import hold_file


def test_who_does_not_get_it_in_time_is_told_and_the_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "held"
    path.write_text("content")
    with hold_file(path, patience=0.0):
        with pytest.raises(TimeoutError, match=r"Another process holds .*held\. Wait for it to end"):
            hold_file(path, patience=0.05).__enter__()
        assert path.read_text() == "content"
    with hold_file(path, patience=0.0):
        assert path.read_text() == "content"


def test_who_waits_gets_it_when_it_is_free(tmp_path: Path) -> None:
    order: list[str] = []

    def wait() -> None:
        with hold_file(tmp_path / "held", patience=60.0):
            order.append("second")

    with hold_file(tmp_path / "held", patience=0.0):
        thread = threading.Thread(target=wait)
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_it_is_free_where_its_holder_was_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from derm_core.file_lock import hold_file\n"
        "with hold_file(Path(sys.argv[1]), patience=0.0): os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "held")], check=False)
    assert done.returncode == 9
    with hold_file(tmp_path / "held", patience=0.0):
        pass
