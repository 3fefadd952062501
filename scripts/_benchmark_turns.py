"""Competitors that take turns, epoch by epoch, each in a process of its own. Knows nothing of what they do.

Whatever else the machine does meanwhile hits all of them alike, and none finds another's memory, threads or caches.
Only one of them runs at any time, and only its own time counts.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

from derm_core.errors import DermError


class Turn(Protocol):
    """What a competitor calls: `begin` once it is ready to be timed, `end_epoch` when an epoch is done."""

    def begin(self) -> None:
        """Returns when it is this competitor's turn; its time counts from then on."""

    def end_epoch(self, **figures: float) -> None:
        """Hands in what is known of the epoch, and returns when it is this competitor's turn again."""


Competitor = Callable[[Turn], None]
"""Can be pickled; calls `begin` once, then `end_epoch` after each epoch, and returns."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch took since `begin` or the last one, while it was the competitor's turn, and what it handed in.

    `seconds` on the clock; `processor_seconds` of all its threads and of those of its processes that have ended, which
    a busy machine changes little.
    """

    seconds: float
    processor_seconds: float
    figures: Mapping[str, float]


def take_turns(
    competitors: Mapping[str, Competitor], on_epoch: Callable[[str, Epoch], object] = lambda name, epoch: None
) -> dict[str, list[Epoch]]:
    """Runs competitors side by side, an epoch of each in turn, in an order that changes from round to round.

    Args:
        competitors: by name.
        on_epoch: told of each epoch.

    Returns:
        The epochs of each, in order.

    Raises:
        DermError: what a competitor raised.
        RuntimeError: a competitor ended by itself; its traceback stands on stderr.
    """
    players: list[_Player] = []
    epochs: dict[str, list[Epoch]] = {name: [] for name in competitors}
    try:
        for name, competitor in competitors.items():
            players.append(_Player(name, competitor))
        for player in players:
            player.wait()
        playing = list(players)
        while playing:
            for player in list(playing):
                epoch = player.play()
                if epoch is None:
                    playing.remove(player)
                else:
                    epochs[player.name].append(epoch)
                    on_epoch(player.name, epoch)
            playing = playing[1:] + playing[:1]
    finally:
        for player in players:
            player.stop()
    return epochs


class _Player:
    """A competitor's process, seen from outside."""

    def __init__(self, name: str, competitor: Competitor) -> None:
        self.name = name
        # spawn: a fork of a process that runs torch's threads can hang.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (competitor, theirs, multiprocessing.get_start_method())
        self._process = context.Process(target=_compete, args=arguments, name=name)
        self._process.start()
        theirs.close()

    def wait(self) -> Epoch | None:
        """Returns the epoch that is handed in next; None where the competitor is ready, or done."""
        try:
            message = self._connection.recv()
        except EOFError as err:
            self._process.join()
            raise RuntimeError(f"{self.name} ended by itself, with status {self._process.exitcode}.") from err
        if isinstance(message, DermError):
            raise message
        return message if isinstance(message, Epoch) else None

    def play(self) -> Epoch | None:
        self._connection.send(None)
        return self.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self._connection.close()


class _Turn:
    """A competitor's turn, seen from inside its process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._started, self._used = 0.0, 0.0

    def begin(self) -> None:
        self._hand_over(None)

    def end_epoch(self, **figures: float) -> None:
        seconds = time.perf_counter() - self._started
        self._hand_over(Epoch(seconds, _processor_seconds() - self._used, figures))

    def _hand_over(self, message: Epoch | None) -> None:
        self._connection.send(message)
        self._connection.recv()
        self._started, self._used = time.perf_counter(), _processor_seconds()


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _compete(competitor: Competitor, connection: Connection, start_method: str) -> None:
    # Its own processes begin as they would have done, not as this one did.
    multiprocessing.set_start_method(start_method, force=True)
    # An interrupt is for the referee, who ends every process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        competitor(_Turn(connection))
    except DermError as err:
        connection.send(err)
    else:
        connection.send(None)
