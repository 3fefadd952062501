"""The drawn signs of an answer: the brand, the three kinds of advice, malignant and benign. Writes no word."""

from __future__ import annotations

import math

from derm_core.reporting.sheet import HEIGHT, Sheet


def brand(sheet: Sheet, x: float, y: float, size: float) -> None:
    """Draws the brand's ring and dot into a square with its upper left corner at (x, y)."""
    middle = size / 2
    sheet.pen(edge="accent", line=size * 0.085, dash=(size * 0.16, size * 0.115))
    sheet.canvas.circle(x + middle, HEIGHT - y - middle, 0.39 * size, stroke=1, fill=0)
    sheet.circle(x + middle, y + middle, 0.155 * size, fill="accent")


def advice_mark(sheet: Sheet, advice: str, x: float, y: float, size: float, *, ground: str = "") -> None:
    """Draws the sign of an advice round (x, y): a solid diamond, an open ring, or a broken one.

    `ground` is the colour behind it where that is the advice's own; the sign is then drawn in white.
    """
    half = size / 2
    colour = "surface" if ground else advice
    if advice == "refer":
        diamond(sheet, x, y, half, fill=colour)
        _arrow(sheet, x, y, size, ground or "surface")
    elif advice == "routine":
        sheet.circle(x, y, 0.8 * half, edge=colour, line=0.07 * size)
        _calendar(sheet, x, y, size, colour)
    else:
        radius = 0.8 * half
        arc = 2 * math.pi * radius / 10
        sheet.pen(edge=colour, line=0.07 * size, dash=(0.53 * arc, 0.47 * arc))
        sheet.canvas.circle(x, HEIGHT - y, radius, stroke=1, fill=0)
        sheet.text(x, y + 0.2 * size, "?", size=0.56 * size, bold=True, colour=colour, anchor="middle")


def kind_mark(sheet: Sheet, x: float, y: float, *, malignant: bool) -> None:
    """Draws a small diamond for malignant, a ring for benign, round (x, y)."""
    if malignant:
        diamond(sheet, x, y, 4, fill="refer")
    else:
        sheet.circle(x, y, 3, edge="control", line=1.3)


def hatch(sheet: Sheet, x: float, y: float, width: float, height: float, *, colour: str) -> None:
    """Fills a rectangle with thin slanted lines."""
    canvas = sheet.canvas
    canvas.saveState()
    path = canvas.beginPath()
    path.rect(x, HEIGHT - y - height, width, height)
    canvas.clipPath(path, stroke=0, fill=0)
    for step in range(0, int(width + height), 7):
        sheet.line(x + step - height, y + height, x + step, y, colour=colour, line=0.6)
    canvas.restoreState()


def diamond(sheet: Sheet, x: float, y: float, half: float, *, fill: str = "", edge: str = "") -> None:
    """Draws a square on its corner round (x, y)."""
    corners = [(x, y - half), (x + half, y), (x, y + half), (x - half, y)]
    sheet.path(corners, fill=fill, edge=edge)


def _arrow(sheet: Sheet, x: float, y: float, size: float, colour: str) -> None:
    unit = size / 24
    sheet.line(x - 4 * unit, y, x + 3.6 * unit, y, colour=colour, line=1.7 * unit)
    head = [(x + 0.4 * unit, y - 3.4 * unit), (x + 3.8 * unit, y), (x + 0.4 * unit, y + 3.4 * unit)]
    sheet.path(head, edge=colour, line=1.7 * unit, close=False)


def _calendar(sheet: Sheet, x: float, y: float, size: float, colour: str) -> None:
    unit = size / 24
    left, top = x - 4.4 * unit, y - 2.8 * unit
    sheet.box(left, top, 8.8 * unit, 7.2 * unit, edge=colour, line=1.4 * unit)
    sheet.line(left, top + 2.4 * unit, left + 8.8 * unit, top + 2.4 * unit, colour=colour, line=1.4 * unit)
    for across in (2.4, 6.4):
        sheet.line(
            left + across * unit, top - 1.8 * unit, left + across * unit, top + 0.6 * unit,
            colour=colour, line=1.4 * unit,
        )  # fmt: skip
