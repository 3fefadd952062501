#!/usr/bin/env python3
"""Writes the tables that set our runs of published experiments beside what was published."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from _cli import CommandParser, progress, run_command

from derm_core.data.table import load_dataset
from derm_core.errors import ConfigError
from derm_core.serving import markdown

if TYPE_CHECKING:
    from derm_core.serving.prediction import Prediction

Entry = TypeVar("Entry", "Experiment", "Grid")

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


@dataclass(frozen=True)
class Grid:
    """A search over two settings, a table of its own: one figure of each trial's best epoch.

    `search` is its folder, given as the others are; `down` and `across` are the settings, `figure` one of FIGURES.
    """

    title: str
    search: str
    data: str
    down: str
    across: str
    figure: str
    words: str

    def __post_init__(self) -> None:
        if self.figure not in FIGURES:
            raise ConfigError(f"A grid's figure is {self.figure!r}; it must be one of {', '.join(FIGURES)}.")


def main() -> None:
    parser = CommandParser(description=__doc__)
    parser.add_argument("list", metavar="LIST", type=Path, help="the experiments, as docs/experiments.toml")
    parser.add_argument(
        "--runs", type=Path, required=True, metavar="FOLDER", help="where the run and search folders lie"
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where the datasets lie")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the Markdown file to write")
    arguments = parser.parse_args()
    listed = tomllib.loads(arguments.list.read_text("utf-8"))
    experiments = read_entries(arguments.list, listed, "experiment", Experiment)
    grids = read_entries(arguments.list, listed, "grid", Grid) if "grid" in listed else []

    from derm_core.files import replace_file

    rows, commands = [], []
    for number, experiment in enumerate(experiments, start=1):
        figures, about = measure(arguments.runs / experiment.run, arguments.data / experiment.data)
        rows.append(row(number, experiment, figures, about))
        commands.append(f"{number}. `{about['command']}`")
    sections = [
        grid_section(grid, arguments.runs / grid.search, arguments.data / grid.data) for grid in grids
    ]
    text = document(listed["introduction"], rows, sections, commands)
    replace_file(arguments.out, text.encode())
    print(f"{arguments.out}: {len(rows)} experiments, {len(grids)} grids.")


def read_entries(path: Path, listed: Mapping[str, Any], name: str, kind: type[Entry]) -> list[Entry]:
    """Returns the entries of a kind; raises ConfigError for one whose keys are not the kind's."""
    try:
        return [kind(**entry) for entry in listed[name]]
    except (KeyError, TypeError) as err:
        keys = ", ".join(field.name for field in fields(kind))
        raise ConfigError(f"{path} needs [[{name}]] entries with the keys {keys} ({err}).") from err


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


def grid_section(grid: Grid, search: Path, data: Path) -> str:
    """Returns the table of a search's trials, each with the interval of its figure; raises ConfigError for a hole."""
    from derm_core.experiments.search_space import short

    found = json.loads((search / "search.json").read_text("utf-8"))
    cells = {}
    for trial in found["trials"]:
        figures, _ = measure(search / trial["run"], data)
        low, high = figures["ci95"][grid.figure]
        place = trial["settings"][grid.down], trial["settings"][grid.across]
        cells[place] = f"{figures[grid.figure]:.3f} ({low:.3f}–{high:.3f})"
    downs, acrosses = (sorted({place[side] for place in cells}) for side in (0, 1))
    missing = [(down, across) for down in downs for across in acrosses if (down, across) not in cells]
    if missing:
        raise ConfigError(
            f"{search} has no trial with {grid.down}={short(missing[0][0])} and {grid.across}={short(missing[0][1])}. "
            "Run the search to its end."
        )
    names = [key.rpartition(".")[2] for key in (grid.down, grid.across)]
    header = [f"{names[0]} down, {names[1]} across", *map(short, acrosses)]
    rows = [[short(down), *(cells[down, across] for across in acrosses)] for down in downs]
    words = [
        f"scripts/search.py {found['recipe']} --data {data.name} --out {search.name} --method {found['method']}"
    ]
    words += [f"--over '{key}={values}'" for key, values in found["over"].items()]
    words += [f"--set {word}" for word in found["overrides"]]
    what = f"{FIGURES[grid.figure]}, of the best epoch of each:"
    return "\n\n".join(
        [f"## {grid.title}", grid.words.strip(), what, markdown.table(header, rows), f"`{' '.join(words)}`"]
    )


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


def document(introduction: str, rows: list[list[str]], sections: list[str], commands: list[str]) -> str:
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
    parts = [
        introduction.strip(),
        markdown.table(header, ([cell.replace("|", "\\|") for cell in line] for line in rows)),
        "The figures are those of the best epoch on the validation lesions, with 95% intervals by 1,000 draws of whole "
        "lesions.",
        *sections,
        "## The commands",
        "\n".join(commands),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    run_command(main)
