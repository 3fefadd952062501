"""Who may use the model, and who waits: a few at once, requests before background work. Runs no model itself."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class ModelBusyError(RuntimeError):
    """Too many requests wait for the model; `seconds` says when it is worth trying again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many pictures wait for the model. Try again in {seconds} seconds.")
        self.seconds = seconds


class Turns:
    """A bounded queue in front of the model. Thread-safe.

    Requests get their turns in the order in which they came, and before any background work does. One is refused at
    once where `waiting_limit` requests wait already, and after `patience_seconds` of waiting: under overload the queue
    does not grow.
    """

    def __init__(
        self,
        at_once: int = 2,
        waiting_limit: int = 24,
        *,
        patience_seconds: float = 30.0,
        retry_after_seconds: int = 5,
    ) -> None:
        self.at_once, self.waiting_limit = at_once, waiting_limit
        self._patience, self._retry_after = patience_seconds, retry_after_seconds
        self._changed = threading.Condition()
        self._line: deque[object] = deque()
        self._busy = self._refused = 0

    @property
    def busy(self) -> int:
        """How many turns are taken."""
        return self._busy

    @property
    def waiting(self) -> int:
        """How many requests wait for theirs."""
        return len(self._line)

    @property
    def refused(self) -> int:
        """How many requests were turned away so far."""
        return self._refused

    @contextmanager
    def request(self) -> Iterator[None]:
        """Holds a turn for somebody who waits for the answer. Raises ModelBusyError where the queue is full."""
        with self._changed:
            if self._line or self._busy >= self.at_once:
                self._wait_in_line()
            self._busy += 1
        try:
            yield
        finally:
            self._give_back()

    @contextmanager
    def background(self, stop: threading.Event) -> Iterator[bool]:
        """Holds a turn that nobody waits for, once no request wants it; gives False where `stop` is set first."""
        with self._changed:
            while not stop.is_set() and (self._line or self._busy >= self.at_once):
                self._changed.wait(0.5)
            granted = not stop.is_set()
            self._busy += granted
        try:
            yield granted
        finally:
            if granted:
                self._give_back()

    def _wait_in_line(self) -> None:
        if len(self._line) >= self.waiting_limit:
            self._refuse()
        me = object()
        self._line.append(me)
        until = time.monotonic() + self._patience
        try:
            while self._line[0] is not me or self._busy >= self.at_once:
                left = until - time.monotonic()
                if left <= 0:
                    self._refuse()
                self._changed.wait(left)
        finally:
            self._line.remove(me)
            self._changed.notify_all()

    def _refuse(self) -> None:
        self._refused += 1
        raise ModelBusyError(self._retry_after)

    def _give_back(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()
