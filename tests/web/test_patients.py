"""Age, sex and body site beside a photograph: asked for, kept, said, and never written into a log."""

from __future__ import annotations

import html
import logging
import re

import pytest
from flask import Flask
from sqlalchemy import text

import derm_core
from derm_core import SEXES, SITES, ConfigError, PatientContext
from tests.web.conftest import Kept, Person
from tests.web.fakes import DARK, FakePredictor
from web.database import db
from web.inference import Inference
from web.patients import AGES

PATIENT = {"age": "54", "sex": "female", "site": "lower extremity"}
WORDS = "54 years, female, lower extremity"
ALONE = "From the photograph alone"


def words(page: str) -> str:
    """What a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_what_is_known_reaches_the_model_and_is_kept_and_said(
    mira: Person, kept: Kept, predictor: FakePredictor
) -> None:
    key = mira.answered(**PATIENT)
    assert predictor.contexts == [PatientContext(54.0, "female", "lower extremity")]
    row = kept.row(key)
    assert (row.age, row.sex, row.site, row.context) == (54.0, "female", "lower extremity", "age sex site")
    page = words(mira.get(f"/answers/{key}").text)
    assert f"Answered with: {WORDS}" in page
    assert "The heatmap shows the photograph’s part" in page
    assert f"Answered with: {WORDS}" in words(mira.get("/history").text)
    assert "what you gave of the patient" in page


def test_without_any_of_it_the_photograph_answers_alone(
    mira: Person, kept: Kept, predictor: FakePredictor
) -> None:
    key = mira.answered(age=" ", sex="", site="")
    assert predictor.contexts == [PatientContext()]
    row = kept.row(key)
    assert (row.age, row.sex, row.site, row.context) == (None, "", "", "")
    page = words(mira.get(f"/answers/{key}").text)
    assert ALONE in page
    assert "The heatmap shows the photograph’s part" not in page
    assert "what you gave of the patient" not in page
    assert ALONE not in words(mira.get("/history").text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"age": "0"}, "0 years"),
        ({"age": "1"}, "1 year"),
        ({"age": "0.5", "site": "scalp"}, "0.5 years, scalp"),
        ({"age": "120"}, "120 years"),
        ({"sex": "male"}, "male"),
    ],
)
def test_any_part_of_it_may_be_known(mira: Person, given: dict[str, str], said: str) -> None:
    assert f"Answered with: {said} Refer" in words(mira.get(f"/answers/{mira.answered(**given)}").text)


def test_an_answer_moved_by_it_follows_its_own_operating_point(mira: Person, kept: Kept) -> None:
    moved, alone = kept.row(mira.answered(**PATIENT)), kept.row(mira.answered())
    assert (moved.operating_point, alone.operating_point) == (0.21, 0.18)
    assert moved.operating_point_measured["threshold"] == 0.21
    assert alone.operating_point_measured["threshold"] == 0.18
    assert "At 21% this model finds 96%" in mira.get(f"/answers/{moved.key}").text


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"age": "200"}, "The age is 200; it must be from 0 to 120 years, or left out."),
        ({"age": "-1"}, "The age is -1; it must be from 0 to 120 years, or left out."),
        ({"age": "nan"}, "The age is nan; it must be from 0 to 120 years, or left out."),
        ({"age": "about fifty"}, "Enter the age in years, such as 54, or leave it empty."),
        ({"sex": "f"}, "Choose a sex of the list, or Not recorded."),
        ({"site": "left knee"}, "Choose a body site of the list, or Not recorded."),
    ],
)
def test_a_wrong_value_is_one_sentence_beside_what_was_entered(
    mira: Person, kept: Kept, predictor: FakePredictor, wrong: dict[str, str], sentence: str
) -> None:
    response = mira.upload(note="still here", **PATIENT | wrong)
    assert response.status_code == 400
    assert re.findall(r'<p class="field-error".*?<span>(.*?)</span>', response.text) == [sentence]
    assert response.text.count('aria-invalid="true"') == 1
    entered = PATIENT | wrong
    assert f'value="{entered["age"]}"' in response.text
    for name in {"sex", "site"} - wrong.keys():
        assert f'<option selected value="{entered[name]}">' in response.text
    assert "still here" in response.text
    assert predictor.seen == []
    assert (kept.rows(), kept.files()) == (0, [])


def test_the_form_keeps_the_patient_where_the_picture_is_wrong(mira: Person) -> None:
    page = mira.upload(b"not a picture", **PATIENT).text
    assert 'value="54"' in page
    assert '<option selected value="lower extremity">' in page


def test_the_form_offers_what_the_engine_knows(mira: Person) -> None:
    page = mira.get("/new").text
    offered = re.findall(r'<option (?:selected )?value="([^"]*)">([^<]+)', page)
    assert [value for value, _ in offered] == ["", *SEXES, "", *SITES]
    assert ("upper extremity", "Upper extremity") in offered
    age = re.search(r'<input[^>]*name="age"[^>]*>', page)
    assert age
    assert {'type="number"', f'min="{AGES[0]}"', f'max="{AGES[1]}"'} <= set(age[0].strip("<>").split())
    for years in AGES:
        assert PatientContext(years).age == years
    for years in (AGES[0] - 1, AGES[1] + 1):
        with pytest.raises(ConfigError):
            PatientContext(years)


def test_a_model_that_cannot_use_it_does_not_ask_and_says_nothing_of_having_used_it(
    mira: Person, kept: Kept, predictor: FakePredictor
) -> None:
    predictor.uses = ()
    assert "About the patient" not in mira.get("/new").text
    key = mira.answered(**PATIENT)
    row = kept.row(key)
    assert (row.age, row.sex, row.site, row.context) == (54.0, "female", "lower extremity", "")
    page = words(mira.get(f"/answers/{key}").text)
    assert f"{ALONE}. Given with it, but not used by this model: {WORDS}" in page
    assert "Answered with" not in page + words(mira.get("/history").text)


def test_what_a_model_has_not_met_is_said_to_be_unused(
    mira: Person, kept: Kept, predictor: FakePredictor
) -> None:
    predictor.uses = ("age",)
    key = mira.answered(**PATIENT)
    assert kept.row(key).context == "age"
    page = words(mira.get(f"/answers/{key}").text)
    assert (
        "Answered with: 54 years. Given with it, but not used by this model: female, lower extremity" in page
    )


def test_what_was_sent_to_a_model_that_cannot_use_it_is_still_given_back(
    mira: Person, predictor: FakePredictor
) -> None:
    predictor.uses = ()
    response = mira.upload(age="200")
    assert response.status_code == 400
    assert "The age is 200; it must be from 0 to 120 years" in response.text


def test_a_model_that_is_still_loading_may_be_one_that_uses_it(app: Flask, mira: Person) -> None:
    app.extensions["inference"] = Inference()
    assert app.extensions["inference"].uses_context is None
    assert "About the patient" in mira.get("/new").text


def test_without_an_answer_nothing_was_answered_with_it(mira: Person, predictor: FakePredictor) -> None:
    predictor.quality = (DARK,)
    key = mira.answered(**PATIENT)
    bare = mira.answered()
    page = words(mira.get(f"/answers/{key}").text)
    assert f"Given with it: {WORDS}" in page
    for text_ in (page, words(mira.get(f"/answers/{bare}").text), words(mira.get("/history").text)):
        assert "Answered with" not in text_
        assert ALONE not in text_


def test_no_log_tells_of_the_patient(
    mira: Person, app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: object) -> None:
        raise derm_core.BundleError("model.safetensors was altered.")

    caplog.set_level(logging.DEBUG)
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    secret = PATIENT | {"age": "97.125", "note": "Ms Nemo"}
    mira.get(f"/answers/{mira.answered(**secret)}")
    assert mira.upload(**secret | {"age": "197.125"}).status_code == 400
    with app.app_context():
        db.session.execute(
            text(
                "CREATE TRIGGER full BEFORE INSERT ON predictions BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            )
        )
        db.session.commit()
    assert mira.upload(**secret).status_code == 500
    assert "disk full" in caplog.text
    monkeypatch.setitem(vars(derm_core), "load_predictor", fail)
    app.extensions["inference"] = Inference()
    assert mira.upload(**secret).status_code == 503
    assert "model.safetensors was altered." in caplog.text
    for word in ("97.125", "lower extremity", "Ms Nemo"):
        assert word not in caplog.text
