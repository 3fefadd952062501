#!/usr/bin/env python3
"""Builds an index of similar cases over a dataset, asks it about photographs, and measures how often it is right."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _cli import CommandParser, progress, run_command

from _options import natural, positive

from derm_core.diagnoses import DIAGNOSES, NOTICE
from derm_core.errors import ConfigError
from derm_core.files import replace_file

if TYPE_CHECKING:
    from derm_core.serving.similar_cases import SimilarCase

BASELINES = {"network": "network", "colours": "colours alone", "chance": "drawn at random"}


def main() -> None:
    arguments = parse_arguments()
    arguments.run(arguments)


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(description=__doc__, epilog=NOTICE)
    commands = parser.add_subparsers(dest="command", metavar="build|query|measure", required=True)
    build = commands.add_parser(
        "build",
        help="an index over a dataset's photographs",
        description="Builds an index over a dataset's photographs. It holds what the dataset says of them, and "
        "thumbnails: keep it where the photographs may be kept.",
    )
    build.set_defaults(run=build_index)
    build.add_argument("data", metavar="DATASET", type=Path, help="as prepare_data wrote it")
    build.add_argument("--out", metavar="INDEX", type=Path, required=True, help="the folder to write")
    build.add_argument("--split", default="", help="index this split of the dataset (default: all of it)")
    build.add_argument(
        "--thumbnails",
        metavar="PIXELS",
        type=natural,
        help="longer side of the small pictures in the index, 0 for none (default: 192)",
    )
    build.add_argument("--overwrite", action="store_true", help="replace an index that exists")
    query = commands.add_parser(
        "query",
        help="the most similar cases of photographs",
        description="Prints the indexed cases most similar to each photograph, one photograph a lesion.",
    )
    query.set_defaults(run=query_index)
    query.add_argument("index", metavar="INDEX", type=Path, help="as build wrote it")
    query.add_argument("images", metavar="IMAGE", type=Path, nargs="+")
    query.add_argument("--k", metavar="N", type=positive, default=5, help="how many cases (default: 5)")
    query.add_argument(
        "--lesion", metavar="ID", default="", help="the lesion the photographs show: it is left out"
    )
    query.add_argument(
        "--json", action="store_true", help="print a line of JSON for each photograph, without thumbnails"
    )
    measure = commands.add_parser(
        "measure",
        help="how many similar cases have the right diagnosis",
        description="Measures precision at k: of the k cases most similar to each photograph of a split, its own "
        "lesion left out, the share with the same diagnosis; with 95%% intervals over lesions.",
    )
    measure.set_defaults(run=measure_index)
    measure.add_argument("index", metavar="INDEX", type=Path, help="as build wrote it")
    measure.add_argument("data", metavar="DATASET", type=Path, help="the photographs to ask about")
    measure.add_argument("--split", default="test", help="of the dataset (default: test)")
    measure.add_argument("--json", metavar="FILE", type=Path, help="write every figure")
    measure.add_argument(
        "--bootstrap", metavar="N", type=positive, default=1000, help="sets of lesions drawn (default: 1000)"
    )
    measure.add_argument("--seed", metavar="N", type=natural, default=0, help="of the draw (default: 0)")
    for command in (query, measure):
        command.add_argument(
            "--unconfirmed", action="store_true", help="use cases whose diagnosis nobody confirmed as well"
        )
    for command in (build, query, measure):
        command.add_argument(
            "--model",
            metavar="NAME|FOLDER",
            help="'bundled', a registered name, or a bundle's folder (default: what DERM_MODEL names, or bundled)",
        )
        command.add_argument("--device", help="cpu, cuda, ... (default: DERM_DEVICE, or what there is)")
    return parser.parse_args()


def build_index(arguments: argparse.Namespace) -> None:
    # Here and below, so that --help and a mistyped path do not wait for PyTorch.
    from derm_core.data.table import load_dataset
    from derm_core.serving.case_index import (
        THUMBNAIL_SIDE,
        check_free,
        index_cases,
        save_similar_cases,
    )
    from derm_core.serving.loading import load_predictor

    check_free(arguments.out, overwrite=arguments.overwrite)
    dataset = load_dataset(arguments.data)
    index = index_cases(
        load_predictor(arguments.model, device=arguments.device),
        dataset,
        split=arguments.split,
        thumbnail_side=THUMBNAIL_SIDE if arguments.thumbnails is None else arguments.thumbnails,
        progress=lambda seen, total: progress(seen, total, "indexing"),
    )
    save_similar_cases(index, arguments.out, overwrite=arguments.overwrite)
    confirmed = int((index.cases["confirmed_by"] != "").sum())
    print(
        f"{arguments.out}: {len(index)} photographs of {index.cases['lesion'].nunique()} lesions, "
        f"{confirmed} of them with a confirmed diagnosis."
    )


def query_index(arguments: argparse.Namespace) -> None:
    from derm_core.serving.case_index import load_similar_cases
    from derm_core.serving.loading import load_predictor

    predictor = load_predictor(arguments.model, device=arguments.device)
    index = load_similar_cases(arguments.index, predictor.description)
    for image in arguments.images:
        cases = index.query(
            predictor.features(image),
            k=arguments.k,
            lesion_id=arguments.lesion,
            confirmed_only=not arguments.unconfirmed,
        )
        if arguments.json:
            print(json.dumps({"file": str(image), "cases": [plain(case) for case in cases]}))
        else:
            print(f"{image}\n{table([line(case) for case in cases])}\n")
    if not arguments.json:
        print(NOTICE)


def measure_index(arguments: argparse.Namespace) -> None:
    from derm_core.data.table import load_dataset
    from derm_core.serving.case_index import load_similar_cases
    from derm_core.serving.case_precision import measure_similar_cases
    from derm_core.serving.loading import load_predictor

    if arguments.json and not arguments.json.absolute().parent.is_dir():
        raise ConfigError(f"--json {arguments.json} cannot be written: name a file in a folder that exists.")
    dataset = load_dataset(arguments.data)
    predictor = load_predictor(arguments.model, device=arguments.device)
    figures = measure_similar_cases(
        load_similar_cases(arguments.index, predictor.description),
        predictor,
        dataset,
        split=arguments.split,
        confirmed_only=not arguments.unconfirmed,
        bootstrap=arguments.bootstrap,
        seed=arguments.seed,
        progress=progress,
    )
    print(readable(figures))
    if arguments.json:
        content = json.dumps(figures, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        replace_file(arguments.json, content.encode())


def plain(case: SimilarCase) -> dict[str, Any]:
    return {name: value for name, value in asdict(case).items() if name != "thumbnail"}


def line(case: SimilarCase) -> list[str]:
    patient = [f"{case.age:g} years" if case.age is not None else "", case.sex, case.site]
    return [
        f"  {case.similarity:.2f}",
        DIAGNOSES[case.diagnosis].name,
        case.confirmed_by or "not confirmed",
        ", ".join(filter(None, patient)),
        case.image_path,
    ]


def readable(figures: Mapping[str, Any]) -> str:
    about, index = figures["data"], figures["index"]
    kept = "with a confirmed diagnosis" if figures["confirmed_only"] else "confirmed or not"
    columns = [(name, key) for name in BASELINES if figures[name] for key in figures[name]["overall"]]
    header = [
        "",
        "photos",
        "lesions",
        *(BASELINES[name] + (f", {key}" if key != "any" else "") for name, key in columns),
    ]
    rows = [
        [title, "", "", *(share(figures[name][part][key]) for name, key in columns)]
        for part, title in (("overall", "all"), ("mean_over_classes", "mean over diagnoses"))
    ]
    rows += [
        [
            DIAGNOSES[code].name,
            str(entry["n"]),
            str(entry["lesions"]),
            *(share(figures[name]["per_class"][code]["precision"][key]) for name, key in columns),
        ]
        for code, entry in figures["network"]["per_class"].items()
    ]
    return (
        f"Asked: {figures['n']} photographs of {figures['lesions']} lesions ({about['name']}, {about['split']}), "
        f"{kept}.\nIndex: {index['photographs']} photographs of {index['lesions']} lesions ({index['name']}, "
        f"{index['split'] or 'all'}).\n\nOf the 1, 5 or 10 most similar cases, the share with the same diagnosis "
        f"[95% interval over lesions]:\n\n{table([header, *rows])}\n\n{NOTICE}"
    )


def share(figure: Mapping[str, Any]) -> str:
    ends = figure["ci95"]
    return f"{figure['value']:.3f}" + (f" [{ends[0]:.3f}-{ends[1]:.3f}]" if ends else "")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Returns lines in columns, flush left."""
    if not rows:
        return "  no case"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


if __name__ == "__main__":
    run_command(main)
