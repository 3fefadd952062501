"""The model: loaded once, the queue before it, and what is said where it cannot be asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import cast

import pytest
from flask import Flask

import derm_core
from derm_core import BundleError, PatientContext
from tests.web.conftest import Kept, Person
from tests.web.fakes import FakePredictor, picture
from web.explains import Explains
from web.inference import Inference, ModelUnavailableError, init_inference
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


class Gathers:
    """A predictor on a GPU, of which only that it gathers its callers is asked."""

    description = FakePredictor().description
    passes = SimpleNamespace(answer=None, explain_all=None, at_once=1)
    batches = True


@pytest.mark.parametrize(
    ("together", "on_gpu", "turns"),
    [(0, True, 2), (6, True, 6), (6, False, 6), (1, True, None), (0, False, None)],
)
def test_pictures_share_passes_on_a_gpu_or_where_that_was_asked_for(
    together: int, on_gpu: bool, turns: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gathers, "batches", on_gpu)
    given: dict[str, object] = {}

    def gathering(predictor: object, **options: object) -> object:
        given.update(options)
        return predictor

    monkeypatch.setitem(vars(derm_core), "GatheringPredictor", gathering)
    inference = Inference(cast("Explains", Gathers()), turns=Turns(2), together=together, together_ms=3)
    assert inference.state == "ready"
    assert given == ({} if turns is None else {"pictures": turns, "milliseconds": 3})
    assert inference.turns.at_once == (turns or 2)


def test_what_asks_the_model_itself_asks_the_one_behind_the_shared_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    monkeypatch.setitem(
        vars(derm_core), "explanation_methods", lambda predictor: asked.append(predictor) or ()
    )
    predictor = Gathers()
    inference = Inference(cast("Explains", predictor), together=4)
    assert isinstance(inference._predictor, derm_core.GatheringPredictor)
    assert inference.methods() == ()
    assert asked == [predictor]


def test_the_settings_reach_the_model(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    app.config.update(DERM_MICRO_BATCH=3, DERM_MICRO_BATCH_MS=7)
    init_inference(app)
    loaded = app.extensions["inference"]
    monkeypatch.setitem(vars(derm_core), "load_predictor", lambda model: Gathers())
    given: dict[str, object] = {}
    monkeypatch.setitem(
        vars(derm_core), "GatheringPredictor", lambda predictor, **options: given.update(options) or predictor
    )
    loaded.load()
    assert given == {"pictures": 3, "milliseconds": 7}


def test_what_is_wrong_with_a_model_is_logged_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(model: object) -> None:
        raise BundleError("Unknown model 'nope'. Known: bundled.")

    monkeypatch.setitem(vars(derm_core), "load_predictor", fail)
    with pytest.raises(ModelUnavailableError):
        Inference(model="nope").load()
    (told,) = caplog.records
    assert told.getMessage() == "The model cannot be loaded: Unknown model 'nope'. Known: bundled."
    assert not told.exc_info
