"""Many answers on paper: a small photograph each, with its advice, risk and file, twenty to a page. Asks no model."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from derm_core.errors import ConfigError
from derm_core.images import ImageSource

MOST_PICTURES = 4000
"""The document is put together in memory, at some 8 kB a picture."""
COLUMNS, ROWS = 4, 5


@dataclass(frozen=True, eq=False)
class ContactPicture:
    """One picture of a contact sheet.

    Attributes:
        name: of its file.
        photograph: a small version of it, or the file itself; None where it cannot be read.
        advice: "refer", "routine" or "unsure"; empty where there is no answer.
        words: the advice in words, or what went wrong.
        figures: the risk and the most probable diagnosis, in words; empty where they are withheld.
    """

    name: str
    photograph: ImageSource | None
    advice: str
    words: str
    figures: str = ""


def contact_sheet(
    pictures: Sequence[ContactPicture], *, title: str, moment: datetime, foot: Sequence[str] = ()
) -> bytes:
    """Returns a contact sheet as PDF, twenty pictures to an A4 page.

    The same input gives the same bytes. Photographs are read one after the other, and printed small.

    Args:
        pictures: one or more, in the order in which they are printed.
        title: what the pictures are.
        moment: when the answers were given, aware.
        foot: lines at the foot of every page, such as the model.

    Raises:
        ConfigError: there is none, or there are more than MOST_PICTURES, or the library that writes PDF is missing.
    """
    if not 0 < len(pictures) <= MOST_PICTURES:
        raise ConfigError(
            f"A contact sheet takes 1 to {MOST_PICTURES:,} pictures, and these are {len(pictures):,}. "
            "Choose some of them."
        )
    if importlib.util.find_spec("reportlab") is None:
        raise ConfigError(
            "Contact sheets need the library reportlab, which is not installed: pip install reportlab"
        )
    # Here, because it takes a while, and most of those who import derm_core print nothing.
    from derm_core.reporting.contact_drawing import draw_contact_sheet

    return draw_contact_sheet(pictures, title, moment, list(foot))
