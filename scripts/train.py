#!/usr/bin/env python3
"""Trains a recipe on a dataset folder and leaves a run folder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _cli import CommandParser, Progress, progress, run_command

if TYPE_CHECKING:
    from derm_core.training.observer import Observer


def main() -> None:
    """Parses the arguments, checks the settings, then trains."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a recipe of derm_core/recipes, or a path to a .toml file"
    )
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DATASET", help="dataset folder of prepare_data.py"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="run folder to write")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change a setting, such as training.epochs=3; may be given again",
    )
    parser.add_argument("--resume", action="store_true", help="continue RUN after it was stopped or killed")
    parser.add_argument(
        "--tensorboard", type=Path, metavar="FOLDER", help="write events for TensorBoard into FOLDER"
    )
    parser.add_argument("--mlflow", metavar="URI", help="log to MLflow: a server, or sqlite:///FILE")
    arguments = parser.parse_args()
    # A thread that waits for the other by spinning keeps the core from whoever has work on it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from derm_core.training.config import load_recipe

    config = load_recipe(arguments.recipe, arguments.overrides)

    from derm_core.data.table import load_dataset
    from derm_core.experiments.bundle_teacher import open_bundle_teacher
    from derm_core.experiments.tracking import MLflowObserver, Observers, TensorBoardObserver
    from derm_core.training.loop import fit

    with ExitStack() as stack:
        observers: list[Observer] = [Display()]
        if arguments.tensorboard:
            observers.append(
                stack.enter_context(TensorBoardObserver(arguments.tensorboard, arguments.out, config))
            )
        if arguments.mlflow:
            observers.append(stack.enter_context(MLflowObserver(arguments.mlflow, arguments.out, config)))
        dataset = load_dataset(arguments.data)
        try:
            fit(
                config,
                dataset,
                arguments.out,
                resume=arguments.resume,
                open_bundle=open_bundle_teacher,
                observer=Observers(*observers),
            )
        except KeyboardInterrupt:
            if arguments.out.exists():
                print("The same command with --resume goes on from the last checkpoint.", file=sys.stderr)
            raise
    print(f"{arguments.out}: trained. Compare runs and make a bundle with scripts/select_model.py.")


class Display:
    """Shows a run on the terminal: loss, metric, images a second and the time left of each epoch."""

    def __init__(self) -> None:
        self._bar: Progress[Any] | None = None
        self._batch_size = 1

    def prepare(self, pictures: int) -> Callable[[int], object]:
        """Shows how many pictures are decoded, where any are: nothing where all were decoded before."""
        bar: Progress[Any] | None = None
        done, started = 0, time.monotonic()

        def count(decoded: int) -> None:
            nonlocal bar, done
            if bar is None:
                # The first pictures took their time, too: few may be told of at once, and be all.
                passed = time.monotonic() - started
                bar = progress(total=pictures, description="preparing", passed_seconds=passed)
            bar.update(decoded)
            done += decoded
            if done == pictures:
                bar.close()

        return count

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        """Opens the bar of an epoch."""
        self._batch_size = batch_size
        self._bar = progress(
            total=batches * batch_size, initial=position * batch_size, description=f"epoch {epoch}/{epochs}"
        )

    def end_step(self, loss: float, metric: float | None) -> None:
        """Moves the bar on."""
        assert self._bar is not None
        self._bar.set_postfix_str(
            f"loss {loss:.4f}" + ("" if metric is None else f", metric {metric:.4f}"), False
        )
        self._bar.update(self._batch_size)

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        """Prints what the validation pictures say."""
        assert self._bar is not None
        self._bar.close()
        figures = ("valid_loss", "accuracy", "balanced_accuracy", "macro_f1", "macro_auc")
        values = ", ".join(f"{name} {record[name]:.4f}" for name in figures if record[name] is not None)
        print(
            f"epoch {record['epoch']}: train_loss {record['train_loss']:.4f}, {values}{' (best)' if best else ''}"
        )


if __name__ == "__main__":
    run_command(main)
