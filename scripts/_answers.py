"""Answers as rows: CSV and JSON lines for programs, a table for people. Asks no model."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from derm_core.diagnoses import NOTICE, get_diagnosis
from derm_core.errors import InvalidImageError

if TYPE_CHECKING:
    from derm_core.serving.bundle import BundleDescription
    from derm_core.serving.prediction import Prediction

ADVICE_WORDS = {"refer": "Refer", "routine": "Routine", "unsure": "No answer"}

Row = dict[str, Any]


class RowWriter(Protocol):
    """Takes rows one by one, as they come."""

    def write(self, row: Row) -> None: ...


def columns(classes: Sequence[str], *, with_context: bool) -> list[str]:
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


def row_of(
    file: Path, answer: Prediction | InvalidImageError, classes: Sequence[str], *, with_context: bool
) -> Row:
    """Returns the plain values of a row; None stands for what an unreadable picture does not have."""
    row: Row = dict.fromkeys(columns(classes, with_context=with_context))
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
    """Writes the bytes of a file name that are no UTF-8 as escapes: such a name must not end the run."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def writer_to_stdout(description: BundleDescription, *, with_context: bool) -> RowWriter:
    """Returns what prints rows: a table on a terminal, CSV elsewhere; the heading is printed at once."""
    if sys.stdout.isatty():
        print(heading(description, with_context=with_context))
        return TableWriter(sys.stdout)
    return CsvWriter(sys.stdout, columns(description.classes, with_context=with_context))


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


def heading(description: BundleDescription, *, with_context: bool) -> str:
    """Returns what stands over a table: whose answers these are, and from where on the advice is to refer."""
    point, moved = description.operating_point, description.context_operating_point
    where = f"{percent(point.threshold)} on ({point.name})"
    if with_context and description.context is not None and moved.threshold != point.threshold:
        where = f"{percent(point.threshold)} on, or {percent(moved.threshold)} where something is known of the patient"
        where += f" ({point.name})"
    return (
        f"{description.name} {description.version} · {NOTICE}\n"
        f"Advice is to refer from a risk of malignancy of {where}.\n"
    )


class TableWriter:
    """Rows for people: a line a picture."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._print("advice", "risk", "most probable", "", "picture")

    def write(self, row: Row) -> None:
        if row["error"]:
            self._print("Not read", "", row["error"], "", row["file"])
        elif row["advice"] == "unsure":
            self._print(ADVICE_WORDS["unsure"], "", f"({', '.join(row['quality'])})", "", row["file"])
        else:
            top = row["top"]
            self._print(
                ADVICE_WORDS[row["advice"]],
                percent(row["malignant_probability"]),
                get_diagnosis(top).name,
                percent(row[f"p_{top}"]),
                row["file"],
            )

    def _print(self, advice: str, risk: str, answer: str, share: str, file: str) -> None:
        print(f"{advice:<9}  {risk:>4}  {answer:<22}  {share:>4}  {file}", file=self._stream, flush=True)


def percent(share: float) -> str:
    """Whole percents, "<1%" and ">99%" at the ends: nothing is certain."""
    if share < 0.01:
        return "<1%"
    return ">99%" if share > 0.99 else f"{100 * share:.0f}%"
