#!/usr/bin/env python3
"""Finds what would make results wrong in one dataset or across several: copies of one picture (also resized,
recompressed, mirrored or cropped), lesions on both sides of a split, diagnoses that contradict each other, classes
that can be told by their files, unreadable files, imbalance."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from _cli import DONE, FAILED, CommandParser, progress, run_command

if TYPE_CHECKING:
    from derm_core.data.audit_report import Report

T = TypeVar("T")


def main() -> int:
    """Parses the arguments, audits, then prints and writes what was found."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "datasets",
        nargs="+",
        type=Path,
        metavar="DATASET",
        help="a folder of prepare_data.py, HAM10000 as it is published, or any folder or zip archive with pictures in "
        "one folder a class",
    )
    parser.add_argument("--json", metavar="FILE", help="write all that was found; - is standard output")
    parser.add_argument(
        "--page", type=Path, metavar="FILE.html", help="write a page with the pictures beside each other"
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=6,
        metavar="N",
        help="pairs on the page for one finding (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes that decode (default: one a core)"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="end with status 1 where a lesion is on both sides of a split, diagnoses contradict each other, or a file "
        "cannot be read",
    )
    arguments = parser.parse_args()

    from derm_core.data.audit import run_audit
    from derm_core.data.audit_page import render_page
    from derm_core.data.audit_report import make_report
    from derm_core.data.audit_set import read_audit_sets
    from derm_core.errors import ConfigError
    from derm_core.files import replace_file

    for option in ("pairs", "workers"):
        if (value := getattr(arguments, option)) is not None and value < 1:
            raise ConfigError(f"--{option} {value}: wanted is 1 or more.")
    json_file = None if arguments.json in (None, "-") else Path(arguments.json)
    for target in filter(None, (json_file, arguments.page)):
        if not target.resolve().parent.is_dir():
            raise ConfigError(f"{target}: the folder {target.parent} does not exist. Make it first.")

    report = make_report(
        run_audit(read_audit_sets(arguments.datasets), workers=arguments.workers, progress=show)
    )
    text = json.dumps(to_dict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if arguments.json == "-":
        sys.stdout.write(text)
    else:
        print_summary(report)
    if json_file:
        replace_file(json_file, text.encode())
    if arguments.page:
        replace_file(arguments.page, render_page(report, pairs=arguments.pairs).encode())
    return FAILED if arguments.strict and report.has_faults else DONE


def show(iterable: Iterable[T], total: int, description: str) -> Iterable[T]:
    from derm_core.data.audit import READING

    return progress(iterable, total, description, unit="images" if description == READING else "parts")


def to_dict(report: Report) -> dict[str, Any]:
    from derm_core.data.audit_sentences import findings_of, headline

    findings = [
        {
            "level": finding.level,
            "kind": finding.kind,
            "dataset": None if finding.place is None else report.sets[finding.place].name,
            "sentence": finding.sentence,
        }
        for finding in findings_of(report)
    ]
    return {"summary": headline(report), "findings": findings} | report.to_dict()


def print_summary(report: Report) -> None:
    from derm_core.data.audit_sentences import findings_of, headline

    for found in report.sets:
        classes = ", ".join(f"{label or 'no class'} {count:,}" for label, count in found.classes.items())
        print(f"{found.name}: {found.pictures:,} pictures of {found.lesions:,} lesions ({classes})")
    print(headline(report))
    for finding in findings_of(report):
        about = f"{report.sets[finding.place].name}: " if finding.place is not None else ""
        print(f"{finding.level}: {about}{finding.sentence}")


if __name__ == "__main__":
    run_command(main)
