"""Models: what is registered, and the switch of the one that answers, in this process and in others."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

import derm_core
from derm_core import BundleError, Registry
from tests.web.conftest import Kept, Person
from tests.web.fakes import ROUTINE, FakePredictor
from web.serving_model import serving_model

BUNDLED = Path(derm_core.__file__).parent / "bundled"


@pytest.fixture
def registry(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Two versions of a model under the app's home; what they load is fake, and answers "routine"."""
    monkeypatch.setattr("derm_core.load_predictor", lambda folder: FakePredictor(dict(ROUTINE)))
    bundle = tmp_path / "bundle"
    shutil.copytree(BUNDLED, bundle)
    registry = Registry(app.config["DERM_HOME"] / "models")
    registry.register("clinic", bundle)
    registry.register("clinic", bundle)
    return registry


def wait_for_switch() -> None:
    for thread in threading.enumerate():
        if thread.name == "switch-model":
            thread.join(10)


def advice(person: Person, kept: Kept) -> str:
    return kept.row(person.answered()).advice


def test_the_page_lists_every_version_with_its_figures(admin: Person, registry: Registry) -> None:
    metrics = json.loads((BUNDLED / "model.json").read_text())["metrics"]
    page = admin.get("/admin/models").text
    assert page.count("Serve this") == 2
    assert f"{metrics['macro_f1']:.2f}" in page
    assert "ships with Dermatrace" in page
    assert "What it is for" in admin.get("/admin/models/clinic@1").text
    assert admin.get("/admin/models/clinic@9").status_code == 404


def test_a_switch_takes_effect_at_once_and_old_answers_stay(
    admin: Person, registry: Registry, kept: Kept
) -> None:
    old = admin.answered()
    assert kept.row(old).advice == "refer"
    assert "Serve clinic, version 2?" in admin.get("/admin/models/clinic@2/serve").text
    assert admin.post("/admin/models/clinic@2/serve").status_code == 302
    assert advice(admin, kept) == "routine"
    assert kept.row(old).advice == "refer"
    assert registry.chosen() == "clinic"
    assert registry.resolve("clinic").name == "2"
    assert "clinic@2" in admin.get("/admin/audit").text


def test_another_process_follows_at_its_next_request(
    admin: Person, registry: Registry, make_app: Callable[..., Flask]
) -> None:
    other = make_app()
    visitor = Person(other)
    serving = other.extensions["serving-model"]
    serving.first()
    admin.post("/admin/models/clinic@2/serve")
    before = other.extensions["inference"]._predictor
    assert visitor.get("/about").status_code == 200
    wait_for_switch()
    assert other.extensions["inference"]._predictor is not before
    assert serving.wanted() == "clinic@2"


def test_a_request_reads_the_registry_again_only_when_it_changed(
    admin: Person, registry: Registry, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.get("/about")
    wait_for_switch()
    monkeypatch.setattr(Registry, "entries", lambda self: pytest.fail("read without need"))
    assert admin.get("/about").status_code == 200
    wait_for_switch()


def test_a_model_that_cannot_be_loaded_is_never_switched_to(
    admin: Person, registry: Registry, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise BundleError("The weights were cut short.")

    monkeypatch.setattr("derm_core.load_predictor", broken)
    response = admin.post("/admin/models/clinic@2/serve")
    assert response.status_code == 409
    assert "cannot be loaded" in response.text
    assert registry.chosen() == "bundled"
    assert advice(admin, kept) == "refer"


def test_an_altered_model_is_never_switched_to(admin: Person, registry: Registry) -> None:
    with open(registry.folder / "clinic" / "2" / "model.safetensors", "ab") as stream:
        stream.write(b" ")
    response = admin.post("/admin/models/clinic@2/serve")
    assert response.status_code == 409
    assert "is not the file that was registered" in response.text
    assert registry.chosen() == "bundled"


def test_the_bundled_model_is_served_again(admin: Person, registry: Registry, app: Flask) -> None:
    admin.post("/admin/models/clinic@1/serve")
    assert admin.post("/admin/models/bundled/serve").status_code == 302
    assert registry.chosen() == "bundled"
    with app.app_context():
        assert serving_model().wanted() == "bundled"


def test_a_model_that_the_server_names_is_not_chosen_on_the_page(
    admin: Person, registry: Registry, make_app: Callable[..., Flask]
) -> None:
    pinned = Person(make_app(DERM_MODEL="clinic"), admin.email)
    pinned.login()
    page = pinned.get("/admin/models").text
    assert "DERM_MODEL names" in page
    assert "Serve this" not in page
    assert pinned.post("/admin/models/clinic@2/serve").status_code == 409
    assert registry.chosen() == "bundled"
    assert registry.resolve("clinic").name == "1"
