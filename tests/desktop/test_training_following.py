"""How far training is, as it is told: pictures a second, time left, and an end where it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from desktop.training_following import Follower, StoppedError


class FakeProcess:
    """Keeps what it is told; is to stop when it is said so."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.stopping = False

    def tell(self, progress: dict[str, Any]) -> None:
        self.told.append(dict(progress))

    def is_to_stop(self) -> bool:
        return self.stopping


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def process() -> FakeProcess:
    return FakeProcess()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def follower(process: FakeProcess, clock: Clock) -> Follower:
    return Follower(process, clock)  # type: ignore[arg-type]


def test_the_time_left_is_told_after_the_first_batches(
    follower: Follower, process: FakeProcess, clock: Clock
) -> None:
    follower.begin_epoch(1, 3, batches=10, position=0, batch_size=8)
    assert process.told[-1] | {"step": "train", "epoch": 1, "epochs": 3, "left": None} == process.told[-1]
    clock.now += 30  # The first batch is slow, and says nothing of the others.
    follower.end_step(1.5, None)
    assert process.told[-1]["left"] is None
    clock.now += 1
    follower.end_step(1.4, None)
    told = process.told[-1]
    assert (told["done"], told["total"], told["rate"], told["loss"]) == (16, 80, 8.0, 1.4)
    # 64 pictures of this epoch and 80 of each of the two others, at 8 a second.
    assert told["left"] == 28.0


def test_a_whole_epoch_tells_how_long_the_others_take_with_their_validation(
    follower: Follower, process: FakeProcess, clock: Clock
) -> None:
    follower.begin_epoch(1, 3, batches=2, position=0, batch_size=10)
    for _ in range(2):
        clock.now += 1
        follower.end_step(1.0, None)
    assert process.told[-1]["step"] == "check"
    clock.now += 8
    follower.end_epoch({}, False)
    follower.begin_epoch(2, 3, batches=2, position=0, batch_size=10)
    # At 10 pictures a second as before: 2 seconds of this epoch, and the last one as long as the first.
    assert process.told[-1]["left"] == 12.0


def test_an_epoch_that_was_continued_is_no_measure_for_others(
    follower: Follower, process: FakeProcess, clock: Clock
) -> None:
    follower.begin_epoch(2, 3, batches=10, position=8, batch_size=8)
    assert process.told[-1]["done"] == 64
    for _ in range(2):
        clock.now += 1
        follower.end_step(1.0, 0.5)
    follower.end_epoch({}, True)
    follower.begin_epoch(3, 3, batches=10, position=0, batch_size=8)
    assert process.told[-1]["left"] == 10.0


def test_not_every_step_is_written(follower: Follower, process: FakeProcess, clock: Clock) -> None:
    follower.begin_epoch(1, 1, batches=1000, position=0, batch_size=1)
    for _ in range(500):
        clock.now += 0.01
        follower.end_step(1.0, None)
    assert 8 <= len(process.told) <= 12


def test_what_keeps_nothing_ends_at_once_where_it_is_to_stop(
    follower: Follower, process: FakeProcess
) -> None:
    seen = []

    def answer_until_the_fourth() -> None:
        for item in follower.watch(range(10), 10, "answer"):
            seen.append(item)
            process.stopping = item == 3

    with pytest.raises(StoppedError):
        answer_until_the_fourth()
    assert seen == [0, 1, 2, 3]
    with pytest.raises(StoppedError):
        follower.prepare(20)(5)
    assert process.told[-1]["step"] == "decode"
