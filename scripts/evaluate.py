#!/usr/bin/env python3
"""Measures a model on a split of a dataset, with 95% intervals over lesions, through the path that serves it."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _cli import CommandParser, progress, run_command
from derm_core.data.table import load_dataset
from derm_core.diagnoses import DIAGNOSES, NOTICE
from derm_core.errors import ConfigError

OVERALL = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "F1, mean over classes",
    "weighted_f1": "F1, weighted by class",
    "macro_auc": "AUC, mean over classes",
    "ece": "calibration error (ECE)",
    "brier": "Brier score",
    "malignant_auc": "AUC for malignancy",
    "malignant_average_precision": "average precision for malignancy",
    "sensitivity_at_operating_point": "sensitivity for malignancy",
    "specificity_at_operating_point": "specificity for malignancy",
}
CLASS_COLUMNS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "AP",
}
GROUP_COLUMNS = {
    "balanced_accuracy": "balanced acc.",
    "malignant_auc": "AUC malignant",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}


def main() -> None:
    arguments = parse_arguments()
    check_writable(arguments.json)
    dataset = load_dataset(arguments.data)
    # Only now, so that neither --help nor a mistyped path waits for PyTorch.
    from derm_core.serving.evaluation import evaluate_predictor
    from derm_core.serving.predictor import load_predictor

    figures = evaluate_predictor(
        load_predictor(arguments.model, device=arguments.device),
        dataset,
        split=arguments.split,
        batch_size=arguments.batch_size,
        bootstrap=arguments.bootstrap,
        seed=arguments.seed,
        use_context=not arguments.photograph_alone,
        progress=lambda answers, total: progress(answers, total, "evaluating"),
    )
    figures["command"] = command_of(arguments)
    if arguments.json == "-":
        print(to_json(figures))
        return
    print(readable(figures))
    if arguments.json:
        write_json(Path(arguments.json), figures)


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--model",
        metavar="NAME|FOLDER",
        required=True,
        help="'bundled', a registered name, or a bundle's folder",
    )
    parser.add_argument(
        "--data", metavar="DATASET", type=Path, required=True, help="as prepare_data wrote it"
    )
    parser.add_argument("--split", default="test", help="a split of the dataset, or all (default: test)")
    parser.add_argument(
        "--json", metavar="FILE", help="write every figure; - is standard output, without the tables"
    )
    parser.add_argument(
        "--batch-size", metavar="N", type=positive, default=32, help="pictures at once (default: 32)"
    )
    parser.add_argument("--device", help="cpu, cuda, ... (default: DERM_DEVICE, or what there is)")
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
    parser.add_argument("--seed", metavar="N", type=natural, default=0, help="of the draw (default: 0)")
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


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


def readable(figures: Mapping[str, Any]) -> str:
    model, data, point = figures["model"], figures["data"], figures["operating_point"]
    parts = [
        f"model {model['name']} {model['version']} (SHA-256 {model['sha256'][:12]}), task {model['task']}\n"
        f"data  {data['name']} (fingerprint {data['fingerprint'][:12]}), split {data['split']}: "
        f"{figures['n']} photographs of {figures['lesions']} lesions, {figures['malignant_lesions']} of them malignant"
    ]
    if figures["left_out"]:
        parts.append(f"{figures['left_out']} photographs of diagnoses outside the task were left out.")
    if figures["per_class"] is None:
        parts.append(
            "The dataset has none of the model's diagnoses: only the risk of malignancy is measured."
        )
    alone = figures["photograph_alone"]
    if alone:
        parts.append(
            f"Of {figures['context']} photographs the answers use age, sex or body site; beside that, the photographs "
            "alone."
        )
    parts.append(
        table(
            ["", "", "95% interval", *(["photo alone", "95% interval"] if alone else [])],
            [
                [
                    title,
                    number(figures[key]),
                    interval(figures["ci95"][key]),
                    *([number(alone[key]), interval(alone["ci95"][key])] if alone else []),
                ]
                for key, title in OVERALL.items()
                if figures[key] is not None
            ],
        )
    )
    parts.append(
        f"Sensitivity and specificity at the operating point {point['name']}: referred from a probability of "
        f"{number(point['threshold'])} on.\nAdvice given: "
        + ", ".join(f"{advice} {count}" for advice, count in figures["advice"].items())
        + f". Intervals: {figures['bootstrap']['replicates']} bootstraps over lesions."
    )
    if figures["per_class"] is not None:
        parts += [
            class_table(figures["per_class"]),
            confusion_table(figures["classes"], figures["confusion_matrix"]),
        ]
    parts += [group_table(kind, groups) for kind, groups in figures["subgroups"].items()]
    return "\n\n".join([*parts, NOTICE])


def class_table(per_class: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [
            code,
            DIAGNOSES[code].name,
            str(entry["n"]),
            str(entry["lesions"]),
            *(number(entry[key]) for key in CLASS_COLUMNS),
            interval(entry["ci95"]["auc"]),
        ]
        for code, entry in per_class.items()
    ]
    return table(["class", "", "photos", "lesions", *CLASS_COLUMNS.values(), "AUC 95%"], rows)


def confusion_table(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    rows = [[code, "", *(str(count) for count in row)] for code, row in zip(classes, matrix, strict=True)]
    return table(["truth", "answered:", *classes], rows)


def group_table(kind: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, entry in groups.items():
        row = [name, "", str(entry["n"]), str(entry["lesions"])]
        if "ci95" in entry:
            for key in GROUP_COLUMNS:
                row += [number(entry[key]), interval(entry["ci95"][key])]
        else:
            row += ["too few to measure", *[""] * (2 * len(GROUP_COLUMNS) - 1)]
        rows.append(row)
    measured = [cell for title in GROUP_COLUMNS.values() for cell in (title, "95%")]
    return table([kind.replace("_", " "), "", "photos", "lesions", *measured], rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns lines in columns, the first two flush left and the others flush right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            if width
        ).rstrip()
        for row in (header, *rows)
    )


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def interval(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.3f}-{ends[1]:.3f}"


if __name__ == "__main__":
    run_command(main)
