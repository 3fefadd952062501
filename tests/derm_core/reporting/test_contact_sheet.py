"""Contact sheets: every picture with its advice and name, twenty to a page, the same bytes each time."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pypdf import PdfReader

from derm_core.diagnoses import NOTICE
from derm_core.errors import ConfigError
from derm_core.reporting.contact_sheet import ContactPicture, contact_sheet

MOMENT = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)


def sheet(pictures: list[ContactPicture]) -> bytes:
    return contact_sheet(pictures, title="Answers to November", moment=MOMENT, foot=["Model tiny 1"])


def test_each_picture_is_there_with_its_words(tiny_pictures: list[Path]) -> None:
    pictures = [
        ContactPicture("a.jpg", tiny_pictures[0], "refer", "Refer, 67%", "Most likely: Melanoma"),
        ContactPicture("b.jpg", tiny_pictures[1].read_bytes(), "routine", "Routine, 4%"),
        ContactPicture("c.jpg", tiny_pictures[2], "unsure", "No answer"),
        ContactPicture("letter.jpg", None, "", "Not read"),
        ContactPicture("gone.jpg", Path("gone.jpg"), "routine", "Routine, 5%"),
    ]
    reader = PdfReader(io.BytesIO(sheet(pictures)))
    (page,) = reader.pages
    text = page.extract_text()
    for words in ("Refer, 67%", "Most likely: Melanoma", "letter.jpg", "Not read", NOTICE, "Model tiny 1"):
        assert words in text
    assert len(page.images) == 3
    assert text.count("Page 1 of 1") == 1


def test_twenty_go_on_a_page_and_the_same_input_gives_the_same_bytes(tiny_pictures: list[Path]) -> None:
    pictures = [
        ContactPicture(f"{number}.jpg", tiny_pictures[number % 4], "routine", "Routine")
        for number in range(41)
    ]
    content = sheet(pictures)
    pages = PdfReader(io.BytesIO(content)).pages
    assert [page.extract_text().count("Routine") for page in pages] == [20, 20, 1]
    assert content == sheet(pictures)


@pytest.mark.parametrize("count", [0, 4001])
def test_none_and_too_many_are_one_sentence(count: int) -> None:
    with pytest.raises(ConfigError, match="takes 1 to 4,000 pictures"):
        sheet([ContactPicture("a.jpg", None, "", "Not read")] * count)
