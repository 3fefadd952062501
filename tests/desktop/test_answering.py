"""The page of an answer: what it says, what it withholds, and that nothing from outside becomes markup."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from derm_core import NOTICE, InvalidImageError
from desktop.answering import answer_page
from desktop.pictures import PHOTO_SIDE, bounded
from tests.desktop.conftest import DARK, INK, ROUTINE, FakePredictor


def picture_in(page: str) -> Image.Image:
    found = re.search(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert found
    return Image.open(io.BytesIO(base64.b64decode(found[1])))


def test_a_risky_picture_is_referred_with_its_figures(predictor: FakePredictor, lesion: Path) -> None:
    page = answer_page(predictor, lesion, "left shoulder.jpg")
    assert 'data-advice="refer"' in page
    assert "Refer to a dermatologist" in page
    assert "at or above the operating point of 18%. Most of it is <b>melanoma</b>." in page
    assert "<strong>67%</strong>" in page
    assert "Melanocytic naevus" in page
    assert 'aria-label="Dermatofibroma: &lt;1%, benign"' in page
    assert "finds 95% (95% CI 92–97) of malignant lesions and spares 78% of benign ones" in page
    assert "Measured on 1,119 lesions" in page
    assert NOTICE.replace("'", "&#x27;") in page


def test_a_quiet_picture_is_routine_and_rules_nothing_out(lesion: Path) -> None:
    page = answer_page(FakePredictor(ROUTINE), lesion)
    assert 'data-advice="routine"' in page
    assert "below the operating point of 18%" in page
    assert "does not rule out malignancy" in page


def test_a_benign_favourite_beside_a_high_risk_is_explained(lesion: Path) -> None:
    page = answer_page(FakePredictor({"mel": 0.3, "nv": 0.7}), lesion)
    assert "Melanocytic naevus is the most likely single diagnosis" in page
    assert 'data-code="mel" data-name="Melanoma" aria-pressed="true"' in page


def test_a_refused_picture_gets_reasons_and_no_figure(lesion: Path) -> None:
    page = answer_page(FakePredictor(quality=(DARK,)), lesion)
    assert 'data-advice="unsure"' in page
    assert DARK.reason in page
    assert "numbers and heatmap withheld" in page
    assert "%" not in re.sub(r'(src|width|height)="[^"]*"', "", page)
    assert 'class="map"' not in page
    assert "Melanoma" not in page


def test_a_note_on_the_picture_stands_beside_its_answer(lesion: Path) -> None:
    page = answer_page(FakePredictor(quality=(INK,)), lesion)
    assert 'data-advice="refer"' in page
    assert INK.reason in page
    assert "data-bad" not in page


def test_there_is_a_heatmap_for_each_class_and_one_is_shown(predictor: FakePredictor, lesion: Path) -> None:
    maps = re.findall(r'<img class="map" data-code="(\w+)"[^>]*?( hidden)?>', answer_page(predictor, lesion))
    assert {code for code, _ in maps} == set(predictor.probabilities)
    assert [code for code, hidden in maps if not hidden] == ["mel"]


def test_the_photograph_is_upright_and_tells_nothing_of_its_origin(
    predictor: FakePredictor, lesion: Path
) -> None:
    shown = picture_in(answer_page(predictor, lesion))
    assert shown.size == (180, 240)
    assert not shown.getexif()
    assert predictor.seen == [lesion]


def test_a_large_photograph_is_shown_smaller() -> None:
    assert bounded(Image.new("RGB", (4000, 3000)), PHOTO_SIDE).size == (1600, 1200)
    assert bounded(Image.new("RGB", (400, 300)), PHOTO_SIDE).size == (400, 300)


def test_names_from_outside_are_text(predictor: FakePredictor, lesion: Path) -> None:
    page = answer_page(predictor, lesion, "<script>alert(1)</script>")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "fake&lt;network&gt;" in page


def test_where_nothing_was_measured_nothing_is_claimed(lesion: Path) -> None:
    assert "this model finds" not in answer_page(FakePredictor(sensitivity=None), lesion)


def test_what_is_no_picture_is_one_sentence(predictor: FakePredictor, no_picture: Path) -> None:
    with pytest.raises(InvalidImageError, match="is not a picture that can be read"):
        answer_page(predictor, no_picture)
    assert predictor.seen == []
