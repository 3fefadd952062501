#!/usr/bin/env python3
"""Ranks runs on validation pictures, says which cannot be told apart, and makes one of them a model bundle."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from _cli import CommandParser, progress, run_command

if TYPE_CHECKING:
    from derm_core import Prediction, RegisteredBundle


def main() -> None:
    """Parses the arguments, ranks, then writes or registers the bundle where one is asked for."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="run folder of train.py, the last.pt in one, or a bundle that was made of one",
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
    parser.add_argument(
        "--folds",
        action="store_true",
        help="compare recipes by cross-validation: RUN names the runs of one recipe on several folds, joined with +, "
        "as in runs/a-0+runs/a-1 runs/b-0+runs/b-1. Each lesion is answered by the run that has not seen it. The runs "
        "of a recipe differ in data.train_split, data.valid_split and model.start alone, and all recipes cover the "
        "same photographs. No bundle is made of them",
    )
    parser.add_argument(
        "--prefer",
        choices=("small", "metric", "average"),
        default="small",
        help="of runs that cannot be told apart from the best: the smallest and fastest, the one with the best "
        "metric, or the mean of the weights that --average adds (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the chosen run's bundle here")
    parser.add_argument("--register", metavar="NAME", help="register the chosen run's bundle under this name")
    parser.add_argument(
        "--name", help="how answers name the model (default: the registered name, or the recipe)"
    )
    parser.add_argument("--version", default="1", help="and its version (default: %(default)s)")
    parser.add_argument("--origin", default="", help="a sentence for the card: where the weights come from")
    parser.add_argument(
        "--logit-adjustment",
        type=_strength,
        default=0.0,
        metavar="STRENGTH",
        help="how far the bundle's answers lean to rare diagnoses: 0 for not at all (default), 1 for as if all were "
        "equally common, or auto for the best balanced accuracy on validation pictures that costs at most one "
        "percentage point of accuracy",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the bundle in FOLDER")
    parser.add_argument("--json", metavar="FILE", help="write the ranking as JSON; - for standard output")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the ranking as a Markdown table")
    arguments = parser.parse_args()
    if arguments.folds and arguments.average:
        parser.error(
            "--folds and --average do not go together: an average has seen the lesions of every fold. Leave one out"
        )
    if arguments.folds and (arguments.out or arguments.register):
        parser.error(
            "--folds makes no bundle, as the runs of a recipe are several networks. Train the chosen recipe on all "
            "folds but one, which checks it, and make the bundle of that run, or with --average of several such runs, "
            "without --folds"
        )

    from derm_core.data.table import load_dataset
    from derm_core.experiments.bundling import make_bundle
    from derm_core.experiments.ranking import plain_ranking, ranking_lines, ranking_markdown, verdict
    from derm_core.experiments.selection import choose_run, rank_folds, rank_runs
    from derm_core.files import replace_file
    from derm_core.serving.bundle import find_bundle
    from derm_core.serving.registry import BUNDLED, default_registry

    dataset = load_dataset(arguments.data)
    show = partial(_show, "answering to rank")
    if arguments.folds:
        recipes = [[Path(run) for run in str(runs).split("+")] for runs in arguments.runs]
        ranked = rank_folds(
            recipes, dataset, arguments.metric, image_sizes=arguments.image_sizes, progress=show
        )
    else:
        ranked = rank_runs(
            arguments.runs,
            dataset,
            arguments.metric,
            image_sizes=arguments.image_sizes,
            average=arguments.average,
            progress=show,
        )
    best = choose_run(ranked, arguments.prefer)
    table = json.dumps(plain_ranking(ranked, best), indent=2)
    if arguments.json == "-":
        print(table)
    else:
        print(*ranking_lines(ranked), verdict(ranked, best), sep="\n")
        if arguments.json:
            replace_file(Path(arguments.json), (table + "\n").encode())
    if arguments.markdown:
        replace_file(arguments.markdown, ranking_markdown(ranked, best).encode())
    if not (arguments.out or arguments.register):
        return
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
            adjustment=arguments.logit_adjustment,
            overwrite=arguments.overwrite,
            progress=partial(_show, "answering for the card"),
        )
        print(
            f"Bundle {description.name} {description.version}, weights {description.weights_sha256[:12]}",
            end="",
        )
        print(f", in {folder}." if arguments.out else ".")
        if arguments.register:
            registered = default_registry().register(arguments.register, folder)
            print(_registration(registered))


def _strength(text: str) -> float | None:
    """Returns the strength; None for auto."""
    if text == "auto":
        return None
    try:
        strength = float(text)
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not auto, nor a number from 0 to 2")
    return strength


def _show(description: str, answers: Iterable[Prediction], count: int) -> Iterable[Prediction]:
    return progress(answers, total=count, description=description)


def _registration(registered: RegisteredBundle) -> str:
    name, version = registered.name, f"{registered.name}@{registered.version}"
    if registered.serves:
        return (
            f"Registered as {version}, which {name!r} means from now on. DERM_MODEL={name}, or the website's models "
            "page, makes it answer."
        )
    return (
        f"Registered as {version}; {name!r} goes on to mean an earlier version. DERM_MODEL={version}, or the website's "
        "models page, makes it answer."
    )


if __name__ == "__main__":
    run_command(main)
