"""What stands beside an answer: plausible diagnoses, other explanations, similar cases, and the answer on paper."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from derm_core import ExplanationMethod, PatientContext, SimilarCase
from desktop.answering import answer_picture
from desktop.beside_answer import methods_card
from desktop.desk import Desk
from desktop.held_picture import HeldPicture
from desktop.picture_tab import _press, answer_upload, beside
from tests.desktop.conftest import DARK, FakePredictor

METHOD = ExplanationMethod("occlusion", "Occlusion", "Covers one part after the other.", 30.0)
GRAD_CAM = ExplanationMethod("grad_cam", "Grad-CAM", "The default.", 1.1)


@pytest.fixture
def held(lesion: Path) -> HeldPicture:
    return answer_picture(FakePredictor(), lesion, "<mole>.jpg", PatientContext(54))[1]  # type: ignore[arg-type]


def desk_of(held: HeldPicture, **options: Any) -> Desk:
    return Desk(held.predictor, **options)


def test_what_cannot_be_ruled_out_is_said_with_how_often_that_holds(lesion: Path) -> None:
    page = answer_picture(FakePredictor(plausible=("mel", "nv")), lesion)[0]  # type: ignore[arg-type]
    assert "Cannot be ruled out: melanoma, melanocytic naevus." in page
    assert "Of lesions of each diagnosis, 90% had theirs in such a list." in page
    assert "Cannot be ruled out" not in answer_picture(FakePredictor(), lesion)[0]  # type: ignore[arg-type]
    refused = FakePredictor(plausible=("mel", "nv"), quality=(DARK,))
    assert "Cannot be ruled out" not in answer_picture(refused, lesion)[0]  # type: ignore[arg-type]


def test_a_picture_is_kept_as_it_came_and_not_as_a_file(held: HeldPicture, lesion: Path) -> None:
    content = lesion.read_bytes()
    lesion.unlink()
    assert held.content == content
    assert held.photograph().size == (180, 240)
    assert held.answered_at.tzinfo is not None


def test_the_answer_comes_on_paper(held: HeldPicture) -> None:
    text = PdfReader(io.BytesIO(held.report())).pages[0].extract_text()
    for words in ("<mole>.jpg", "Refer to a dermatologist", "67%", "54 years"):
        assert words in text


def test_paper_without_an_answer_has_no_figure(lesion: Path) -> None:
    held = answer_picture(FakePredictor(quality=(DARK,)), lesion)[1]  # type: ignore[arg-type]
    text = PdfReader(io.BytesIO(held.report())).pages[0].extract_text()
    assert "No answer for this picture" in text
    assert "67%" not in text


def test_other_explanations_are_measured_when_asked_for(
    held: HeldPicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, PatientContext]] = []

    def explain_by(
        predictor: Any, image: bytes, code: str, *, method: str, context: Any, max_side: int
    ) -> Any:
        asked.append((method, code, context))
        return SimpleNamespace(heatmap=np.ones((18, 24), np.float32))

    monkeypatch.setattr("derm_core.explain_by", explain_by)
    measured: list[object] = []

    def methods(predictor: Any) -> tuple[ExplanationMethod, ...]:
        measured.append(predictor)
        return GRAD_CAM, METHOD

    desk = desk_of(held, methods=methods)
    assert 'data-do="methods"' in beside(desk, held)
    assert measured == []
    shown, _ = _press(desk, held, ("methods", ""), "mel")
    assert 'data-do="method:occlusion"' in shown
    assert "grad_cam" not in shown
    shown, _ = _press(desk, held, ("method", "occlusion"), "nv")
    assert "What speaks for Melanocytic naevus, by Occlusion" in shown
    assert METHOD.description in shown
    # What no page says: an unknown class and an unknown method.
    _press(desk, held, ("method", "occlusion"), "<nv>")
    _press(desk, held, ("method", "weights"), "nv")
    assert asked == [("occlusion", code, PatientContext(54)) for code in ("nv", "mel")]
    assert methods_card(()) != methods_card(None)


def test_a_fault_there_leaves_the_answer_usable(held: HeldPicture, caplog: pytest.LogCaptureFixture) -> None:
    def methods(predictor: Any) -> Any:
        raise RuntimeError("out of memory")

    desk = desk_of(held, methods=methods)
    shown, _ = _press(desk, held, ("methods", ""), "")
    assert "That could not be done for this picture." in shown
    assert "PDF of this answer" in shown
    assert "out of memory" in caplog.text


class Index:
    """Knows two cases, whatever is asked."""

    def __init__(self, sha256: str) -> None:
        self.model, self.data = {"sha256": sha256}, {"name": "HAM<10000>"}

    def __len__(self) -> int:
        return 1234

    def query(self, features: Any, *, k: int) -> list[SimilarCase]:
        thumbnail = b"\xff\xd8pixels"
        return [
            SimilarCase("a.jpg", "mel", "L1", 0.91, 61.0, "male", "back", "histopathology", thumbnail),
            SimilarCase("b.jpg", "nv", "L2", 0.5, None, "", "", "", b""),
        ][:k]


def test_similar_cases_are_shown_with_how_they_were_confirmed(held: HeldPicture, lesion: Path) -> None:
    desk = desk_of(held, cases=Index(FakePredictor().sha256))
    page = beside(desk, held)
    for words in ("among 1,234 photographs of HAM&lt;10000&gt;", "<b>Melanoma</b>", "confirmed by histopathology",
                  "61 years, male, back", "likeness 91%", "data:image/jpeg;base64,"):  # fmt: skip
        assert words in page
    assert "Similar" not in beside(desk_of(held, cases=Index("ab" * 32)), held)
    refused = answer_picture(FakePredictor(quality=(DARK,)), lesion)[1]  # type: ignore[arg-type]
    assert "Similar" not in beside(desk, refused)
    assert beside(desk, None) == ""


def test_what_could_not_be_answered_is_not_kept(no_picture: Path) -> None:
    changes, held = answer_upload(FakePredictor(), {"path": str(no_picture)})  # type: ignore[arg-type]
    assert held is None
    assert changes[3] == ""
