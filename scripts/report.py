#!/usr/bin/env python3
"""Gathers the records of runs into one table and draws them, as PNG, SVG and one page that works offline."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from _cli import CommandParser, progress, run_command


def main() -> None:
    """Parses the arguments, then writes the report."""
    arguments = parse_arguments()

    from derm_core.data.table import load_dataset
    from derm_core.experiments.report import write_report

    report = write_report(
        arguments.runs,
        arguments.out,
        dataset=None if arguments.data is None else load_dataset(arguments.data),
        split=arguments.split,
        bootstrap=arguments.bootstrap,
        command=command_of(arguments),
        progress=_show,
    )
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    print(
        f"{report.page}: {len(report.figures)} figures, also as PNG and SVG in {report.folder / 'figures'}."
    )


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder of train.py")
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="where the report goes; replaces an earlier one",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DATASET",
        help="the dataset folder that the runs were trained on, for the figures that need photographs: curves, "
        "reliability, diagnoses, subgroups, samples",
    )
    parser.add_argument("--split", help="which of its photographs (default: each run's validation split)")
    parser.add_argument(
        "--bootstrap",
        type=_positive,
        default=1000,
        metavar="N",
        help="sets of lesions drawn for the intervals (default: %(default)s)",
    )
    arguments = parser.parse_args()
    if arguments.split is not None and arguments.data is None:
        parser.error("--split names a split of a dataset: give --data too")
    return arguments


def command_of(arguments: argparse.Namespace) -> str:
    """Returns the command that makes this report again, absolute folders by their last name alone."""
    words = ["scripts/report.py", *map(_named, arguments.runs), "--out", _named(arguments.out)]
    if arguments.data is not None:
        words += ["--data", _named(arguments.data)]
    if arguments.split is not None:
        words += ["--split", arguments.split]
    if arguments.bootstrap != 1000:
        words += ["--bootstrap", str(arguments.bootstrap)]
    return shlex.join(words)


def _named(folder: Path) -> str:
    return folder.name if folder.is_absolute() else str(folder)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _show(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    return progress(items, total=total, description=what, unit="figures" if what == "drawing" else "images")


if __name__ == "__main__":
    run_command(main)
