"""Models as files: what is taken in and what is refused, and which models may be removed."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from derm_core import Registry, pack_bundle
from tests.tiny_bundle import tiny_bundle
from tests.web.conftest import Person
from tests.web.test_batches import told
from web.batch_uploads import waiting_uploads
from web.database import db
from web.models import AuditEvent, Prediction


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a small model."""
    folder = tmp_path_factory.mktemp("packed")
    with tiny_bundle(folder / "bundle"):
        pack_bundle(folder / "bundle", folder / "tiny.dermbundle")
    return (folder / "tiny.dermbundle").read_bytes()


@pytest.fixture
def registry(app: Flask) -> Registry:
    return Registry(app.config["DERM_HOME"] / "models")


def add(person: Person, content: bytes, name: str = "clinic", sha256: str = "") -> TestResponse:
    response = person.post(
        "/admin/models/add",
        {"file": (io.BytesIO(content), "../../tiny.dermbundle"), "name": name, "sha256": sha256},
        content_type="multipart/form-data",
    )
    response.request.environ["wsgi.input"].close()
    return response


def altered(packed: bytes, name: str, content: bytes) -> bytes:
    """The same file, with one member changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as source, zipfile.ZipFile(buffer, "w") as target:
        for entry in source.infolist():
            target.writestr(entry, content if entry.filename == name else source.read(entry))
    return buffer.getvalue()


def deeds(app: Flask) -> list[tuple[str, str]]:
    with app.app_context():
        rows = db.session.execute(select(AuditEvent.action, AuditEvent.record).order_by(AuditEvent.id))
        return [(action, name) for action, name in rows if action.startswith("model.")]


def test_the_file_of_a_model_becomes_the_next_version_and_does_not_answer_yet(
    app: Flask, admin: Person, registry: Registry, packed: bytes
) -> None:
    assert "Add a model" in admin.get("/admin/models").text
    assert add(admin, packed, sha256=hashlib.sha256(packed).hexdigest().upper()).status_code == 303
    assert "clinic, version 1, is here" in admin.get("/admin/models").text
    assert [(entry.name, entry.version) for entry in registry.entries()] == [("clinic", 1)]
    assert (registry.resolve("clinic@1") / "model.safetensors").is_file()
    assert registry.chosen() == "bundled"
    assert deeds(app) == [("model.added", "clinic@1")]
    assert [path.name for path in registry.folder.glob(".*")] == []
    with app.app_context():
        assert list(waiting_uploads().root.iterdir()) == []


def test_without_a_name_it_is_called_what_it_calls_itself(
    admin: Person, registry: Registry, packed: bytes
) -> None:
    assert add(admin, packed, name=" ").status_code == 303
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        own = json.loads(archive.read("model.json"))["name"]
    assert [entry.name for entry in registry.entries()] == [own]


def test_what_is_no_model_or_another_one_is_refused_and_leaves_nothing(
    app: Flask, admin: Person, registry: Registry, packed: bytes
) -> None:
    def refused(response: TestResponse) -> str:
        assert response.status_code == 400
        assert registry.entries() == ()
        assert [path for path in registry.folder.rglob("*") if path.name != "registry.lock"] == []
        return told(response)

    assert "holds no model" in refused(add(admin, b"no zip"))
    assert "was altered or cut short" in refused(add(admin, packed[:-400]))
    assert "model.safetensors is not the file that was packed" in refused(
        add(admin, altered(packed, "model.safetensors", b"x" * 100))
    )
    assert "model.json is not the file that was packed" in refused(
        add(admin, altered(packed, "model.json", b"{}"))
    )
    assert "not the one that you entered" in refused(add(admin, packed, sha256="0" * 64))
    assert "cannot be registered as" in refused(add(admin, packed, name="../evil"))
    assert "Choose the file of a model first" in refused(admin.post("/admin/models/add", {"name": "clinic"}))
    response = add(admin, packed, sha256="12 34")
    assert response.status_code == 400
    assert "A SHA-256 has 64 digits" in response.text
    assert deeds(app) == []


def test_a_model_that_is_here_already_is_not_taken_in_again(
    admin: Person, registry: Registry, packed: bytes
) -> None:
    add(admin, packed)
    response = add(admin, packed, name="other")
    assert (response.status_code, told(response)) == (400, "This model is here already: clinic, version 1.")
    assert [(entry.name, entry.version) for entry in registry.entries()] == [("clinic", 1)]


def test_a_file_over_the_limit_is_refused_in_a_sentence(
    make_app: Callable[..., Flask], app: Flask, admin: Person, packed: bytes, registry: Registry
) -> None:
    small = Person(make_app(DERM_MODEL_MB=1, MAX_CONTENT_LENGTH=100_000), admin.email)
    small.login()
    response = add(small, bytes(1_500_000))
    assert response.status_code == 413
    assert "larger than the 1 MB that a model's file may have here" in told(response)
    assert add(small, packed[:900_000]).status_code in (303, 400)  # over what any other form may send


def test_only_admins_may_send_that_much(make_app: Callable[..., Flask], mira: Person, packed: bytes) -> None:
    app = make_app(MAX_CONTENT_LENGTH=1000)
    for person in (Person(app, mira.email), Person(app)):
        person.login()
        response = add(person, packed)
        assert response.status_code in (302, 403)
        assert "Add a model" not in response.text
    assert Registry(app.config["DERM_HOME"] / "models").entries() == ()


def test_a_model_without_answers_is_removed_for_good(
    app: Flask, admin: Person, registry: Registry, packed: bytes
) -> None:
    add(admin, packed)
    folder = registry.resolve("clinic@1")
    assert "/admin/models/clinic@1/remove" in admin.get("/admin/models").text
    page = admin.get("/admin/models/clinic@1/remove")
    assert "Remove clinic, version 1?" in page.text
    assert folder.is_dir()
    assert admin.post("/admin/models/clinic@1/remove").status_code == 303
    assert (folder.exists(), registry.entries()) == (False, ())
    assert deeds(app)[-1] == ("model.removed", "clinic@1")
    assert admin.get("/admin/models/clinic@1/remove").status_code == 404


def test_a_model_that_somebody_was_answered_with_stays(
    app: Flask, admin: Person, mira: Person, registry: Registry, packed: bytes
) -> None:
    add(admin, packed)
    mira.answered()
    with app.app_context():
        (entry,) = registry.entries()
        db.session.execute(update(Prediction).values(model_sha256=entry.weights_sha256))
        db.session.commit()
    response = admin.post("/admin/models/clinic@1/remove")
    assert response.status_code == 409
    assert told(response).startswith("1 answer was made with this model.")
    assert "/admin/models/clinic@1/remove" not in admin.get("/admin/models").text
    assert registry.resolve("clinic@1").is_dir()


@pytest.mark.parametrize("model", ["clinic@1", "bundled"])
def test_the_model_that_answers_and_the_one_that_ships_stay(
    admin: Person, registry: Registry, packed: bytes, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.web.fakes import FakePredictor

    monkeypatch.setattr("derm_core.load_predictor", lambda folder: FakePredictor())
    add(admin, packed)
    admin.post("/admin/models/clinic@1/serve")
    assert admin.post(f"/admin/models/{model}/remove").status_code == 409
    assert registry.resolve("clinic@1").is_dir()


def test_a_model_whose_files_were_altered_can_be_removed(
    admin: Person, registry: Registry, packed: bytes
) -> None:
    add(admin, packed)
    (Path(registry.resolve("clinic@1")) / "model.json").write_text("{}")
    assert admin.post("/admin/models/clinic@1/remove").status_code == 303
    assert registry.entries() == ()
