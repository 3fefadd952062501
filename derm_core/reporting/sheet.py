"""The paper: A4 pages with their fonts, colours, wrapped text and foot. Knows no answer.

Lengths are points (1/72 inch). Places are counted from the upper left corner of the page, downwards.
"""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader, TimeStamp
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from derm_core.diagnoses import NOTICE
from derm_core.reporting.lettering import face, folded, leading, load_fonts
from derm_core.reporting.words import UNPRINTABLE, printable

WIDTH, HEIGHT = A4
LEFT, TOP = 42.0, 40.0
RIGHT = WIDTH - LEFT
INNER = RIGHT - LEFT
FOOT = 62.0
"""Height that the foot takes, with the margin under it."""
BOTTOM = HEIGHT - FOOT - 10
"""Nothing but the foot stands below this line."""

COLOURS = {
    "surface": "#ffffff",
    "sunken": "#ece7df",
    "text": "#23201b",
    "muted": "#5f584e",
    "line": "#ddd6ca",
    "control": "#857b6d",
    "accent": "#0b5d63",
    "refer": "#a1330b",
    "refer-soft": "#fbe7dc",
    "routine": "#2a5590",
    "routine-soft": "#e3ebf6",
    "unsure": "#55504a",
    "unsure-soft": "#e9e5de",
}
"""The light colours of the product's design tokens; paper is white."""

ONE_AT_A_TIME = threading.Lock()
"""Held from the making of a Sheet to its end: reportlab keeps its fonts for the whole process."""


