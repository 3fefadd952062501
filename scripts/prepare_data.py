#!/usr/bin/env python3
"""Makes a dataset folder, checked and split by lesion, from HAM10000 or from one folder of pictures a class."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from _cli import CommandParser, progress, run_command

from derm_core.data.ham10000 import read_ham10000
from derm_core.data.image_folder import read_image_folder
from derm_core.data.inspection import KINDS, Inspection, inspect_pictures
from derm_core.data.known_lesions import adopt_lesions
from derm_core.data.preparation import SplitPlan, prepare
from derm_core.data.source import PICTURE_SUFFIXES, Source, name_some
from derm_core.data.table import Dataset, check_free
from derm_core.diagnoses import TASKS, get_task
from derm_core.errors import ConfigError, unknown_name

WHY_UNUSED = {
    "ham10000": "the table does not list them",
    "folder": f"no pictures of a kind that is read ({', '.join(PICTURE_SUFFIXES)}), or in no class that is taken",
}


def main() -> None:
    arguments = parse_arguments()
    check_free(arguments.out)
    check_json(arguments.json)
    source = read_source(arguments)
    plan = SplitPlan(val=arguments.val, test=arguments.test, folds=arguments.folds, seed=arguments.seed)
    inspection = inspect_pictures(source.rows, progress=progress)
    try:
        dataset = prepare(
            source,
            inspection,
            arguments.out,
            plan=plan,
            task=arguments.task or "",
            leave_out=arguments.leave_out,
            progress=progress,
        )
    except BaseException:
        # What was found is worth as much where the run stops because of it.
        write_json(arguments.json, findings(source, inspection))
        raise
    write_json(arguments.json, findings(source, inspection) | contents(dataset))
    if arguments.json != "-":
        print_summary(source, inspection, dataset, why_unused=WHY_UNUSED[arguments.source])


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(description=__doc__)
    sources = parser.add_subparsers(dest="source", metavar="ham10000|folder", required=True)
    ham10000 = sources.add_parser(
        "ham10000",
        help="HAM10000 as it is published",
        description="Reads HAM10000: its table, and its pictures in the zips of the archive or unpacked.",
    )
    folder = sources.add_parser(
        "folder",
        help="one folder of pictures a class",
        description="Reads pictures sorted into one folder a class, with or without train, val and test above.",
    )
    for command in (ham10000, folder):
        command.add_argument(
            "src", metavar="SRC", type=Path, help="the folder or zip archive with the pictures"
        )
        command.add_argument(
            "--out", metavar="DATASET", type=Path, required=True, help="a folder that is not there yet"
        )
        command.add_argument("--task", choices=sorted(TASKS), help="take only the diagnoses of this task")
        command.add_argument("--val", type=float, metavar="SHARE", help="share of the lesions for validation")
        command.add_argument("--test", type=float, metavar="SHARE", help="share of the lesions for test")
        command.add_argument(
            "--folds", type=int, metavar="K", help="fold-0 ... instead of train, val and test"
        )
        command.add_argument("--seed", type=int, default=0, help="another seed, another split (default: 0)")
        command.add_argument(
            "--leave-out",
            type=parse_kinds,
            default=(),
            metavar="KIND,...",
            help=f"go on without pictures that are {', '.join(KINDS)}; each kind that is found stops the run otherwise",
        )
        command.add_argument(
            "--json", metavar="FILE", help="write a summary with every name; - is standard output"
        )
        command.epilog = (
            "Without --val, --test and --folds a split that the source has is kept, and otherwise 60/20/20 is made. "
            "Where only one of --val and --test is given, the other is what the source says, or nothing."
        )
    folder.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="NAME=CODE",
        help="the diagnosis code of a folder with a name of its own; NAME= leaves it out; may be given several times",
    )
    folder.add_argument(
        "--lesions-of",
        type=Path,
        metavar="DATASET",
        help="take the lesion ids of this dataset for pictures that are copies of its pictures",
    )
    folder.add_argument("--name", default="", help="what the dataset is called (default: the name of SRC)")
    folder.add_argument("--licence", default="", help="under which its pictures may be used")
    return parser.parse_args()


def read_source(arguments: argparse.Namespace) -> Source:
    if arguments.source == "ham10000":
        source = read_ham10000(arguments.src)
    else:
        classes = dict(parse_class(text) for text in arguments.classes)
        source = read_image_folder(
            arguments.src, classes=classes, name=arguments.name, licence=arguments.licence
        )
        if arguments.lesions_of:
            source = adopt_lesions(source, arguments.lesions_of, progress=progress)
    return source.for_task(get_task(arguments.task)) if arguments.task else source


def parse_kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in text.split(","))
    for kind in kinds:
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(unknown_name("kind of picture", kind, KINDS))
    return kinds


def parse_class(text: str) -> tuple[str, str]:
    name, equals, code = text.rpartition("=")
    if not (name and equals):
        raise ConfigError(f"--class {text!r} is not understood; wanted: NAME=CODE, such as 'Naevi=nv'.")
    return name, code.strip()


def findings(source: Source, inspection: Inspection) -> dict[str, Any]:
    return {
        "source": source.name,
        "licence": source.licence,
        "listed": len(inspection.rows),
        "problems": {
            kind: [{"name": problem.name, "reason": problem.reason} for problem in inspection.of_kind(kind)]
            for kind in KINDS
        },
        "copies_within_lesions": list(inspection.copies),
        "unused_files": list(source.unused),
    }


def contents(dataset: Dataset) -> dict[str, Any]:
    table = dataset.table.assign(lesion=dataset.lesions)
    return {
        "dataset": str(dataset.folder),
        "fingerprint": dataset.fingerprint(),
        "pictures": len(table),
        "lesions": int(table["lesion"].nunique()),
        "diagnoses": dict(sorted(Counter(table["diagnosis"]).items())),
        "splits": {
            split: {
                "pictures": len(part),
                "lesions": int(part["lesion"].nunique()),
                "diagnoses": dict(sorted(Counter(part["diagnosis"]).items())),
            }
            for split, part in table.groupby("split", sort=True)
        },
        "provenance": dict(dataset.provenance),
    }


def check_json(target: str | None) -> None:
    if target and target != "-" and not Path(target).resolve().parent.is_dir():
        raise ConfigError(f"--json {target}: the folder {Path(target).parent} does not exist. Make it first.")


def write_json(target: str | None, summary: dict[str, Any]) -> None:
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    elif target:
        Path(target).write_text(text, encoding="utf-8")


def print_summary(source: Source, inspection: Inspection, dataset: Dataset, *, why_unused: str) -> None:
    for kind in KINDS:
        if names := [problem.name for problem in inspection.of_kind(kind)]:
            print(f"left out, {kind}: {len(names)} ({name_some(names)})")
    if inspection.copies:
        print(f"copies within one lesion, kept: {len(inspection.copies)} ({name_some(inspection.copies)})")
    if source.unused:
        print(f"files not used: {len(source.unused)} ({name_some(source.unused)}): {why_unused}")
    summary = contents(dataset)
    print(f"{summary['dataset']}: {summary['pictures']} pictures of {summary['lesions']} lesions")
    for split, part in summary["splits"].items():
        mix = ", ".join(f"{code} {count}" for code, count in part["diagnoses"].items())
        print(f"  {split}: {part['pictures']} pictures of {part['lesions']} lesions ({mix})")
        if absent := [code for code in summary["diagnoses"] if code not in part["diagnoses"]]:
            print(f"    none of {', '.join(absent)}")
    listed = {row.diagnosis for row in source.rows}
    if gone := sorted(listed - set(summary["diagnoses"])):
        print(f"left without a picture: {', '.join(gone)}")


if __name__ == "__main__":
    run_command(main)
