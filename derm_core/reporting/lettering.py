"""The letters of the paper: its fonts, and text folded into lines. Draws nothing.

Lengths are points (1/72 inch).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

_FONTS = Path(__file__).parent / "fonts"
_REGULAR, _BOLD = "LiberationSans", "LiberationSans-Bold"


@cache
def load_fonts() -> Any:
    """Registers the fonts, once a process, and returns the character map of the regular one."""
    for name, file in ((_REGULAR, "LiberationSans-Regular.ttf"), (_BOLD, "LiberationSans-Bold.ttf")):
        pdfmetrics.registerFont(TTFont(name, _FONTS / file))
    return pdfmetrics.getFont(_REGULAR).face.charToGlyph


def leading(size: float) -> float:
    """Returns the height of a line."""
    return 1.36 * size


def face(bold: bool) -> str:
    """Returns the name of a font that load_fonts has registered."""
    return _BOLD if bold else _REGULAR


def folded(text: str, width: float, size: float, bold: bool) -> Iterator[str]:
    """Yields the lines of a text of this width; a word that is longer is broken."""

    def fits(line: str) -> bool:
        return float(pdfmetrics.stringWidth(line, face(bold), size)) <= width

    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            if line and fits(f"{line} {word}"):
                line = f"{line} {word}"
                continue
            if line:
                yield line
            line = word
            while not fits(line):
                end = next(end for end in range(len(line) - 1, 0, -1) if end == 1 or fits(line[:end]))
                yield line[:end]
                line = line[end:]
        yield line
