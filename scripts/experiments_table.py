#!/usr/bin/env python3
"""Writes the table that sets our runs of published experiments beside what was published."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _cli import CommandParser, progress, run_command

from derm_core.data.table import load_dataset
from derm_core.errors import ConfigError

if TYPE_CHECKING:
    from derm_core.serving.prediction import Prediction

FIGURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "F1, mean over classes",
    "weighted_f1": "F1, weighted",
    "macro_auc": "AUC, mean over classes",
}


@dataclass(frozen=True)
class Experiment:
    """One row of the table: what was published, and the run of ours that stands beside it.

    `run` and `data` are folders, given relative to the folders of the command line; `differs` says in words what is
    not as published.
    """

    source: str
    experiment: str
    reported: str
    run: str
    data: str
    differs: str


def main() -> None:
    parser = CommandParser(description=__doc__)
    parser.add_argument("list", metavar="LIST", type=Path, help="the experiments, as docs/experiments.toml")
    parser.add_argument(
        "--runs", type=Path, required=True, metavar="FOLDER", help="where the run folders lie"
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where the datasets lie")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the Markdown file to write")
    arguments = parser.parse_args()
    listed = tomllib.loads(arguments.list.read_text("utf-8"))
    try:
        experiments = [Experiment(**entry) for entry in listed["experiment"]]
    except (KeyError, TypeError) as err:
        keys = ", ".join(Experiment.__dataclass_fields__)
        raise ConfigError(
            f"{arguments.list} needs [[experiment]] entries with the keys {keys} ({err})."
        ) from err

    from derm_core.files import replace_file

    rows, commands = [], []
    for number, experiment in enumerate(experiments, start=1):
        figures, about = measure(arguments.runs / experiment.run, arguments.data / experiment.data)
        rows.append(row(number, experiment, figures, about))
        commands.append(f"{number}. `{about['command']}`")
    text = document(listed["introduction"], rows, commands)
    replace_file(arguments.out, text.encode())
    print(f"{arguments.out}: {len(rows)} experiments.")


def measure(run: Path, data: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Returns the figures of a run's best epoch on its validation split, and how the run was made."""
    from derm_core.experiments.candidate import open_candidate
    from derm_core.serving.evaluation import evaluate_predictor
    from derm_core.training.records import read_records

    candidate = open_candidate(run, load_dataset(data))
    description = candidate.describe(name=candidate.config.name, version="0")
    figures = evaluate_predictor(
        candidate.predictor(description, half=False),
        candidate.dataset,
        split=candidate.config.data.valid_split,
        use_context=False,
        progress=show,
    ).figures
    epochs = len(read_records(run))
    trained = description.data["counts"]["photographs trained on"]
    about = {
        "command": candidate.commands[0].replace("DATASET", data.name),
        "training": f"{trained:,} photographs, {epochs} epochs, best {candidate.epoch}",
    }
    return figures, about


def show(answers: Iterable[Prediction], count: int) -> Iterable[Prediction]:
    return progress(answers, total=count, description="answering")


def row(
    number: int, experiment: Experiment, figures: Mapping[str, Any], about: Mapping[str, Any]
) -> list[str]:
    cells = [str(number), experiment.source, experiment.experiment, experiment.reported]
    for key in FIGURES:
        low, high = figures["ci95"][key]
        cells.append(f"{figures[key]:.3f} ({low:.3f}–{high:.3f})")
    lesions = f"{figures['n']} photographs of {figures['lesions']} lesions"
    return [*cells, about["training"], lesions, experiment.differs]


def document(introduction: str, rows: list[list[str]], commands: list[str]) -> str:
    header = [
        "",
        "Source",
        "Experiment",
        "Reported",
        *FIGURES.values(),
        "Trained on",
        "Measured on",
        "Not as published",
    ]
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    made = "\n".join(commands)
    return (
        f"{introduction.strip()}\n\n{table}\n\nThe figures are those of the best epoch on the validation lesions, with "
        f"95% intervals by 1,000 draws of whole lesions.\n\n## The commands\n\n{made}\n"
    )


if __name__ == "__main__":
    run_command(main)
