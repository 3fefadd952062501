"""Callers that share a pass through the network: real threads, a network that says what it was given."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from derm_core.errors import ConfigError, InvalidImageError
from derm_core.serving.context import PatientContext
from derm_core.serving.gathering import GatheringPredictor
from derm_core.serving.loading import load_predictor
from derm_core.serving.network_passes import PassRow
from derm_core.serving.predictor import Predictor

HOUR = 3_600_000.0
LONG_SECONDS = 60.0


@dataclass
class Network:
    """Stands for a predictor and its passes: a picture is a text, and so is the answer to it.

    `preparing` and `passing` are called with what is prepared, and with the pictures of a pass.
    """

    preparing: Callable[[str], object] = lambda picture: None
    passing: Callable[[list[str]], object] = lambda pictures: None
    at_once: int = 1
    passes_run: list[list[str]] = field(default_factory=list)

    @property
    def passes(self) -> Network:
        return self

    def prepare(self, image: str) -> str:
        self.preparing(image)
        return image

    def answer(self, batch: Sequence[str]) -> list[PassRow]:
        self.passes_run.append(list(batch))
        self.passing(list(batch))
        return [PassRow(np.zeros(1), np.array([len(picture)]), None, 0.0) for picture in batch]

    explain_all = answer

    def prediction(self, row: PassRow, picture: str, context: PatientContext | None) -> str:
        assert row.features.tolist() == [len(picture)]
        return f"{picture} at {context.age if context else None}"

    def gathered(self, *, pictures: int = 4, milliseconds: float = HOUR) -> Any:
        return GatheringPredictor(cast("Predictor", self), pictures=pictures, milliseconds=milliseconds)


def ask_together(gathered: Any, pictures: Sequence[str]) -> list[str]:
    """Asks in a thread for each picture, each with the number of the picture as an age; gives answers or errors."""

    def ask(number: int) -> str:
        try:
            return gathered.predict(pictures[number], PatientContext(age=float(number)))
        except (InvalidImageError, ArithmeticError) as err:
            return repr(err)

    with ThreadPoolExecutor(len(pictures)) as pool:
        return list(pool.map(ask, range(len(pictures)), timeout=LONG_SECONDS))


def all_at(barrier: threading.Barrier) -> Callable[[str], object]:
    return lambda picture: barrier.wait(LONG_SECONDS)


def test_those_who_ask_at_the_same_time_share_a_pass_and_each_has_an_answer_of_its_own() -> None:
    network = Network(all_at(threading.Barrier(4)))
    answers = ask_together(network.gathered(), ["a", "bb", "ccc", "dddd"])
    assert answers == ["a at 0.0", "bb at 1.0", "ccc at 2.0", "dddd at 3.0"]
    assert [sorted(batch) for batch in network.passes_run] == [["a", "bb", "ccc", "dddd"]]


def test_no_pass_holds_more_pictures_than_may_share_one() -> None:
    network = Network(all_at(threading.Barrier(7)))
    pictures = [letter * place for place, letter in enumerate("abcdefg", 1)]
    answers = ask_together(network.gathered(pictures=2), pictures)
    assert [answer.partition(" ")[0] for answer in answers] == pictures
    assert max(map(len, network.passes_run)) == 2
    assert sorted(chain.from_iterable(network.passes_run)) == pictures


def test_who_is_alone_waits_for_nobody() -> None:
    network = Network()
    assert network.gathered().predict("alone") == "alone at None"
    assert network.passes_run == [["alone"]]


def test_a_picture_waits_for_one_that_is_still_decoded_no_longer_than_was_said() -> None:
    decoding, go_on = threading.Event(), threading.Event()

    def preparing(picture: str) -> None:
        if picture == "slow":
            decoding.set()
            assert go_on.wait(LONG_SECONDS)

    network = Network(preparing)
    gathered = network.gathered(milliseconds=1)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(gathered.predict, "slow")
        assert decoding.wait(LONG_SECONDS)
        assert gathered.predict("quick") == "quick at None"
        assert not slow.done()
        go_on.set()
        assert slow.result(LONG_SECONDS) == "slow at None"
    assert network.passes_run == [["quick"], ["slow"]]


def test_a_file_that_cannot_be_read_is_an_error_of_its_caller_alone() -> None:
    barrier = threading.Barrier(3)

    def preparing(picture: str) -> None:
        barrier.wait(LONG_SECONDS)
        if picture == "damaged":
            raise InvalidImageError("cut short")

    network = Network(preparing)
    answers = ask_together(network.gathered(), ["a", "damaged", "ccc"])
    assert answers == ["a at 0.0", "InvalidImageError('cut short')", "ccc at 2.0"]
    assert sorted(chain.from_iterable(network.passes_run)) == ["a", "ccc"]


def test_what_a_picture_does_to_a_pass_is_an_error_of_its_caller_alone() -> None:
    def passing(pictures: list[str]) -> None:
        if "bad" in pictures:
            raise ZeroDivisionError("bad")

    network = Network(all_at(threading.Barrier(3)), passing)
    answers = ask_together(network.gathered(), ["a", "bad", "ccccc"])
    assert answers == ["a at 0.0", "ZeroDivisionError('bad')", "ccccc at 2.0"]
    assert sorted(map(len, network.passes_run)) == [1, 1, 1, 3]


def test_pictures_that_come_during_a_pass_share_the_next_one() -> None:
    running, go_on = threading.Event(), threading.Event()

    def passing(pictures: list[str]) -> None:
        running.set()
        assert go_on.wait(LONG_SECONDS)

    network = Network(passing=passing)
    gathered = network.gathered()
    behind = threading.Barrier(4)
    network.preparing = lambda picture: picture == "first" or behind.wait(LONG_SECONDS)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(gathered.predict, "first")
        assert running.wait(LONG_SECONDS)
        others = [pool.submit(gathered.predict, picture) for picture in ("a", "bb", "ccc")]
        behind.wait(LONG_SECONDS)
        go_on.set()
        assert first.result(LONG_SECONDS) == "first at None"
        assert [other.result(LONG_SECONDS) for other in others] == ["a at None", "bb at None", "ccc at None"]
    assert sorted(map(sorted, network.passes_run)) == [["a", "bb", "ccc"], ["first"]]


def test_where_the_one_who_runs_the_pass_is_interrupted_the_others_are_answered() -> None:
    interrupted = threading.Event()

    def passing(pictures: list[str]) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise SystemExit

    network = Network(all_at(threading.Barrier(3)), passing)
    gathered, answers = network.gathered(), []

    def ask(picture: str) -> None:
        with suppress(SystemExit):
            answers.append(gathered.predict(picture))

    threads = [threading.Thread(target=ask, args=(picture,)) for picture in ("a", "bb", "ccc")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    assert len(answers) == 2
    assert len(network.passes_run[0]) == 3


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="a signal is sent to one thread")
def test_who_is_interrupted_while_waiting_holds_nobody_up() -> None:
    running, go_on = threading.Event(), threading.Event()

    def passing(pictures: list[str]) -> None:
        if pictures == ["first"]:
            running.set()
            assert go_on.wait(LONG_SECONDS)

    me = threading.main_thread().ident
    assert me is not None
    interrupt = threading.Timer(0.1, signal.pthread_kill, (me, signal.SIGINT))
    network = Network(lambda picture: interrupt.start() if picture == "mine" else None, passing)
    gathered = network.gathered()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gathered.predict, "first")
        assert running.wait(LONG_SECONDS)
        with pytest.raises(KeyboardInterrupt):
            gathered.predict("mine")
        interrupt.join(LONG_SECONDS)
        go_on.set()
        assert first.result(LONG_SECONDS) == "first at None"
        assert pool.submit(gathered.predict, "later").result(LONG_SECONDS) == "later at None"
    assert ["later"] in network.passes_run


@pytest.mark.parametrize("wrong", [{"pictures": 0}, {"milliseconds": -1.0}, {"milliseconds": float("nan")}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Network().gathered(**wrong)


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    network = Network(all_at(threading.Barrier(3)))
    ask_together(network.gathered(), ["a", "bb", "ccc"])
    assert threading.active_count() == before


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor("bundled", device="cpu", runtime="eager", threads=1)


def test_the_bundled_model_answers_pictures_together_as_it_answers_each(
    predictor: Predictor, tiny_pictures: list[Path]
) -> None:
    gathered = GatheringPredictor(predictor, pictures=len(tiny_pictures), milliseconds=HOUR)
    context = PatientContext(age=61.0, sex="female", site="back")
    with ThreadPoolExecutor(len(tiny_pictures)) as pool:
        together = list(pool.map(lambda file: gathered.explain_all(file, context=context), tiny_pictures))
        alone = [predictor.explain_all(file, context=context) for file in tiny_pictures]
        seen = list(pool.map(gathered.features, tiny_pictures))
    for file, answers, expected, features in zip(tiny_pictures, together, alone, seen, strict=True):
        assert answers.prediction.top == expected.prediction.top
        assert answers.prediction.context == expected.prediction.context
        assert answers.prediction.quality == expected.prediction.quality
        assert list(answers.prediction.probabilities.values()) == pytest.approx(
            list(expected.prediction.probabilities.values()), abs=1e-4
        )
        for code in predictor.classes:
            assert np.abs(answers[code] - expected[code]).max() < 1e-3
        assert features == pytest.approx(predictor.features(file), abs=1e-4)
