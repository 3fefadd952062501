"""An answer's page, its pictures, its note and its end."""

from __future__ import annotations

import re

import numpy as np
import pytest

from derm_core import DIAGNOSES, NOTICE
from tests.web.conftest import Kept, Person
from tests.web.fakes import DARK, INK, REFER, ROUTINE, FakePredictor, MeasuredPoint, image_of, picture
from web.pictures import sample_photograph


def test_the_page_of_a_referral_shows_risk_names_and_figures(mira: Person) -> None:
    text = mira.get(f"/answers/{mira.answered()}").text
    for wanted in (
        "Refer to a dermatologist",
        "Most of it is <b>melanoma</b>",
        "<strong>67%</strong>",
        "At 18% this model finds 95% (95% CI 92–97) of malignant lesions and spares 78% (95% CI 76–80) of benign ones.",
        "1,119 lesions that it was not trained on (val split of HAM10000).",
        "fake-network",
        "version 3",
        "9f3c71e2",
        "&lt;1%",
        NOTICE.replace("'", "&#39;"),
        *(DIAGNOSES[code].name for code in REFER),
    ):
        assert wanted in text, wanted
    assert ">0%<" not in text


def test_routine_says_that_it_clears_nothing(mira: Person, predictor: FakePredictor) -> None:
    predictor.probabilities = dict(ROUTINE)
    text = mira.get(f"/answers/{mira.answered()}").text
    assert "Routine follow-up" in text
    assert "A low figure does not rule out malignancy" in text


def test_no_answer_gives_no_probability_and_no_heatmap(
    mira: Person, predictor: FakePredictor, kept: Kept
) -> None:
    predictor.quality = (DARK,)
    key = mira.answered()
    text = mira.get(f"/answers/{key}").text
    assert "No answer for this picture" in text
    assert DARK.reason in text
    assert not re.search(r"\d+%", re.sub(r"<[^>]+>", "", text))
    assert "Melanoma" not in text
    assert mira.get(f"/answers/{key}/heatmap/mel").status_code == 404
    assert not any("heatmap" in path.name for path in kept.files())
    assert "Melanoma" not in mira.get("/history").text.partition("<tbody>")[2]


def test_what_cannot_be_ruled_out_is_said_where_the_answer_tells(
    mira: Person, predictor: FakePredictor, kept: Kept
) -> None:
    key = mira.answered()
    page = mira.get(f"/answers/{key}").text
    assert "Cannot be ruled out: melanoma, melanocytic naevus." in page
    assert "Of lesions of each diagnosis, 95% had theirs in such a list." in page
    assert (kept.row(key).plausible, kept.row(key).plausible_level) == (["mel", "nv"], 0.95)

    predictor.level = None
    without = mira.answered()
    assert "ruled out:" not in mira.get(f"/answers/{without}").text
    assert (kept.row(without).plausible, kept.row(without).plausible_level) == (None, None)

    predictor.level, predictor.quality = 0.95, (DARK,)
    assert "ruled out:" not in mira.get(f"/answers/{mira.answered()}").text


def test_a_note_on_the_picture_stands_beside_its_answer(mira: Person, predictor: FakePredictor) -> None:
    predictor.quality = (INK,)
    text = mira.get(f"/answers/{mira.answered()}").text
    assert INK.reason in text
    assert "Picture quality" in text
    assert "data-bad" not in text
    assert "Melanoma" in text


def test_a_benign_top_class_does_not_hide_why_to_refer(mira: Person, predictor: FakePredictor) -> None:
    predictor.probabilities = {
        "akiec": 0.05,
        "bcc": 0.05,
        "bkl": 0.1,
        "df": 0.0,
        "mel": 0.2,
        "nv": 0.6,
        "vasc": 0.0,
    }
    text = mira.get(f"/answers/{mira.answered()}").text
    assert "Melanocytic naevus is the most likely single diagnosis" in text
    assert 'data-code="mel" src=' in text


def test_a_model_with_other_classes_and_no_measured_figures_is_shown_too(
    mira: Person, predictor: FakePredictor
) -> None:
    predictor.probabilities = {"benign": 0.3, "malignant": 0.7}
    predictor.point = MeasuredPoint(
        sensitivity=None, specificity=None, sensitivity_ci95=None, specificity_ci95=None
    )
    response = mira.get(f"/answers/{mira.answered()}")
    assert response.status_code == 200
    assert "this model finds" not in response.text
    assert "Most of it is" not in response.text