class Sheet:
    """A PDF that grows page by page; made and finished while ONE_AT_A_TIME is held.

    Args:
        title: of the document; stands in its properties.
        moment: when what it tells was true; stands in its properties, so that the same input gives the same bytes.
        foot: lines at the foot of every page, under the notice.

    Attributes:
        pages: how many pages there will be; to be set before the first one ends.
    """

    def __init__(self, title: str, moment: datetime, *, foot: list[str]) -> None:
        self._glyphs = load_fonts()
        self._buffer = io.BytesIO()
        self._title, self._foot, self._page = title, foot, 1
        self.pages = 1
        self._lacks_glyphs = False
        self.canvas = Canvas(self._buffer, pagesize=A4, pageCompression=1, invariant=1, lang="en")
        self._stamp(moment)
        self.canvas.setTitle(title)
        self.canvas.setAuthor("")
        self.canvas.setSubject(NOTICE)
        self.canvas.setCreator("Dermatrace")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 9,
        bold: bool = False,
        colour: str = "text",
        anchor: str = "start",
    ) -> None:
        """Writes one line with its baseline at `y`; `anchor` says which part of it stands at `x`."""
        canvas = self.canvas
        canvas.setFont(face(bold), size)
        canvas.setFillColor(HexColor(COLOURS[colour]))
        draw = {
            "start": canvas.drawString,
            "middle": canvas.drawCentredString,
            "end": canvas.drawRightString,
        }[anchor]
        draw(x, HEIGHT - y, self._printable(text))

    def lines(self, text: str, width: float, *, size: float = 9, bold: bool = False) -> list[str]:
        """Returns the text folded into lines of this width; a word that is longer is broken."""
        return list(folded(self._printable(text), width, size, bold))

    def paragraph(
        self,
        x: float,
        y: float,
        text: str | list[str],
        *,
        width: float = INNER,
        size: float = 9,
        bold: bool = False,
        colour: str = "text",
    ) -> float:
        """Writes folded text, or lines that were folded before, from `y` on, and returns where it ends."""
        lines = self.lines(text, width, size=size, bold=bold) if isinstance(text, str) else text
        for line in lines:
            y += leading(size)
            self.text(x, y - 0.28 * size, line, size=size, bold=bold, colour=colour)
        return y

    def width_of(self, text: str, *, size: float, bold: bool = False) -> float:
        """Returns how wide a line is."""
        return float(pdfmetrics.stringWidth(self._printable(text), face(bold), size))

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = "",
        edge: str = "",
        radius: float = 0,
        line: float = 1,
        dash: tuple[float, ...] = (),
    ) -> None:
        """Draws a rectangle with its upper left corner at (x, y)."""
        self.pen(fill=fill, edge=edge, line=line, dash=dash)
        self.canvas.roundRect(
            x, HEIGHT - y - height, width, height, radius, stroke=bool(edge), fill=bool(fill)
        )

    def line(
        self,
        x: float,
        y: float,
        to_x: float,
        to_y: float,
        *,
        colour: str = "line",
        line: float = 0.7,
        dash: tuple[float, ...] = (),
    ) -> None:
        """Draws a line."""
        self.pen(edge=colour, line=line, dash=dash)
        self.canvas.line(x, HEIGHT - y, to_x, HEIGHT - to_y)

    def circle(
        self, x: float, y: float, radius: float, *, fill: str = "", edge: str = "", line: float = 1
    ) -> None:
        """Draws a circle round (x, y)."""
        self.pen(fill=fill, edge=edge, line=line)
        self.canvas.circle(x, HEIGHT - y, radius, stroke=bool(edge), fill=bool(fill))

    def path(
        self,
        points: list[tuple[float, float]],
        *,
        fill: str = "",
        edge: str = "",
        line: float = 1,
        close: bool = True,
    ) -> None:
        """Draws a polygon, or an open line through the points."""
        self.pen(fill=fill, edge=edge, line=line)
        path = self.canvas.beginPath()
        path.moveTo(points[0][0], HEIGHT - points[0][1])
        for x, y in points[1:]:
            path.lineTo(x, HEIGHT - y)
        if close:
            path.close()
        self.canvas.drawPath(path, stroke=bool(edge), fill=bool(fill))

    def pen(self, *, fill: str = "", edge: str = "", line: float = 1, dash: tuple[float, ...] = ()) -> None:
        """Sets what the next shape on `canvas` is drawn with: names of COLOURS."""
        if fill:
            self.canvas.setFillColor(HexColor(COLOURS[fill]))
        if edge:
            self.canvas.setStrokeColor(HexColor(COLOURS[edge]))
        self.canvas.setLineWidth(line)
        self.canvas.setDash(list(dash))

    def picture(self, jpeg: bytes, x: float, y: float, width: float, height: float) -> None:
        """Lays a JPEG with its upper left corner at (x, y); its bytes go into the document as they are."""
        self.canvas.drawImage(ImageReader(io.BytesIO(jpeg)), x, HEIGHT - y - height, width, height)

    def heading(self, x: float, y: float, text: str) -> float:
        """Writes a small heading and returns where what it heads begins."""
        self.text(x, y + 10, text, size=10.5, bold=True)
        return y + 16

    def next_page(self) -> float:
        """Ends the page, writes the title over the next one, and returns where that goes on."""
        self._end_page()
        self._page += 1
        title = self.lines(self._title, INNER, size=9, bold=True)[0]
        self.text(LEFT, TOP + 8, title, size=9, bold=True, colour="muted")
        return TOP + 24

    def finish(self) -> bytes:
        """Ends the last page and returns the document."""
        self._end_page()
        self.canvas.save()
        return self._buffer.getvalue()

    def _end_page(self) -> None:
        y = HEIGHT - FOOT
        self.line(LEFT, y - 6, RIGHT, y - 6)
        self.text(LEFT, y + 6, NOTICE, size=8, bold=True)
        for line in self._foot:
            y += 10
            self.text(LEFT, y + 6, line, size=7, colour="muted")
        if self._lacks_glyphs:
            self.text(
                LEFT, y + 16, f"{UNPRINTABLE} stands for a character that this page has no letter for.",
                size=7, colour="muted",
            )  # fmt: skip
        page = f"Page {self._page} of {self.pages}"
        self.text(RIGHT, HEIGHT - FOOT + 6, page, size=8, colour="muted", anchor="end")
        self.canvas.showPage()

    def _printable(self, text: str) -> str:
        clean = printable(text, lambda char: ord(char) in self._glyphs)
        if clean.count(UNPRINTABLE) > text.count(UNPRINTABLE):
            self._lacks_glyphs = True
        return clean

    def _stamp(self, moment: datetime) -> None:
        """Dates the document. Reportlab's own choice is now, or, for repeatable bytes, the year 2000."""
        stamp = TimeStamp(invariant=1)
        stamp.YMDhms = tuple(moment.astimezone(UTC).timetuple())[:6]
        self.canvas._doc._timeStamp = stamp
