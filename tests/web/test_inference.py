"""The model: loaded once, and what is said where it cannot be."""

from __future__ import annotations

import threading

import pytest
from flask import Flask

import derm_core
from derm_core import BundleError, PatientContext
from tests.web.conftest import Kept, Person
from tests.web.fakes import FakePredictor, picture
from web.inference import Inference


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
        inference.explain_all(picture(), context=PatientContext(), max_side=100)

    monkeypatch.setitem(vars(derm_core), "load_predictor", load)
    inference = Inference(model="some-model")
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["some-model"]
    assert inference.state == "ready"
