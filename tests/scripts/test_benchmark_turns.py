"""Taking turns: an epoch of each at a time, each its own time alone, and whatever goes wrong is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import _benchmark_turns as turns
import pytest

from derm_core.errors import ConfigError


def play(epochs: int, turn: turns.Turn) -> None:
    turn.begin()
    for number in range(epochs):
        turn.end_epoch(number=number)


def refuse(turn: turns.Turn) -> None:
    raise ConfigError("These settings do not fit.")


def vanish(turn: turns.Turn) -> None:
    turn.begin()
    os._exit(3)


def test_competitors_take_turns_in_an_order_that_changes() -> None:
    seen: list[str] = []
    epochs = turns.take_turns(
        {"a": partial(play, 3), "b": partial(play, 3), "c": partial(play, 1)},
        lambda name, epoch: seen.append(name),
    )
    assert {name: [epoch.figures["number"] for epoch in own] for name, own in epochs.items()} == {
        "a": [0, 1, 2],
        "b": [0, 1, 2],
        "c": [0],
    }
    assert seen == ["a", "b", "c", "b", "a", "a", "b"]


def test_what_a_competitor_complains_of_reaches_the_user() -> None:
    with pytest.raises(ConfigError, match="do not fit"):
        turns.take_turns({"a": refuse})


def test_a_competitor_that_dies_is_named_with_its_status() -> None:
    with pytest.raises(RuntimeError, match="b ended by itself, with status 3"):
        turns.take_turns({"b": vanish})


class Referee:
    """The other end of a turn: each wait for it takes a hundred seconds."""

    def __init__(self, pass_time: Callable[[float], None]) -> None:
        self.messages: list[object] = []
        self._pass_time = pass_time

    def send(self, message: object) -> None:
        self.messages.append(message)

    def recv(self) -> None:
        self._pass_time(100.0)


def test_only_a_competitors_own_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(turns.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(turns, "_processor_seconds", lambda: 2 * now[0])
    referee = Referee(pass_time)
    turn = turns._Turn(referee)  # type: ignore[arg-type]
    turn.begin()
    pass_time(5.0)
    turn.end_epoch(figure=1.0)
    pass_time(7.0)
    turn.end_epoch(figure=2.0)
    assert referee.messages == [
        None,
        turns.Epoch(5.0, 10.0, {"figure": 1.0}),
        turns.Epoch(7.0, 14.0, {"figure": 2.0}),
    ]
