#!/usr/bin/env python3
"""Ranks runs on validation pictures and makes the best one a model bundle."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from _cli import CommandParser, progress, run_command

if TYPE_CHECKING:
    from derm_core import Prediction


def main() -> None:
    """Parses the arguments, ranks, then writes or registers the bundle where one is asked for."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="run folder of train.py, or the last.pt in one"
    )
    parser.add_argument(
        "--data",
        required=True,
        type=Path,
        metavar="DATASET",
        help="the dataset folder that the runs were trained on",
    )
    parser.add_argument(
        "--metric",
        default="macro_f1",
        help="figure of the validation split that ranks them (default: %(default)s)",
    )
    parser.add_argument(
        "--image-sizes",
        nargs="+",
        type=int,
        default=[],
        metavar="N",
        help="sizes in pixels at which each network is tried (default: that of its training)",
    )
    parser.add_argument(
        "--average",
        action="store_true",
        help="rank the mean of all the runs' weights, too; for runs of one beginning",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the best run's bundle here")
    parser.add_argument("--register", metavar="NAME", help="register the best run's bundle under this name")
    parser.add_argument(
        "--name", help="how answers name the model (default: the registered name, or the recipe)"
    )
    parser.add_argument("--version", default="1", help="and its version (default: %(default)s)")
    parser.add_argument("--origin", default="", help="a sentence for the card: where the weights come from")
    parser.add_argument("--overwrite", action="store_true", help="replace the bundle in FOLDER")
    parser.add_argument("--json", metavar="FILE", help="write the ranking as JSON; - for standard output")
    arguments = parser.parse_args()

    from derm_core.data.table import load_dataset
    from derm_core.experiments.bundling import make_bundle
    from derm_core.experiments.selection import rank_runs
    from derm_core.serving.bundle import find_bundle
    from derm_core.serving.registry import BUNDLED, default_registry

    dataset = load_dataset(arguments.data)
    ranked = rank_runs(
        arguments.runs,
        dataset,
        arguments.metric,
        image_sizes=arguments.image_sizes,
        average=arguments.average,
        progress=_show,
    )
    table = [{**asdict(entry), "runs": [str(run) for run in entry.runs]} for entry in ranked]
    if arguments.json == "-":
        print(json.dumps(table, indent=2))
    else:
        for place, entry in enumerate(ranked, start=1):
            low, high = entry.ci95
            runs = " + ".join(map(str, entry.runs))
            print(
                f"{place}. {runs} at {entry.image_size} px: {entry.metric} {entry.value:.3f} "
                f"(95% CI {low:.3f}-{high:.3f}) on {entry.lesions} validation lesions, epoch {entry.epoch}"
            )
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(table, indent=2) + "\n", "utf-8")
    if not (arguments.out or arguments.register):
        return
    best = ranked[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or Path(scratch) / "bundle"
        reference = arguments.register or (BUNDLED if folder.resolve() == find_bundle(BUNDLED) else folder)
        description = make_bundle(
            best.runs,
            dataset,
            folder,
            name=arguments.name or arguments.register or best.name,
            version=arguments.version,
            image_size=best.image_size,
            origin=arguments.origin,
            evaluate_command=f"scripts/evaluate.py --model {reference} --data DATASET --split test",
            overwrite=arguments.overwrite,
            progress=_show,
        )
        print(
            f"Bundle {description.name} {description.version}, weights {description.weights_sha256[:12]}",
            end="",
        )
        print(f", in {folder}." if arguments.out else ".")
        if arguments.register:
            registered = default_registry().register(arguments.register, folder)
            serving = "serves" if registered.serves else "does not serve yet"
            print(f"Registered as {registered.name}@{registered.version}; it {serving}.")


def _show(answers: Iterable[Prediction], count: int) -> Iterable[Prediction]:
    return progress(answers, total=count, description="answering")


if __name__ == "__main__":
    run_command(main)
