"""What training tells whoever watches it. Shows nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Observer(Protocol):
    """What a person or a program is shown while a run goes on."""

    def prepare(self, pictures: int) -> Callable[[int], object]:
        """Pixels are about to be decoded; returns what to call with each number of decoded pictures."""

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        """Epoch `epoch` of `epochs` begins at batch `position` of `batches`."""

    def end_step(self, loss: float, metric: float | None) -> None:
        """A batch is done; the epoch's mean loss so far, and the last epoch's validation metric."""

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        """An epoch is recorded."""