def test_a_link_chooses_the_class_that_is_explained(mira: Person) -> None:
    key = mira.answered()
    shown = re.compile(r'<img class="map" data-code="(\w+)"')
    assert shown.findall(mira.get(f"/answers/{key}").text) == ["mel"]
    assert shown.findall(mira.get(f"/answers/{key}?class=nv").text) == ["nv"]
    assert shown.findall(mira.get(f"/answers/{key}?class=none").text) == []
    assert shown.findall(mira.get(f"/answers/{key}?class=../../etc").text) == ["mel"]


def test_each_class_has_its_own_overlay_at_the_shape_of_the_photograph(mira: Person) -> None:
    key = mira.answered(picture(300, 200))
    overlays = {code: mira.get(f"/answers/{key}/heatmap/{code}") for code in REFER}
    assert {response.mimetype for response in overlays.values()} == {"image/webp"}
    pixels = {
        code: np.asarray(image_of(response.data).convert("RGBA")) for code, response in overlays.items()
    }
    assert {array.shape for array in pixels.values()} == {(200, 300, 4)}
    assert pixels["akiec"][80, 75, 3] > 200
    assert pixels["akiec"][-1, -1, 3] == 0
    assert len({array.tobytes() for array in pixels.values()}) == len(REFER)


@pytest.mark.parametrize("code", ["xyz", "..", "mel.png", "photo", "%2e%2e%2fphoto"])
def test_a_class_that_is_none_has_no_heatmap(mira: Person, code: str) -> None:
    assert mira.get(f"/answers/{mira.answered()}/heatmap/{code}").status_code == 404


def test_photograph_and_thumbnail_are_sent_as_pictures(mira: Person) -> None:
    key = mira.answered(picture(800, 600))
    assert image_of(mira.get(f"/answers/{key}/photo").data).size == (800, 600)
    assert image_of(mira.get(f"/answers/{key}/thumbnail").data).size == (264, 198)
    assert mira.get(f"/answers/{key}/photo").mimetype == "image/jpeg"


def test_a_note_is_kept_changed_and_cleared(mira: Person, kept: Kept) -> None:
    key = mira.answered()
    for note, expected in (("First.\r\nSecond.\x00", "First.\nSecond."), ("Other", "Other"), ("  ", "")):
        assert mira.post(f"/answers/{key}/note", {"note": note}).status_code == 302
        assert kept.row(key).note == expected


def test_a_note_that_is_too_long_is_given_back_with_the_reason(mira: Person, kept: Kept) -> None:
    key = mira.answered(note="short")
    response = mira.post(f"/answers/{key}/note", {"note": "x" * 4001})
    assert response.status_code == 400
    assert "Use at most 4000 characters." in response.text
    assert "x" * 4001 in response.text
    assert kept.row(key).note == "short"


def test_deleting_is_asked_twice_and_leaves_neither_row_nor_file(mira: Person, kept: Kept) -> None:
    key, other = mira.answered(), mira.answered()
    page = mira.get(f"/answers/{key}").text
    assert f'href="/answers/{key}/delete" data-opens="delete"' in page
    assert "Delete this answer?" in mira.get(f"/answers/{key}/delete").text
    assert kept.rows() == 2
    assert mira.post(f"/answers/{key}/delete").location == "/history"
    assert kept.rows() == 1
    assert {path.parent.name for path in kept.files()} == {other}
    assert mira.get(f"/answers/{key}").status_code == 404


def test_the_sample_is_answered_in_one_click_and_marked(
    mira: Person, kept: Kept, predictor: FakePredictor
) -> None:
    response = mira.post("/new/sample")
    assert response.status_code == 303
    assert kept.row(response.location.rpartition("/")[2]).is_sample
    assert predictor.seen == [sample_photograph()]
    assert "Sample picture" in mira.get("/history").text
    assert "A picture that we drew" in mira.get(response.location).text


def test_an_empty_history_teaches_and_a_full_one_lists(mira: Person) -> None:
    assert "No answers yet" in mira.get("/history").text
    key = mira.answered(note="Left calf")
    text = mira.get("/history").text
    assert f"/answers/{key}/thumbnail" in text
    assert "Left calf" in text
    assert "1 answer," in text
