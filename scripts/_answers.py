"""Answers for people: a table on a terminal, CSV elsewhere. Asks no model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from derm_core.diagnoses import NOTICE, get_diagnosis
from derm_core.serving.answer_rows import CsvWriter, Row, answer_columns

if TYPE_CHECKING:
    from derm_core.serving.bundle import BundleDescription

ADVICE_WORDS = {"refer": "Refer", "routine": "Routine", "unsure": "No answer"}


class RowWriter(Protocol):
    """Takes rows one by one, as they come."""

    def write(self, row: Row) -> object: ...


def writer_to_stdout(description: BundleDescription, *, with_context: bool) -> RowWriter:
    """Returns what prints rows: a table on a terminal, CSV elsewhere; the heading is printed at once."""
    if sys.stdout.isatty():
        print(heading(description, with_context=with_context))
        return TableWriter(sys.stdout)
    return CsvWriter(sys.stdout, answer_columns(description.classes, with_context=with_context))


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
