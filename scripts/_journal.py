"""The rows of a run that writes a file: kept as they come, so that a run that was killed can be continued.

They grow in `OUT.partial` beside OUT: a line that says whose answers these are, then a line of JSON a row, whatever OUT
will be. At the end OUT is written from them in one step, and they are removed. What a kill leaves of a last line is
cut off by the run that continues.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from derm_core.errors import ConfigError
from derm_core.serving.answer_journal import (
    About,
    AnswerJournal,
    has_begun,
    journal_rows,
    open_answer_journal,
    row_of_line,
    write_rows,
)
from derm_core.serving.answer_rows import Row


def partial_of(out: Path) -> Path:
    """Returns where the rows of OUT grow."""
    return out.with_name(f"{out.name}.partial")


@contextmanager
def open_journal(out: Path, about: About, *, resume: bool) -> Iterator[AnswerJournal]:
    """Gives the journal of OUT; when the block ends without an error, OUT is written and the journal removed.

    After an error it stays where it holds rows, to be continued, and a line on standard error says so.

    Args:
        out: ends in .csv or .jsonl.
        about: what all rows share; `columns` are those of OUT.
        resume: go on with the rows that an earlier run left, or with those of an OUT that is there.

    Raises:
        ConfigError: those rows are of another model or other options.
    """
    path, columns = partial_of(out), list(about["columns"])
    going_on = resume and has_begun(path)
    with open_answer_journal(path, about, go_on=going_on) as journal:
        try:
            if resume and not going_on and out.exists():
                journal.take_over(rows_of(out, columns))
            yield journal
            write_rows(out, (row for _, row in journal_rows(path)), columns)
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
            rows = (row for line in lines if (row := row_of_line(line.encode())) is not None)
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
