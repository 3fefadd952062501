"""The rows of a run that writes a file: kept as they come, so that a run that was killed can be continued.

They grow in `OUT.partial` beside OUT: a line that says whose answers these are, then a line of JSON a row, whatever OUT
will be. At the end OUT is written from them in one step, and they are removed. What a kill leaves of a last line is
cut off by the run that continues.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from _answers import CsvWriter, JsonLinesWriter, Row

from derm_core.errors import ConfigError

About = Mapping[str, Any]
"""What all rows of a run share: columns, model and options, in plain values."""


class Journal:
    """The rows of one run.

    Attributes:
        done: of each file, how many rows of it there are.
        first: the first row that has an answer; None where there is none.
        grown: whether rows were written, beside those from before.
    """

    def __init__(self, out: Path, stream: BinaryIO, columns: list[str]) -> None:
        self._out, self._stream, self._columns = out, stream, columns
        self.done: Counter[str] = Counter()
        self.first: Row | None = None
        self.grown = False

    def write(self, row: Row) -> None:
        """Keeps a row; from now on only the machine's own end can take it away."""
        self._stream.write(_line(row))
        self._stream.flush()
        self._count(row)
        self.grown = True

    def take_over(self, rows: Iterator[Row]) -> None:
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
            row = _row_of(line)
            if row is None:
                break
            self._count(row)
            end += len(line)
        self._stream.seek(end)
        self._stream.truncate()

    def finish(self) -> None:
        """Writes OUT, whole or not at all."""
        self._stream.seek(0)
        self._stream.readline()
        handle, name = tempfile.mkstemp(
            prefix=f".{self._out.name}.", suffix=".new", dir=self._out.absolute().parent
        )
        growing = Path(name)
        try:
            with open(handle, "w", encoding="utf-8", newline="") as stream:
                writer = (
                    CsvWriter(stream, self._columns)
                    if self._out.suffix == ".csv"
                    else JsonLinesWriter(stream)
                )
                for line in self._stream:
                    writer.write(json.loads(line))
                stream.flush()
                os.fsync(stream.fileno())
            growing.chmod(0o644)
            os.replace(growing, self._out)
        except BaseException:
            growing.unlink(missing_ok=True)
            raise

    def _count(self, row: Row) -> None:
        self.done[row["file"]] += 1
        if self.first is None and not row["error"]:
            self.first = row


def partial_of(out: Path) -> Path:
    """Returns where the rows of OUT grow."""
    return out.with_name(f"{out.name}.partial")


@contextmanager
def open_journal(out: Path, about: About, *, resume: bool) -> Iterator[Journal]:
    """Gives the journal of OUT; when the block ends without an error, OUT is written and the journal removed.

    After an error it stays where it holds rows, to be continued, and a line on standard error says so.

    Args:
        out: ends in .csv or .jsonl.
        about: what all rows share; `columns` are those of OUT.
        resume: go on with the rows that an earlier run left, or with those of an OUT that is there.

    Raises:
        ConfigError: those rows are of another model or other options.
    """
    path = partial_of(out)
    going_on = resume and _has_begun(path)
    if going_on:
        _check_about(path, about)
    with path.open("r+b" if going_on else "w+b") as stream:
        journal = Journal(out, stream, list(about["columns"]))
        try:
            if going_on:
                journal.cut_off()
            else:
                stream.write(_line(about))
                stream.flush()
                if resume and out.exists():
                    journal.take_over(rows_of(out, list(about["columns"])))
            yield journal
            journal.finish()
        except BaseException:
            if journal.grown:
                print(f"The rows so far are in {path}. Add --resume to go on with them.", file=sys.stderr)
            elif not going_on:
                path.unlink()
            raise
    path.unlink()


def rows_of(out: Path, columns: list[str]) -> Iterator[Row]:
    """Yields the rows of an OUT, but for a last line that was cut short; cells of a CSV as they stand there.

    Raises:
        ConfigError: it has other columns.
    """
    with out.open("rb") as stream:
        lines = (line.decode("utf-8", "replace") for line in stream if line.endswith(b"\n"))
        if out.suffix == ".csv":
            reader = csv.reader(lines, strict=True)
            header = next(reader, [])
            rows: Iterator[Row] = (dict(zip(header, cells, strict=False)) for cells in _whole(reader))
        else:
            rows = (row for line in lines if (row := _row_of(line.encode())) is not None)
        for row in rows:
            if list(row) != columns:
                raise ConfigError(
                    f"--out {out} has other columns than this run. Name another file, or add --overwrite."
                )
            yield row


def _whole(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yields rows up to one that ends within quotes."""
    try:
        yield from reader
    except csv.Error:
        return


def _has_begun(path: Path) -> bool:
    """Whether a run left at least a whole first line."""
    if not path.exists():
        return False
    with path.open("rb") as stream:
        return stream.readline().endswith(b"\n")


def _check_about(path: Path, about: About) -> None:
    with path.open("rb") as stream:
        found = _row_of(stream.readline())
    if found != json.loads(_line(about)):
        different = sorted(
            name for name in about if not isinstance(found, dict) or found.get(name) != about[name]
        )
        raise ConfigError(
            f"{path} was left by another run: {', '.join(different) or 'its contents'} differ. "
            "Repeat the command that was ended early, or add --overwrite to start anew."
        )


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _row_of(line: bytes) -> Row | None:
    """Returns what a whole line holds, None for one that was cut short."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
