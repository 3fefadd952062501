"""What stands beside an answer when it is asked for: other explanations, and similar confirmed cases."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

import derm_core
from derm_core import BundleError
from tests.tiny_bundle import tiny_bundle
from tests.web.case_index import index_at
from tests.web.conftest import Person
from tests.web.fakes import DARK, FakePredictor, image_of, picture
from web.database import db
from web.inference import Inference, inference
from web.models import AuditEvent, Prediction, Share, User


@pytest.fixture
def indexed(make_app: Callable[..., Flask], predictor: FakePredictor, tmp_path: Path) -> Flask:
    return make_app(DERM_CASES=str(index_at(tmp_path / "cases", predictor)))


@pytest.fixture
def reader(indexed: Flask) -> Person:
    """A signed-in user of a site that has an index."""
    person = Person(indexed)
    assert person.register().status_code == 302
    return person


def pictures_in(page: str) -> list[str]:
    return re.findall(r'src="(/cases/[^"]+)"', page)


def test_similar_cases_are_shown_with_diagnosis_and_likeness_the_most_similar_first(
    reader: Person, predictor: FakePredictor
) -> None:
    key = reader.answered()
    assert f'href="/answers/{key}/similar"' in reader.get(f"/answers/{key}").text
    asked = len(predictor.seen)
    page = reader.get(f"/answers/{key}/similar").text
    assert len(predictor.seen) == asked + 1
    shown = [page.index(name) for name in ("Melanoma", "Melanocytic naevus", "Basal cell carcinoma")]
    assert shown == sorted(shown)
    assert "Dermatofibroma" not in page
    assert "likeness 97%" in page
    assert "confirmed by histopathology" in page
    assert "among 5 photographs of Clinic 2025" in page
    assert len(pictures_in(page)) == 4


def test_what_names_a_patient_in_the_index_is_not_on_the_page(reader: Person) -> None:
    page = reader.get(f"/answers/{reader.answered()}/similar").text
    assert not re.search("Yilmaz|patient-mel|female", page)
    # The keys in addresses are random, and may hold any number: the age is looked for in the words.
    words = re.sub("<[^>]*>", " ", page)
    assert "Similar" in words
    assert "103" not in words


def test_the_picture_of_a_case_opens_to_the_one_to_whom_it_was_shown(reader: Person, indexed: Flask) -> None:
    (first, *_) = pictures_in(reader.get(f"/answers/{reader.answered()}/similar").text)
    response = reader.get(first)
    assert response.mimetype == "image/jpeg"
    assert image_of(response.data).size == (24, 18)
    other = Person(indexed, "other@clinic.org", "Olu Other")
    assert other.get(first).location.startswith("/login")
    other.register()
    assert other.get(first).status_code == 404
    assert reader.get(f"{first}x").status_code == 404
    assert reader.get("/cases/0").status_code == 404


def test_an_index_without_pictures_shows_none(
    make_app: Callable[..., Flask], predictor: FakePredictor, tmp_path: Path
) -> None:
    person = Person(make_app(DERM_CASES=str(index_at(tmp_path / "bare", predictor, pictures=False))))
    person.register()
    page = person.get(f"/answers/{person.answered()}/similar").text
    assert "Melanoma" in page
    assert pictures_in(page) == []


def test_without_an_index_nothing_is_offered(mira: Person) -> None:
    key = mira.answered()
    assert "Similar" not in mira.get(f"/answers/{key}").text
    assert mira.get(f"/answers/{key}/similar").location == f"/answers/{key}"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder, predictor: folder / "nothing", "it has no index.json"),
        (
            lambda folder, predictor: index_at(folder / "x", _with_other_weights(predictor)),
            "was made with the model other-network",
        ),
        (
            lambda folder, predictor: index_at(folder / "x", predictor, confirmed_by=""),
            "holds no case whose diagnosis somebody has confirmed",
        ),
    ],
    ids=["missing", "other weights", "unconfirmed"],
)
def test_an_index_that_cannot_be_used_is_told_at_start_and_the_site_runs(
    make_app: Callable[..., Flask],
    predictor: FakePredictor,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path, Any], Path],
    reason: str,
) -> None:
    with caplog.at_level(logging.ERROR):
        person = Person(make_app(DERM_CASES=str(spoil(tmp_path, predictor))))
    (told,) = [record.getMessage() for record in caplog.records if record.name == "web.cases"]
    assert told.startswith("DERM_CASES cannot be used, so no similar cases are shown.")
    assert reason in told
    person.register()
    assert "Similar" not in person.get(f"/answers/{person.answered()}").text


def _with_other_weights(predictor: FakePredictor) -> Any:
    description = SimpleNamespace(**vars(predictor.description) | {"name": "other-network"})
    description.weights_sha256 = "0" * 64
    return SimpleNamespace(description=description)


def test_cases_of_the_model_before_go_when_another_model_answers(
    reader: Person, indexed: Flask, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = reader.answered()
    other = FakePredictor()
    described = _with_other_weights(predictor).description
    monkeypatch.setattr(FakePredictor, "description", property(lambda self: described))
    monkeypatch.setitem(vars(derm_core), "load_predictor", lambda model: other)
    with indexed.app_context():
        inference().follow("another")
        assert inference().cases is None
    page = reader.get(f"/answers/{key}").text
    assert "Similar" not in page
    assert "Other explanations" not in page
    assert reader.get(f"/answers/{key}/explanations").location == f"/answers/{key}"
    assert reader.get(f"/answers/{key}/explanations/layer_cam/mel").status_code == 404


def test_an_answer_is_explained_otherwise_when_that_is_asked_for(mira: Person) -> None:
    key = mira.answered()
    offered = f"/answers/{key}/explanations?class=mel"
    assert offered in mira.get(f"/answers/{key}").text
    page = mira.get(offered).text
    assert "LayerCAM" in page
    assert "method=grad_cam" not in page
    chosen = mira.get(f"{offered}&method=layer_cam").text
    assert "What speaks for Melanoma, by LayerCAM" in chosen
    assert "Where each place speaks for itself." in chosen
    overlay = mira.get(f"/answers/{key}/explanations/layer_cam/mel")
    assert overlay.mimetype == "image/webp"
    assert image_of(overlay.data).size == (160, 120)


@pytest.mark.parametrize("rest", ["occlusion/mel", "grad_cam/mel", "layer_cam/wart"])
def test_what_is_not_offered_is_not_made(mira: Person, predictor: FakePredictor, rest: str) -> None:
    key = mira.answered()
    asked = len(predictor.seen)
    assert mira.get(f"/answers/{key}/explanations/{rest}").status_code == 404
    assert len(predictor.seen) == asked


def test_a_model_whose_files_changed_is_said_to_have(mira: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(predictor: object) -> None:
        raise BundleError("holds other weights")

    key = mira.answered()
    monkeypatch.setitem(vars(derm_core), "explanation_methods", fail)
    page = mira.get(f"/answers/{key}/explanations")
    assert page.status_code == 200
    assert "the files of the model have changed" in page.text
    assert mira.get(f"/answers/{key}/explanations/layer_cam/mel").status_code == 404


def test_where_there_is_no_answer_there_is_nothing_beside_it(
    reader: Person, predictor: FakePredictor
) -> None:
    predictor.quality = (DARK,)
    key = reader.answered()
    page = reader.get(f"/answers/{key}").text
    assert "Similar" not in page
    assert "Other explanations" not in page
    for part in ("similar", "explanations"):
        assert reader.get(f"/answers/{key}/{part}").location == f"/answers/{key}"
    assert reader.get(f"/answers/{key}/explanations/layer_cam/mel").status_code == 404


def test_whoever_an_answer_is_shared_with_sees_what_is_beside_it_and_the_log_tells(
    reader: Person, indexed: Flask
) -> None:
    key = reader.answered()
    karin = Person(indexed, "karin@hospital.org", "Dr Karin Klein")
    karin.register()
    karin.becomes("clinician")
    assert karin.get(f"/answers/{key}/similar").status_code == 404
    with indexed.app_context():
        clinician = db.session.scalars(db.select(User.id).where(User.email == karin.email)).one()
        answer = db.session.scalars(db.select(Prediction.id)).one()
        db.session.add(Share(prediction_id=answer, clinician_id=clinician))
        db.session.commit()
    assert karin.get(f"/answers/{key}/similar").status_code == 200
    assert karin.get(f"/answers/{key}/explanations").status_code == 200
    with indexed.app_context():
        seen = db.session.scalars(db.select(AuditEvent).where(AuditEvent.action == "answer.seen")).all()
        assert [event.record for event in seen] == [key, key]


def test_a_network_is_explained_otherwise_by_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("explanation_methods", "explain_by"):
        monkeypatch.delitem(vars(derm_core), name)
    with tiny_bundle(tmp_path / "bundle"):
        inference = Inference(derm_core.load_predictor(tmp_path / "bundle", runtime="eager"))
        names = [method.name for method in inference.methods()]
        assert "grad_cam" not in names
        assert "layer_cam" in names
        heatmap = inference.heatmap(picture(), "mel", method="layer_cam", max_side=80)
    assert heatmap.shape == (60, 80)
    assert 0.5 < heatmap.max() <= 1
