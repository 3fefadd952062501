"""What is written into the forms of the case list: tidied, or refused in one sentence."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from derm_core import ConfigError
from desktop.case_entries import Named
from desktop.case_forms import day_of, named_of, note_of, review_of


def test_a_name_is_one_line_and_a_note_keeps_its_lines() -> None:
    assert named_of(" P-0317 ", "left\n shoulder\x07", "back", " one\r\ntwo ") == Named(
        "P-0317", "left shoulder", "back", "one\ntwo"
    )
    assert named_of("P-1", None, "moon").site == ""
    assert note_of("Itches.\tMuch.\u2028") == "Itches.\tMuch."


def test_a_lesion_needs_a_code_or_a_name() -> None:
    with pytest.raises(ConfigError, match="one of them is enough"):
        named_of(" ", None, "back")
    with pytest.raises(ConfigError, match="Patient’s code has 81 characters; use at most 80"):
        named_of("x" * 81, "", "")


def test_a_day_is_written_as_one_and_has_been() -> None:
    assert day_of(" 2025-10-03 ") == date(2025, 10, 3)
    assert day_of("") is None
    future = (date.today() + timedelta(days=9)).isoformat()
    for written in ("3.10.2025", "2025-13-01", "0001-01-01", future):
        with pytest.raises(ConfigError, match="is no day that has been"):
            day_of(written)


def test_a_diagnosis_needs_to_be_known_somehow() -> None:
    review = review_of("mel", "histopathology", " 0.4 mm ")
    assert (review.verdict, review.diagnosis, review.comment) == ("confirmed", "mel", "0.4 mm")
    for diagnosis, how in (("mel", None), (None, "consensus"), ("flu", "consensus"), ("mel", "guess")):
        with pytest.raises(ConfigError, match="Choose the diagnosis"):
            review_of(diagnosis, how, "")
