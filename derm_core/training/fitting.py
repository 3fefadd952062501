"""What a run is fitted with: its settings, pictures and step, and where it is written and told of. Trains nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from derm_core.data.dataset import ResumableBatches
from derm_core.training.checkpoint import save_last
from derm_core.training.observer import Observer
from derm_core.training.pictures import RunPictures
from derm_core.training.records import RunLog
from derm_core.training.sections import RunConfig
from derm_core.training.sources import Source
from derm_core.training.state import TrainingState
from derm_core.training.step import Step


@dataclass(frozen=True, eq=False)
class Fitting:
    """What stays the same from the first step of a run to its last, however often it is continued.

    Attributes:
        config: the settings, with what was found on the training pictures.
        pictures, source: the photographs, and how they come to the network.
        batches: their order.
        loss_function, step: what is done with a batch.
        log, out: where the run is written.
        observer, stop: who is told of it, and who may end it.
    """

    config: RunConfig
    pictures: RunPictures
    source: Source
    batches: ResumableBatches
    loss_function: nn.Module
    step: Step
    log: RunLog
    out: Path
    observer: Observer | None
    stop: Callable[[], bool] | None

    def is_to_stop(self) -> bool:
        """Asks whether training is to end here."""
        return self.stop is not None and self.stop()

    def save(self, run: TrainingState) -> None:
        """Writes a checkpoint."""
        save_last(self.out, run.to_checkpoint(self.config, self.step.hardware))
