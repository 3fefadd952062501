"""What whoever runs the server can ask: readiness and figures; and what these never tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from derm_core import ConfigError
from tests.web.conftest import Person
from tests.web.fakes import picture
from tests.web.test_batches import sent
from web.database import db
from web.inference import Inference

TOKEN = "a-token-of-some-length"


def figures(person: Person, **options: object) -> dict[str, float]:
    """Every sample as `name{label="value"}`."""
    response = person.get("/metrics", **options)
    assert response.status_code == 200
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_it_is_ready_when_database_and_model_are(visitor: Person, app: Flask) -> None:
    response = visitor.get("/readyz")
    assert (response.status_code, response.json) == (
        200,
        {"status": "ready", "database": "ready", "model": "ready"},
    )
    app.extensions["inference"] = Inference()
    response = visitor.get("/readyz")
    assert (response.status_code, response.json["model"]) == (503, "waiting")


def test_without_its_database_it_is_not_ready(visitor: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr(db.session, "execute", fail)
    response = visitor.get("/readyz")
    assert (response.status_code, response.json["database"]) == (503, "failed")


def test_requests_are_counted_by_endpoint_and_the_state_is_told(app: Flask, mira: Person) -> None:
    key = mira.answered(note="private note")
    mira.get(f"/answers/{key}")
    mira.get("/nothing/private-path")
    mira.client.open("/history", method="PRIVATE")
    sent(mira, {"private.jpg": picture()})
    found = figures(mira)
    assert found["derm_requests_total[predictions.answer][GET][200]"] == 1
    assert found["derm_requests_total[none][GET][404]"] == 1
    assert found["derm_request_seconds_count[predictions.new]"] >= 1
    assert found["derm_batch_items[waiting]"] == 1
    assert (found["derm_model_ready"], found["derm_model_waiting"], found["derm_model_busy"]) == (1, 0, 0)
    text = mira.get("/metrics").text
    assert not any(word in text for word in (key, "private", "PRIVATE", mira.email, "Mira", "127.0.0.1"))


def test_a_paused_batch_does_not_count_as_waiting(mira: Person) -> None:
    sent(mira, {"waits.jpg": picture(32, 32)})
    paused = sent(mira, {f"{number}.jpg": picture(32, 32) for number in range(3)})
    mira.post(f"/batches/{paused}/pause")
    found = figures(mira)
    assert (found["derm_batch_items[waiting]"], found["derm_batch_items[paused]"]) == (1, 3)
    mira.post(f"/batches/{paused}/continue")
    found = figures(mira)
    assert (found["derm_batch_items[waiting]"], found["derm_batch_items[paused]"]) == (4, 0)


def test_figures_are_for_this_machine_alone(visitor: Person) -> None:
    assert visitor.get("/metrics").status_code == 200
    assert visitor.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 404
    assert visitor.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 404


def test_with_a_token_figures_are_for_whoever_has_it(make_app: Callable[..., Flask]) -> None:
    visitor = Person(make_app(DERM_METRICS_TOKEN=TOKEN))
    far = {"REMOTE_ADDR": "192.0.2.7"}
    assert figures(visitor, environ_base=far, headers={"Authorization": f"Bearer {TOKEN}"})
    for given in ({}, {"Authorization": "Bearer another"}, {"Authorization": "Bearer schlüssel"}):
        assert visitor.get("/metrics", headers=given).status_code == 404


def test_a_token_that_can_be_guessed_is_refused(make_app: Callable[..., Flask]) -> None:
    with pytest.raises(ConfigError, match="DERM_METRICS_TOKEN is too short"):
        make_app(DERM_METRICS_TOKEN="short")
