"""What every competitor of the training benchmark is given and hands in, and our own: the engine's `fit`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _benchmark_turns import Turn
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from derm_core.data.table import load_dataset
from derm_core.serving.devices import set_threads
from derm_core.training.loop import fit
from derm_core.training.sections import RunConfig

PICTURES, RUN = "pictures", "run"


@dataclass(frozen=True)
class Assignment:
    """The same for every competitor, but for the place of the pictures.

    `folder` holds, for us, a dataset folder `pictures`, and takes the run folder; for a peer `train` and `val`, each
    with a folder of pictures per class, named so that they sort as the task's classes. `threads` None leaves the number
    to torch.
    """

    config: RunConfig
    folder: Path
    threads: int | None = None


class Waiting:
    """Seconds from the end of a step to the network's next one: data are awaited, normalised and moved meanwhile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def __enter__(self) -> Waiting:
        self._hook = register_module_forward_pre_hook(self._end)
        return self

    def __exit__(self, *exception: object) -> None:
        self._hook.remove()

    def begin(self) -> None:
        """A step is done, or an epoch begins."""
        self._since = time.perf_counter()

    def take(self) -> float:
        """Returns the seconds since the last call."""
        taken, self.seconds, self._since = self.seconds, 0.0, None
        return taken

    def _end(self, module: nn.Module, inputs: object) -> None:
        if self._since is None:
            return
        # In eval mode it is validation, or a frozen body ahead of its head; what changes pictures has no weights.
        if module.training and any(True for _ in module.parameters(recurse=False)):
            self.seconds += time.perf_counter() - self._since
            self._since = None


def train_ours(assignment: Assignment, turn: Turn) -> None:
    """The engine's training, with cold caches."""
    set_threads(assignment.threads)
    turn.begin()
    dataset = load_dataset(assignment.folder / PICTURES)
    with Waiting() as waiting:
        fit(assignment.config, dataset, assignment.folder / RUN, observer=_Watch(turn, waiting))


class _Watch:
    """Hands in each epoch of `fit`."""

    def __init__(self, turn: Turn, waiting: Waiting) -> None:
        self._turn, self._waiting = turn, waiting
        self._started = self._ended = 0.0

    def prepare(self, pictures: int) -> Callable[[int], object]:
        return lambda count: None

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        self._started = time.perf_counter()
        self._waiting.begin()

    def end_step(self, loss: float, metric: float | None) -> None:
        self._ended = time.perf_counter()
        self._waiting.begin()

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        self._turn.end_epoch(
            balanced_accuracy=record["balanced_accuracy"],
            pictures=round(record["images_per_second"] * record["seconds"]),
            training_seconds=self._ended - self._started,
            waiting_seconds=self._waiting.take(),
        )
