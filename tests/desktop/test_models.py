"""The models of this machine: listed with their figures, compared, and told apart from damaged ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from derm_core import InvalidImageError, default_registry, find_bundle
from desktop.models import Compared, KnownModel, compare, known_models, model_card
from desktop.models_page import comparison_table, model_title, models_table
from tests.desktop.conftest import DARK, ROUTINE, FakePredictor


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))


def test_the_bundled_model_is_always_there_with_its_figures() -> None:
    (bundled,) = known_models()
    assert bundled.description is not None
    page = models_table([bundled], bundled.description.weights_sha256)
    assert "Answers now" in page
    assert "Sensitivity 94% (89–98), specificity 72% (68–77)" in page
    assert "on 597 lesions" in page
    assert 'data-do="use:0"' not in page
    assert 'data-do="use:0"' in models_table([bundled], "another")
    assert model_card(bundled).startswith("# ham7")
    assert model_title(bundled).startswith("bundled (ham7")


def test_registered_models_stand_beside_it_the_newest_first() -> None:
    registry = default_registry()
    for _ in range(2):
        registry.register("ham7", find_bundle("bundled"))
    models = known_models()
    assert [model.reference for model in models] == ["bundled", "ham7@2", "ham7@1"]
    assert [model.serves for model in models] == [True, False, True]
    description = registry.folder / "ham7" / "2" / "model.json"
    description.write_text(json.dumps({"format_version": 10_000}))
    damaged = known_models()[1]
    assert damaged.description is None
    page = models_table([damaged], "")
    assert "data-do" not in page
    assert damaged.problem.split(".")[0].replace("'", "&#x27;") in page


def test_what_cannot_be_measured_and_markup_are_told_plainly(tmp_path: Path) -> None:
    (bundled,) = known_models()
    assert bundled.description is not None
    point = replace(bundled.description.operating_point, sensitivity=None, specificity=None)
    odd = replace(
        bundled.description, name="<b>", operating_points=(point,), default_operating_point=point.name
    )
    page = models_table([KnownModel("<i>@1", True, odd, folder=tmp_path)], "")
    assert "Not measured" in page
    assert "<b>" not in page.replace("<b>&", "")
    assert "&lt;i&gt;@1" in page


def test_a_card_shows_no_picture_and_may_be_missing(tmp_path: Path) -> None:
    model = KnownModel("ham7@1", True, None, folder=tmp_path)
    assert model_card(model) == "This model came without a card."
    (tmp_path / "MODEL_CARD.md").write_text("# Card\n![spy](http://evil.example/spy.png)\n")
    assert "![" not in model_card(model)


def test_two_models_are_asked_about_the_same_pictures(lesion: Path, no_picture: Path) -> None:
    first, second = FakePredictor(), FakePredictor(probabilities=dict(ROUTINE))
    pictures = [(lesion.name, lesion), (no_picture.name, no_picture)]
    rows = list(compare(first, second, pictures))  # type: ignore[arg-type]
    assert [row.differs for row in rows] == [True, False]
    assert isinstance(rows[1].second, InvalidImageError)
    same = list(compare(first, first, pictures[:1]))  # type: ignore[arg-type]
    assert not same[0].differs
    page = comparison_table([*same, *rows], ("one", "two"))
    assert "Same advice for 1 of 2 pictures 1 could not be read." in page
    assert page.index("Differs") < page.index("Refer")
    assert "risk 67%, refer from 18%" in page
    assert "Is not a picture that can be read (17 bytes)" in page
    assert "<b>{{1}}" not in page


def test_of_a_picture_without_an_answer_no_figure_is_shown(lesion: Path) -> None:
    answer = FakePredictor(quality=(DARK,)).predict(lesion)
    page = comparison_table([Compared("a.jpg", lesion, answer, answer)], ("one", "two"))
    assert page.count("No answer") == 2
    assert "risk" not in page
