"""The rows of a long run, kept as they come, so that a run that was stopped or killed can be continued.

A journal is one file: a line that says whose answers these are, then a line of JSON a row. What a kill leaves of a last
line is cut off by the run that continues. Asks no model.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from derm_core.errors import ConfigError
from derm_core.serving.answer_rows import CsvWriter, JsonLinesWriter, Row, printable

About = Mapping[str, Any]
"""What all rows of a run share: columns, model and options, in plain values."""


class AnswerJournal:
    """The rows of one run; `open_answer_journal` makes it.

    Attributes:
        about: what all rows share.
        done: of each file, how many rows of it there are.
        first: the first row that has an answer; None where there is none.
        unread: the files that have a row without an answer.
        grown: whether rows were written, beside those from before.
    """

    def __init__(self, stream: BinaryIO, about: About) -> None:
        self._stream = stream
        self.about = about
        self.done: Counter[str] = Counter()
        self.first: Row | None = None
        self.unread: set[str] = set()
        self.grown = False

    def write(self, row: Row) -> int:
        """Keeps a row; from now on only the machine's own end can take it away.

        Returns its place in the file, for `row_at`.
        """
        place = self._stream.tell()
        self._stream.write(_line(row))
        self._stream.flush()
        self._count(row)
        self.grown = True
        return place

    def is_done(self, file: Path) -> bool:
        """Whether a file has a row."""
        return self.done[printable(str(file))] > 0

    def take_over(self, rows: Iterable[Row]) -> None:
        """Keeps rows that an earlier run had written."""
        for row in rows:
            self._stream.write(_line(row))
            self._count(row)
        self._stream.flush()

    def cut_off(self) -> None:
        """Reads what is there, and cuts off what comes after the last whole row."""
        self._stream.seek(0)
        end = len(self._stream.readline())
        for line in self._stream:
            row = row_of_line(line)
            if row is None:
                break
            self._count(row)
            end += len(line)
        self._stream.seek(end)
        self._stream.truncate()

    def _count(self, row: Row) -> None:
        self.done[row["file"]] += 1
        if row["error"]:
            self.unread.add(row["file"])
        elif self.first is None:
            self.first = row


@contextmanager
def open_answer_journal(path: Path, about: About, *, go_on: bool) -> Iterator[AnswerJournal]:
    """Gives the journal at a path; whatever happens within, the rows stay there.

    Args:
        path: its file; one that is there is replaced, unless it is gone on with.
        about: what all rows share; `columns` are those of a row.
        go_on: keep the rows that are there.

    Raises:
        ConfigError: they are of another model or other options, or of no run at all.
    """
    if go_on:
        _check_about(path, about)
    with path.open("r+b" if go_on else "w+b") as stream:
        journal = AnswerJournal(stream, about)
        if go_on:
            journal.cut_off()
        else:
            stream.write(_line(about))
            stream.flush()
        yield journal


def has_begun(path: Path) -> bool:
    """Whether a run left at least a whole first line."""
    if not path.exists():
        return False
    with path.open("rb") as stream:
        return stream.readline().endswith(b"\n")


def journal_about(path: Path) -> dict[str, Any] | None:
    """Returns what all rows of a journal share; None where it is none."""
    try:
        with path.open("rb") as stream:
            return row_of_line(stream.readline())
    except OSError:
        return None


def journal_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yields the whole rows of a journal with their places, in the order in which they were written."""
    with path.open("rb") as stream:
        place = len(stream.readline())
        for line in stream:
            row = row_of_line(line)
            if row is None:
                return
            yield place, row
            place += len(line)


def rows_at(path: Path, places: Iterable[int]) -> list[Row]:
    """Returns the rows that start at these places of a journal, in the order of the places given."""
    rows = []
    with path.open("rb") as stream:
        for place in places:
            stream.seek(place)
            rows.append(json.loads(stream.readline()))
    return rows


def write_rows(out: Path, rows: Iterable[Row], columns: list[str]) -> None:
    """Writes rows as CSV, or as JSON lines where OUT ends in .jsonl, whole or not at all; holds one row at a time."""
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".new", dir=out.absolute().parent)
    growing = Path(name)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:
            writer = CsvWriter(stream, columns) if out.suffix == ".csv" else JsonLinesWriter(stream)
            for row in rows:
                writer.write(row)
            stream.flush()
            os.fsync(stream.fileno())
        growing.chmod(0o644)
        os.replace(growing, out)
    except BaseException:
        growing.unlink(missing_ok=True)
        raise


def row_of_line(line: bytes) -> Row | None:
    """Returns what a whole line holds, None for one that was cut short."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _check_about(path: Path, about: About) -> None:
    found = journal_about(path)
    if found != json.loads(_line(about)):
        different = sorted(
            name for name in about if not isinstance(found, dict) or found.get(name) != about[name]
        )
        raise ConfigError(
            f"{path} was left by another run: {', '.join(different) or 'its contents'} differ. "
            "Repeat that run as it was, or start anew."
        )


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n"
