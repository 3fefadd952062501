"""Draws a contact sheet. Needs reportlab, and is imported where one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from derm_core.errors import InvalidImageError
from derm_core.reporting.contact_sheet import COLUMNS, ROWS, ContactPicture
from derm_core.reporting.marks import advice_mark
from derm_core.reporting.pictures import SMALL_SIDE, Print, open_photograph, print_of
from derm_core.reporting.sheet import BOTTOM, INNER, LEFT, ONE_AT_A_TIME, TOP, Sheet

_GAP = 12.0
_CAPTION = 34.0
_HEAD = 24.0


def draw_contact_sheet(
    pictures: Sequence[ContactPicture], title: str, moment: datetime, foot: list[str]
) -> bytes:
    """Returns the PDF; the arguments are those of `contact_sheet`."""
    a_page = COLUMNS * ROWS
    width = (INNER - (COLUMNS - 1) * _GAP) / COLUMNS
    height = (BOTTOM - TOP - _HEAD - (ROWS - 1) * _GAP) / ROWS
    with ONE_AT_A_TIME:
        sheet = Sheet(title, moment, foot=foot)
        sheet.pages = -(-len(pictures) // a_page)
        sheet.text(LEFT, TOP + 10, sheet.lines(title, INNER, size=13, bold=True)[0], size=13, bold=True)
        top = TOP + _HEAD
        for number, picture in enumerate(pictures):
            place = number % a_page
            if number and place == 0:
                top = sheet.next_page()
            x = LEFT + place % COLUMNS * (width + _GAP)
            y = top + place // COLUMNS * (height + _GAP)
            _draw(sheet, picture, x, y, width, height)
        return sheet.finish()


def _draw(sheet: Sheet, picture: ContactPicture, x: float, y: float, width: float, height: float) -> None:
    frame = height - _CAPTION
    sheet.box(x, y, width, frame, fill="sunken")
    printed = _printed(picture)
    if printed is not None:
        across, down = printed.fitted(width, frame)
        sheet.picture(printed.jpeg, x + (width - across) / 2, y + (frame - down) / 2, across, down)
    below = y + frame + 11
    indent = 0.0
    if picture.advice:
        advice_mark(sheet, picture.advice, x + 4.5, below - 3, 9)
        indent = 13.0
    colour = picture.advice if picture.advice else "muted"
    # One line each: what is too long for it stands in full on the screen.
    sheet.text(
        x + indent, below, sheet.lines(picture.words, width - indent, size=8, bold=True)[0],
        size=8, bold=True, colour=colour,
    )  # fmt: skip
    for text, shade in ((picture.figures, "text"), (picture.name, "muted")):
        if text:
            below += 10
            sheet.text(x, below, sheet.lines(text, width, size=7)[0], size=7, colour=shade)


def _printed(picture: ContactPicture) -> Print | None:
    if picture.photograph is None:
        return None
    try:
        return print_of(open_photograph(picture.photograph, SMALL_SIDE))
    except InvalidImageError:
        return None
