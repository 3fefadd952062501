"""Reports as somebody reads them: the words on the paper, its size, and what a PDF must not do."""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta, timezone
from typing import Any

import pytest
from pypdf import PdfReader

from derm_core import (
    NOTICE,
    ConfigError,
    InvalidImageError,
    PatientContext,
    QualityFlag,
    answer_report,
    lesion_report,
)
from tests.derm_core.reporting.answers import MORNING, PROBABILITIES, SHA256, answer, prediction

ROUTINE: dict[str, Any] = {"advice": "routine", "malignant_probability": 0.004, "top": "nv"}
DARK = QualityFlag("too-dark", "The picture is almost black: take it again in more light.")
INK = QualityFlag("ink", "There are blue marks near the edge.", "note")


def pages(pdf: bytes) -> list[str]:
    """The words of each page, with folds and double blanks undone."""
    reader = PdfReader(io.BytesIO(pdf), strict=True)
    return [re.sub(r"\s+", " ", page.extract_text()) for page in reader.pages]


def objects(pdf: bytes) -> Iterator[Any]:
    reader = PdfReader(io.BytesIO(pdf), strict=True)
    for number in range(1, len(reader.xref[0]) + 1):
        yield reader.get_object(number)


def test_a_report_of_an_answer_is_one_a4_page() -> None:
    reader = PdfReader(io.BytesIO(answer_report(answer())))
    assert len(reader.pages) == 1
    width, height = (float(length) / 72 * 25.4 for length in reader.pages[0].mediabox[2:])
    assert (round(width), round(height)) == (210, 297)


def test_it_says_what_the_answer_says() -> None:
    measured = "At 18% this model finds 95% (95% CI 92–97) of malignant lesions."
    (page,) = pages(
        answer_report(
            answer(
                prediction=prediction(context=("age", "sex"), quality=(INK,)),
                patient=PatientContext(54, "male"),
                note="Growth since spring.",
                measured=measured,
                review="Melanoma, by histopathology",
            ),
            title="Left shoulder blade",
            requested_by="Dr Mira Aydın",
        )
    )
    for words in (
        "Left shoulder blade", "54 years, male", "21 Nov 2026, 09:14 UTC", "Dr Mira Aydın", "D-20261121-0007",
        "Refer to a dermatologist", "67%", "risk of malignancy", "operating point of 18%", "Most of it is melanoma",
        "What speaks for Melanoma", "Basal cell carcinoma", "bcc", "62%", "<1%", "Operating point 18%", measured,
        "Answered with age and sex", INK.reason, "Melanoma, by histopathology", "Growth since spring.",
        "ham7-mobilenet_v2, version 3", SHA256, NOTICE, "Page 1 of 1",
    ):  # fmt: skip
        assert words in page, words


def test_what_cannot_be_ruled_out_is_printed_where_the_model_tells() -> None:
    listed = answer(prediction=prediction(plausible=("mel", "nv")), plausible_level=0.95)
    (page,) = pages(answer_report(listed))
    assert "Cannot be ruled out: melanoma, melanocytic naevus." in page
    assert "Of lesions of each diagnosis, 95% had theirs in such a list." in page
    assert "ruled out:" not in pages(answer_report(answer()))[0]


def test_classes_stand_in_the_order_of_their_probability() -> None:
    (page,) = pages(answer_report(answer()))
    bars = page.partition("Probabilities")[2]
    codes = re.findall(rf"\b({'|'.join(PROBABILITIES)})\b", bars)
    assert codes == sorted(PROBABILITIES, key=PROBABILITIES.__getitem__, reverse=True)


def test_a_routine_answer_says_that_it_clears_nothing() -> None:
    (page,) = pages(answer_report(answer(prediction=prediction(**ROUTINE), explained="nv")))
    assert "Routine follow-up" in page
    assert "A low figure does not rule out malignancy" in page
    assert "Refer to a dermatologist" not in page


def test_no_answer_prints_no_figure_and_no_heatmap() -> None:
    unsure = prediction(advice="unsure", quality=(DARK,))
    pdf = answer_report(answer(prediction=unsure))
    (page,) = pages(pdf)
    assert "No answer for this picture" in page
    assert "This says nothing about the lesion" in page
    assert DARK.reason in page
    assert "%" not in page
    assert "What speaks for" not in page
    assert len(PdfReader(io.BytesIO(pdf)).pages[0].images) == 1


def test_photograph_and_heatmap_are_two_pictures() -> None:
    images = PdfReader(io.BytesIO(answer_report(answer()))).pages[0].images
    assert [image.image.size for image in images if image.image] == [(320, 240), (320, 240)]
    without = PdfReader(io.BytesIO(answer_report(answer(heatmap=None)))).pages[0].images
    assert len(without) == 1


def test_the_same_input_gives_the_same_bytes_and_another_answer_others() -> None:
    assert answer_report(answer()) == answer_report(answer())
    assert answer_report(answer()) != answer_report(answer(note="Another."))


def test_reports_made_at_once_are_as_those_made_alone() -> None:
    answers = [answer(note=f"{number} ąęΔЯ") for number in range(6)]
    alone = [answer_report(one) for one in answers]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(answer_report, answers)) == alone


