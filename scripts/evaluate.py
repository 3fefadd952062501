#!/usr/bin/env python3
"""Measures a model on a split of a dataset, with 95% intervals over lesions, through the path that serves it."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _cli import CommandParser, progress, run_command

from _evaluation_tables import readable
from _options import add_model_and_data, natural, positive

from derm_core.data.table import Dataset, load_dataset
from derm_core.errors import ConfigError

if TYPE_CHECKING:
    from derm_core.serving.evaluation import Evaluated

REFERENCE = "eager"
ALL = "all"
"""The name of no split: every photograph."""


def main() -> None:
    arguments = parse_arguments()
    check_writable(arguments.json)
    if arguments.plots:
        # Altair takes a moment to load.
        from derm_core.experiments.model_plots import check_figure_folder

        check_figure_folder(arguments.plots)
    dataset = load_dataset(arguments.data)
    if arguments.without and arguments.split != ALL:
        dataset = dataset.subset(arguments.split)
    for known in arguments.without:
        # The audit's libraries take a moment to load.
        from derm_core.data.known_lesions import without_lesions_of

        dataset = without_lesions_of(dataset, known, progress=progress)
    # Only now, so that neither --help nor a mistyped path waits for PyTorch.
    from derm_core.serving.evaluation import evaluate_predictor
    from derm_core.serving.loading import load_predictor

    predictor = load_predictor(
        arguments.model,
        device=arguments.device,
        prevalence=arguments.prevalence,
        runtime=arguments.runtime,
    )

    def measure(photographs: Dataset, split: str) -> Evaluated:
        return evaluate_predictor(
            predictor,
            photographs,
            split=split,
            batch_size=arguments.batch_size,
            bootstrap=arguments.bootstrap,
            seed=arguments.seed,
            use_context=not arguments.photograph_alone,
            progress=lambda answers, total: progress(answers, total, "evaluating"),
        )

    evaluated = measure(dataset, arguments.split)
    figures = evaluated.figures
    figures["without"] = [known.resolve().name for known in arguments.without]
    figures["sources"] = None
    if arguments.beside:
        from derm_core.data.known_lesions import known_photographs
        from derm_core.serving.source_figures import figures_by_source

        figures["sources"] = {"dataset": arguments.beside.resolve().name} | figures_by_source(
            dataset,
            known_photographs(dataset, arguments.beside, progress=progress),
            lambda photographs: measure(photographs, ALL).figures,
            split=arguments.split,
            replicates=arguments.bootstrap,
            seed=arguments.seed,
        )
    figures["command"] = command_of(arguments)
    if arguments.plots:
        from derm_core.experiments.model_plots import model_figures, save_figures

        drawn = model_figures(evaluated, predictor.classes, bootstrap=arguments.bootstrap)
        save_figures(drawn, arguments.plots, progress=lambda items, total: progress(items, total, "drawing"))
    if arguments.json == "-":
        print(to_json(figures))
        return
    print(readable(figures))
    if arguments.json:
        write_json(Path(arguments.json), figures)


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(description=__doc__)
    add_model_and_data(parser)
    parser.add_argument("--split", default="test", help="a split of the dataset, or all (default: test)")
    parser.add_argument(
        "--json", metavar="FILE", help="write every figure; - is standard output, without the tables"
    )
    parser.add_argument(
        "--plots",
        metavar="FOLDER",
        type=Path,
        help="draw confusion matrix, ROC and precision-recall curves, reliability, accuracy against the share "
        "answered, and bars of diagnoses and groups, as PNG and SVG",
    )
    parser.add_argument(
        "--batch-size", metavar="N", type=positive, default=32, help="pictures at once (default: 32)"
    )
    parser.add_argument("--device", help="cpu, cuda, ... (default: DERM_DEVICE, or what there is)")
    parser.add_argument(
        "--runtime",
        default=REFERENCE,
        help="what runs the network, as for predict.py (default: %(default)s, whose figures are the same anywhere)",
    )
    parser.add_argument(
        "--bootstrap",
        metavar="N",
        type=positive,
        default=1000,
        help="sets of lesions drawn for the intervals (default: 1000)",
    )
    parser.add_argument(
        "--photograph-alone",
        action="store_true",
        help="use nothing of the patient, also where the dataset and the model know age, sex and body site",
    )
    parser.add_argument(
        "--without",
        metavar="DATASET",
        type=Path,
        action="append",
        default=[],
        help="leave out photographs of lesions that DATASET has pictures of, such as the one that the model was "
        "trained on: copies are found by their pixels; may be given again",
    )
    parser.add_argument(
        "--beside",
        metavar="DATASET",
        type=Path,
        help="measure by themselves the photographs that DATASET has too, found by their pixels, and the others, and "
        "beside the model a rule that sees nothing but which of the two a photograph is",
    )
    parser.add_argument(
        "--prevalence",
        metavar="SHARE",
        type=float,
        help="the share of malignant photographs that the risks are stated for (default: DERM_PREVALENCE, or what the "
        "model was set for)",
    )
    parser.add_argument("--seed", metavar="N", type=natural, default=0, help="of the draw (default: 0)")
    arguments = parser.parse_args()
    if arguments.beside and (arguments.without or arguments.split == ALL):
        parser.error("--beside measures one split, whole: it goes with no --without, and with no --split all")
    return arguments


def check_writable(target: str | None) -> None:
    """Raises ConfigError before an hour is spent on figures that have no place to go."""
    if target in (None, "-"):
        return
    path = Path(target)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"--json {target} cannot be written: name a file in a folder that exists.")


def command_of(arguments: argparse.Namespace) -> str:
    """Returns the command that makes these figures again, folders by their last name alone."""
    model = Path(arguments.model).name if os.sep in arguments.model else arguments.model
    words = ["scripts/evaluate.py", "--model", model, "--data", arguments.data.resolve().name]
    words += ["--split", arguments.split]
    for option, usual in (("bootstrap", 1000), ("seed", 0)):
        if (value := getattr(arguments, option)) != usual:
            words += [f"--{option}", str(value)]
    for known in arguments.without:
        words += ["--without", known.resolve().name]
    if arguments.beside:
        words += ["--beside", arguments.beside.resolve().name]
    if arguments.runtime != REFERENCE:
        words += ["--runtime", arguments.runtime]
    if arguments.prevalence is not None:
        words += ["--prevalence", f"{arguments.prevalence:g}"]
    return " ".join([*words, *(["--photograph-alone"] if arguments.photograph_alone else [])])


def to_json(figures: Mapping[str, Any]) -> str:
    return json.dumps(figures, indent=2, allow_nan=False, ensure_ascii=False)


def write_json(path: Path, figures: Mapping[str, Any]) -> None:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.absolute().parent, prefix=f".{path.name}.", delete=False
    ) as stream:
        try:
            stream.write(to_json(figures) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
            Path(stream.name).chmod(0o644)
            os.replace(stream.name, path)
        except BaseException:
            Path(stream.name).unlink(missing_ok=True)
            raise


if __name__ == "__main__":
    run_command(main)
