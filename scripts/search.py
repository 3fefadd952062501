#!/usr/bin/env python3
"""Searches a recipe's settings: each trial a run folder, killed and continued at will, in one process or several."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from _cli import CommandParser, run_command

from train import Display


def main() -> None:
    """Parses the arguments, checks the whole search, runs it, then shows its table."""
    parser = CommandParser(
        description=__doc__,
        epilog="SPEC is a list of values, as in model.architecture=[resnet18,mobilenet_v2], or a range: "
        "training.learning_rate=1e-4..1e-2:log, data.image_size=128..224:step=32.",
    )
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a recipe of derm_core/recipes, or a path to a .toml file"
    )
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DATASET", help="dataset folder of prepare_data.py"
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="search folder to write, or to continue with the same command",
    )
    parser.add_argument(
        "--over",
        required=True,
        nargs="+",
        action="extend",
        metavar="KEY=SPEC",
        help="a setting to search over; may be given again",
    )
    parser.add_argument(
        "--method",
        default="optuna",
        choices=("grid", "random", "optuna"),
        help="every combination, independent draws, or draws that learn from earlier trials (default: %(default)s)",
    )
    parser.add_argument(
        "--trials", type=int, metavar="N", help="how many trials (default: all of a grid, otherwise 20)"
    )
    parser.add_argument(
        "--metric",
        help="figure of the validation split to maximise (default: the recipe's evaluation.metric)",
    )
    parser.add_argument(
        "--pruner",
        choices=("none", "median", "halving"),
        help="ends hopeless trials early (default: median with --method optuna, otherwise none)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change a setting of all trials, such as training.epochs=3; may be given again",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that run trials side by side (default: %(default)s)",
    )
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="database that several machines share (default: a file in FOLDER)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the draws (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the table as JSON; - for standard output")
    arguments = parser.parse_args()
    if arguments.workers < 1:
        parser.error(f"--workers is {arguments.workers}; it must be 1 or more.")
    # A thread that waits for the other by spinning keeps the core from whoever has work on it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from derm_core.experiments.search_plan import plan_search

    plan = plan_search(
        arguments.recipe,
        arguments.over,
        overrides=arguments.overrides,
        method=arguments.method,
        trials=arguments.trials,
        metric=arguments.metric,
        pruner=arguments.pruner,
        seed=arguments.seed,
    )

    from derm_core.data.table import load_dataset
    from derm_core.experiments.search import run_search
    from derm_core.files import replace_file

    outcome = run_search(
        plan,
        load_dataset(arguments.data),
        arguments.out,
        storage=arguments.storage,
        workers=arguments.workers,
        watch=EpochLines if arguments.workers > 1 else TrialDisplay,
        report=_say,
    )
    table = json.dumps(outcome.to_dict(), indent=2)
    if arguments.json == "-":
        print(table)
        return
    if arguments.json:
        replace_file(Path(arguments.json), (table + "\n").encode())
    print(outcome.table())
    if outcome.best is None:
        print("No trial is complete.")
        return
    print(f"\nBest: {arguments.out / outcome.best.run}, {plan.metric} {outcome.best.value:.4f}")
    print(f"Its settings: {outcome.best_words}")
    print("Compare its runs and make a bundle with scripts/select_model.py.")


class TrialDisplay(Display):
    """Shows one trial at a time as train.py shows a run, but leaves standard output to the table."""

    def __init__(self, name: str) -> None:
        super().__init__()

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        """Prints what the validation pictures say."""
        with redirect_stdout(sys.stderr):
            super().end_epoch(record, best)


class EpochLines:
    """Prints a line an epoch, for trials that run side by side."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._epochs = 0

    def prepare(self, pictures: int) -> Callable[[int], object]:
        """Shows nothing."""
        return lambda count: None

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        """Remembers how many there will be."""
        self._epochs = epochs

    def end_step(self, loss: float, metric: float | None) -> None:
        """Shows nothing."""

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        """Prints what the validation pictures say."""
        figures = ("train_loss", "valid_loss", "balanced_accuracy", "macro_f1", "macro_auc")
        values = ", ".join(f"{name} {record[name]:.4f}" for name in figures if record[name] is not None)
        _say(f"{self._name}, epoch {record['epoch']}/{self._epochs}: {values}{' (best)' if best else ''}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_command(main)