def test_a_report_runs_nothing_and_leads_nowhere() -> None:
    pdf = lesion_report(
        "Back", [answer(), answer(answered_at=MORNING - timedelta(days=90))], notes="See http://x.org"
    )
    for thing in objects(pdf):
        text = str(thing)
        for key in (
            "/JavaScript",
            "/JS",
            "/URI",
            "/Launch",
            "/OpenAction",
            "/AA",
            "/EmbeddedFile",
            "/Annots",
        ):
            assert f"'{key}'" not in text, key


def test_every_font_is_inside() -> None:
    fonts = [thing for thing in objects(answer_report(answer())) if "/FontDescriptor" in str(thing)]
    names = {str(font["/BaseFont"]).partition("+")[2] for font in fonts if "/BaseFont" in font}
    assert names == {"LiberationSans", "LiberationSans-Bold"}
    files = [thing for thing in objects(answer_report(answer())) if "'/FontFile2'" in str(thing)]
    assert len(files) == len(names)


def test_its_properties_name_it_and_date_it_by_the_answer() -> None:
    there = MORNING.astimezone(timezone(timedelta(hours=2), "EET"))
    reader = PdfReader(io.BytesIO(answer_report(answer(answered_at=there), title="Left arm")))
    assert reader.metadata is not None
    assert reader.metadata.title == "Left arm"
    assert reader.metadata.creation_date == MORNING
    assert "11:14 EET" in reader.pages[0].extract_text()


def test_a_note_goes_on_on_a_second_page_and_is_told_to_be_cut_after_it() -> None:
    lines = [f"Line {number}." for number in range(40)]
    first, second = pages(answer_report(answer(note="\n".join(lines))))
    assert "Line 0." in first
    assert "Page 1 of 2" in first
    assert "Line 39." in second
    assert "Page 2 of 2" in second
    _, cut = pages(answer_report(answer(note="\n" * 3990 + "The end.")))
    assert "The note is longer than this report" in cut


def test_a_word_longer_than_the_line_is_broken() -> None:
    (page,) = pages(answer_report(answer(note="x" * 300)))
    assert page.count("x" * 90) >= 2


def test_letters_of_other_scripts_are_printed_or_told_to_be_missing() -> None:
    (page,) = pages(answer_report(answer(note="Ağrı, Ελλάδα, Киев\x00\x1b")))
    assert "Ağrı, Ελλάδα, Киев" in page
    assert "has no letter for" not in page
    (page,) = pages(answer_report(answer(note="皮膚")))
    assert "□□" in page
    assert "has no letter for" in page


def test_a_lesion_has_its_newest_answer_first_and_its_visits_on_a_second_page() -> None:
    visits = [
        answer(
            answered_at=MORNING - timedelta(days=400), prediction=prediction(**ROUTINE, model_sha256="0" * 64)
        ),
        answer(note="The newest."),
        answer(
            answered_at=MORNING - timedelta(days=200), prediction=prediction(advice="unsure", quality=(DARK,))
        ),
    ]
    first, second = pages(lesion_report("Left arm", visits, site="arm", notes="Seen by a friend."))
    assert "The newest." in first
    assert "Body site arm" in first
    dates = re.findall(r"\d+ \w{3} 202\d", second.partition("Visits")[2])
    assert dates == ["21 Nov 2026", "5 May 2026", "17 Oct 2025"]
    assert "Hollow: answered by another model" in second
    assert "Broken ring: no answer" in second
    assert "Seen by a friend." in second
    assert NOTICE in second


def test_visits_of_one_day_stand_at_one_place_however_many_hours_apart() -> None:
    visits = [answer(answered_at=MORNING + timedelta(minutes=minutes)) for minutes in (0, 5, 90)]
    chart = pages(lesion_report("Left arm", visits))[1].partition("Visits")[0]
    assert re.findall(r"\d+ \w{3} 202\d", chart.partition("Risk of malignancy over time")[2]) == [
        "21 Nov 2026"
    ]


def test_the_day_of_the_photograph_goes_before_the_day_of_the_answer() -> None:
    old_slide = answer(answered_at=MORNING + timedelta(days=3), taken_on=date(2024, 5, 6))
    first, second = pages(lesion_report("Left arm", [old_slide, answer(note="The newest.")]))
    assert "The newest." in first
    dates = re.findall(r"\d+ \w{3} 202\d", second.partition("Visits")[2])
    assert dates == ["21 Nov 2026", "6 May 2024"]
    assert "Photographed 6 May 2024 Answered 24 Nov 2026" in pages(answer_report(old_slide))[0]


def test_of_many_visits_the_newest_have_a_photograph_and_the_rest_are_counted() -> None:
    visits = [answer(answered_at=MORNING - timedelta(days=number)) for number in range(9)]
    pdf = lesion_report("Left arm", visits)
    assert "And 3 earlier, from 13 Nov 2026 on" in pages(pdf)[1]
    assert len(PdfReader(io.BytesIO(pdf)).pages) == 2


def test_a_single_visit_without_notes_needs_one_page() -> None:
    assert len(pages(lesion_report("Left arm", [answer()]))) == 1
    assert len(pages(lesion_report("Left arm", [answer()], notes="Something."))) == 2


def test_a_lesion_without_an_answer_is_refused() -> None:
    with pytest.raises(ConfigError, match="no answer yet"):
        lesion_report("Left arm", [])


def test_a_photograph_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidImageError):
        answer_report(answer(photograph=b"no picture"))


def test_without_the_library_there_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install reportlab"):
        answer_report(answer())
