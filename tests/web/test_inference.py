"""The model: loaded once, the queue before it, and what is said where it cannot be asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask

import derm_core
from derm_core import BundleError, PatientContext
from tests.web.conftest import Kept, Person
from tests.web.fakes import FakePredictor, picture
from web.inference import Inference
from web.turns import ModelBusyError, Turns


def test_without_a_model_the_site_runs_and_says_what_is_wrong(
    mira: Person, app: Flask, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: object) -> None:
        raise BundleError("model.safetensors was altered.")

    monkeypatch.setitem(vars(derm_core), "load_predictor", fail)
    app.extensions["inference"] = Inference()
    assert mira.get("/healthz").json == {"status": "ok", "model": "waiting"}
    response = mira.upload()
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "60"
    assert "The model is not available" in response.text
    assert mira.get("/healthz").json == {"status": "ok", "model": "failed"}
    assert mira.get("/history").status_code == 200
    assert kept.files() == []


def test_the_model_is_loaded_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    arrived = threading.Barrier(4)

    def load(model: object) -> FakePredictor:
        loaded.append(model)
        return FakePredictor()

    def ask() -> None:
        arrived.wait(10)
        inference.answer(picture(), context=PatientContext(), max_side=100)

    monkeypatch.setitem(vars(derm_core), "load_predictor", load)
    inference = Inference(model="some-model")
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["some-model"]
    assert inference.state == "ready"


def test_a_request_is_refused_at_once_where_as_many_wait_as_may() -> None:
    turns = Turns(at_once=1, waiting_limit=1)
    with turns.request(), held_by_another(turns) as second:
        with pytest.raises(ModelBusyError, match="Try again in 5 seconds"), turns.request():
            pass
        assert (turns.busy, turns.waiting, turns.refused) == (1, 1, 1)
    second.join()
    assert (turns.busy, turns.waiting) == (0, 0)


def test_a_request_does_not_wait_for_ever() -> None:
    turns = Turns(at_once=1, patience_seconds=0.01)
    with turns.request(), pytest.raises(ModelBusyError), turns.request():
        pass
    with turns.request():
        assert turns.busy == 1


def test_a_request_goes_before_background_work() -> None:
    turns, order, stop = Turns(at_once=1), [], threading.Event()

    def in_the_background() -> None:
        with turns.background(stop) as granted:
            assert granted
            order.append("background")

    with turns.request():
        background = threading.Thread(target=in_the_background)
        background.start()
        with held_by_another(turns, lambda: order.append("request")) as request:
            pass
    request.join()
    background.join()
    assert order == ["request", "background"]


def test_requests_go_in_the_order_in_which_they_came() -> None:
    turns, order = Turns(at_once=1), []
    with ExitStack() as stack:
        stack.enter_context(turns.request())
        threads = []
        for number in range(4):
            threads.append(
                stack.enter_context(held_by_another(turns, lambda number=number: order.append(number)))
            )
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3]


def test_background_work_that_is_told_to_stop_gets_no_turn() -> None:
    turns, stop = Turns(at_once=1), threading.Event()
    stop.set()
    with turns.request(), turns.background(stop) as granted:
        assert not granted
    assert turns.busy == 0


def test_a_turn_is_given_back_when_something_breaks() -> None:
    turns = Turns(at_once=1)
    with pytest.raises(RuntimeError), turns.request():
        raise RuntimeError
    assert turns.busy == 0


def test_an_overloaded_site_says_when_to_come_back_and_stores_nothing(
    mira: Person, app: Flask, kept: Kept
) -> None:
    turns = app.extensions["inference"].turns = Turns(at_once=1, waiting_limit=0)
    with turns.request():
        response = mira.upload()
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "5"
        assert "Many pictures are being answered right now" in response.text
        assert mira.get("/history").status_code == 200
    assert kept.files() == []
    assert mira.upload().status_code == 303


@contextmanager
def held_by_another(turns: Turns, deed: Callable[[], object] = lambda: None) -> Iterator[threading.Thread]:
    """Another thread that waits for its turn, does the deed in it, and ends."""

    def wait() -> None:
        with turns.request():
            deed()

    thread, waiting = threading.Thread(target=wait), turns.waiting
    thread.start()
    while turns.waiting == waiting:
        time.sleep(0.001)
    yield thread
