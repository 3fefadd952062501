"""Age, sex and body site beside a picture: they reach the model, the answer says so, the next picture starts anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from derm_core import SEXES, SITES, ConfigError, PatientContext
from desktop import build_interface
from desktop.answering import answer_page
from desktop.patients import NOTHING, Given, patient_of
from desktop.picture_tab import show_answer
from tests.desktop.conftest import DARK, FakePredictor

pytestmark = pytest.mark.usefixtures("no_event_loop_is_left")

PATIENT = PatientContext(54, "female", "lower extremity")
WORDS = "54 years, female, lower extremity"


def upload_of(path: Path) -> dict[str, Any]:
    return {"path": str(path), "orig_name": path.name}


def ancestors(block: gr.blocks.Block) -> list[gr.blocks.Block]:
    return [] if block.parent is None else [block.parent, *ancestors(block.parent)]


def answer_of(interface: gr.Blocks) -> Any:
    """The handler of a picture, as Gradio calls it."""
    (handler,) = [
        fn for fn in interface.fns.values() if any(isinstance(part, gr.Image) for part in fn.inputs)
    ]
    return handler.fn


def test_what_is_known_reaches_the_model_and_is_said(predictor: FakePredictor, lesion: Path) -> None:
    *_, page = show_answer(predictor, upload_of(lesion), (" 54", "female", "lower extremity"))
    assert predictor.contexts == [PATIENT]
    assert f"Answered with: {WORDS}<" in page
    assert "The heatmap shows the photograph’s part" in page
    assert "At 21% this model finds" in page
    assert "Measured on 1,003 lesions" in page


def test_without_any_of_it_the_photograph_answers_alone(predictor: FakePredictor, lesion: Path) -> None:
    page = answer_page(predictor, lesion)
    assert predictor.contexts == [PatientContext()]
    assert "From the photograph alone<" in page
    assert "At 18% this model finds" in page
    assert "The heatmap shows the photograph’s part" not in page


def test_what_a_model_cannot_use_is_said_to_be_unused(lesion: Path) -> None:
    page = answer_page(FakePredictor(uses=()), lesion, patient=PATIENT)
    assert f"From the photograph alone. Given with it, but not used by this model: {WORDS}<" in page
    page = answer_page(FakePredictor(uses=("age",)), lesion, patient=PATIENT)
    assert (
        "Answered with: 54 years. Given with it, but not used by this model: female, lower extremity<" in page
    )


def test_without_an_answer_nothing_was_answered_with_it(lesion: Path) -> None:
    page = answer_page(FakePredictor(quality=(DARK,)), lesion, patient=PATIENT)
    assert f"Given with it: {WORDS}<" in page
    assert "Answered with" not in page
    assert "Given with it" not in answer_page(FakePredictor(quality=(DARK,)), lesion)


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (NOTHING, PatientContext()),
        ((None, None, None), PatientContext()),
        (("0", "", "ear"), PatientContext(0, site="ear")),
        (("0.5", "male", None), PatientContext(0.5, "male")),
    ],
)
def test_any_part_of_it_may_be_left_out(given: Given, known: PatientContext) -> None:
    assert patient_of(given) == known


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("200", "", ""), "The age is 200; it must be from 0 to 120 years, or left out."),
        (("old", "", ""), "Enter the age in years, such as 54, or leave it empty."),
        (("", "f", ""), "Unknown sex 'f'. Known: female, male."),
        (("", "", "knee"), "Unknown body site 'knee'."),
    ],
)
def test_a_wrong_value_is_one_sentence_and_nothing_is_answered(
    predictor: FakePredictor, lesion: Path, given: Given, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        patient_of(given)
    assert str(caught.value).startswith(sentence)
    asked, answered, complaint, page = show_answer(predictor, upload_of(lesion), given)
    assert [change["visible"] for change in (asked, answered, complaint)] == [True, False, True]
    assert sentence.replace("'", "&#x27;") in complaint["value"]
    assert page == ""
    assert predictor.seen == []


def test_the_next_picture_may_be_somebody_elses(
    predictor: FakePredictor, lesion: Path, no_picture: Path
) -> None:
    answer = answer_of(build_interface(predictor))
    assert answer(upload_of(lesion), [], "54", "female", "")[-3:] == NOTHING
    for upload, age in ((upload_of(no_picture), "54"), (upload_of(lesion), "200")):
        assert answer(upload, [], age, "female", "")[-3:] == (gr.skip(),) * 3


@pytest.mark.parametrize("uses", [("age", "sex", "site"), ()])
def test_only_a_model_that_can_use_it_asks_for_it(uses: tuple[str, ...]) -> None:
    interface = build_interface(FakePredictor(uses=uses))
    (group,) = [block for block in interface.blocks.values() if block.elem_id == "patient"]
    assert group.visible is bool(uses)
    sex, site = (
        block
        for block in interface.blocks.values()
        if isinstance(block, gr.Dropdown) and group in ancestors(block)
    )
    assert [value for _, value in sex.choices] == ["", *SEXES]
    assert [value for _, value in site.choices] == ["", *SITES]
