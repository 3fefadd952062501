"""How far a piece of work is and how long it still takes, told as it goes, and its end where it is to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from desktop.training_job import JobProcess

_SECONDS_BETWEEN = 0.5


class StoppedError(Exception):
    """The work was asked to stop where it keeps nothing to be continued."""


class Follower:
    """Tells a job's folder how far its work is; an Observer of training, and what wraps other loops.

    What is told: `step` (a word), `done` and `total` of it in pictures or parts, `rate` a second and `left` seconds
    where they are known, and in training `epoch`, `epochs` and the mean `loss` of the epoch so far.
    """

    def __init__(self, process: JobProcess, clock: Callable[[], float] = time.monotonic) -> None:
        self._process, self._clock = process, clock
        self._told: dict[str, Any] = {}
        self._last = -_SECONDS_BETWEEN
        self._first: tuple[float, int] | None = None
        self._epoch_began = clock()
        self._whole_epoch: float | None = None
        self._batch_size = 1
        self._position = 0
        self._rate: float | None = None

    def watch(self, items: Iterable[Any], total: int, step: str) -> Iterator[Any]:
        """Wraps a loop; raises StoppedError inside it where the work is to stop."""
        self._begin(step, 0, total)
        for item in items:
            yield item
            self._count(1)
            if self._process.is_to_stop():
                raise StoppedError

    def prepare(self, pictures: int) -> Callable[[int], object]:
        """Follows the decoding of pictures, which begins anew where it is stopped."""
        self._begin("decode", 0, pictures)

        def count(decoded: int) -> None:
            self._count(decoded)
            if self._process.is_to_stop():
                raise StoppedError

        return count

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        self._batch_size = batch_size
        self._told = {"epoch": epoch, "epochs": epochs}
        self._position, self._epoch_began = position, self._clock()
        self._begin("train", position * batch_size, batches * batch_size, rate=self._rate)

    def end_step(self, loss: float, metric: float | None) -> None:
        self._told["loss"] = loss
        self._count(self._batch_size)
        if self._told["done"] >= self._told["total"]:
            self._tell(step="check")

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        self._rate = self._told["rate"]
        # An epoch that was continued tells nothing of how long a whole one takes.
        if not self._position:
            self._whole_epoch = self._clock() - self._epoch_began

    def _begin(self, step: str, done: int, total: int, *, rate: float | None = None) -> None:
        self._told |= {"done": done, "total": total, "rate": rate}
        self._first = None
        self._tell(step=step, left=self._left(rate) if rate else None)

    def _count(self, number: int) -> None:
        now = self._clock()
        self._told["done"] += number
        done = self._told["done"]
        if self._first is None:
            # The first batch takes longer than any other, and is not counted.
            self._first = (now, done)
        elif now > self._first[0]:
            rate = (done - self._first[1]) / (now - self._first[0])
            self._told |= {"rate": rate, "left": self._left(rate)}
        if now - self._last >= _SECONDS_BETWEEN or done >= self._told["total"]:
            self._tell()

    def _left(self, rate: float) -> float:
        left: float = (self._told["total"] - self._told["done"]) / rate
        epochs = self._told.get("epochs", 0) - self._told.get("epoch", 0)
        return left + epochs * (self._whole_epoch or self._told["total"] / rate)

    def _tell(self, **values: Any) -> None:
        self._last = self._clock()
        self._told |= values
        self._process.tell(self._told)
