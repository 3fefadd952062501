"""Answers as rows of plain values, and rows as CSV and JSON lines. Asks no model and opens no file."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from derm_core.errors import InvalidImageError

if TYPE_CHECKING:
    from derm_core.serving.prediction import Prediction

Row = dict[str, Any]


def answer_columns(classes: Sequence[str], *, with_context: bool = False) -> list[str]:
    """Returns the columns in order: the agreed ones, what is plausible, and what of a context moved the answer."""
    return [
        "file",
        "top",
        "malignant_probability",
        "advice",
        "quality",
        *(f"p_{code}" for code in classes),
        "seconds",
        "error",
        "plausible",
        *(["context"] if with_context else []),
    ]


def answer_row(
    file: Path, answer: Prediction | InvalidImageError, classes: Sequence[str], *, with_context: bool = False
) -> Row:
    """Returns the plain values of a row; None stands for what an unreadable picture does not have."""
    row: Row = dict.fromkeys(answer_columns(classes, with_context=with_context))
    row["file"] = printable(str(file))
    if isinstance(answer, InvalidImageError):
        row["error"] = printable(str(answer))
        return row
    row |= {
        "top": answer.top,
        "malignant_probability": answer.malignant_probability,
        "advice": answer.advice,
        "quality": [flag.name for flag in answer.quality],
        "plausible": list(answer.plausible),
        "seconds": round(answer.seconds, 4),
    }
    if with_context:
        row["context"] = list(answer.context)
    return row | {f"p_{code}": probability for code, probability in answer.probabilities.items()}


def printable(text: str) -> str:
    """Writes the bytes of a file name that are no UTF-8 as escapes: such a name must not end a run."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class CsvWriter:
    """Rows as CSV with a header; what is a list is joined by semicolons."""

    def __init__(self, stream: TextIO, names: Sequence[str]) -> None:
        self._writer = csv.DictWriter(stream, names, lineterminator="\n")
        self._writer.writeheader()

    def write(self, row: Row) -> None:
        self._writer.writerow(
            {name: ";".join(value) if isinstance(value, list) else value for name, value in row.items()}
        )


class JsonLinesWriter:
    """Rows as JSON, one object a line; `quality`, `plausible` and `context` are lists, and what is missing is null."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: Row) -> None:
        self._stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
