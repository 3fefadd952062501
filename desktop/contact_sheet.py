"""The rows of a folder as a contact sheet: what is printed of each. Lays nothing out."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core import DIAGNOSES, ContactPicture, contact_sheet, percent
from desktop.texts import say
from desktop.thumbnails import thumbnail

if TYPE_CHECKING:
    from desktop.folder_run import FolderRun, Row


def write_contact_sheet(run: FolderRun, out: Path, places: list[int]) -> None:
    """Writes the rows at these places as a PDF, in that order.

    Raises:
        ConfigError: there are none or too many, or the library that writes PDF is missing.
    """
    pictures = [_picture(row, run.folder) for row in run.rows(places)]
    content = contact_sheet(
        pictures,
        title=say("sheet-title", folder=run.folder.name),
        moment=datetime.now().astimezone(),
        foot=[
            say(
                "sheet-model",
                model=run.about["model_name"],
                sha=str(run.about["model"])[:12],
                point=percent(float(run.about["operating_point"])),
            )
        ],
    )
    out.write_bytes(content)


def _picture(row: Row, folder: Path) -> ContactPicture:
    path = Path(row["file"])
    name = os.path.relpath(path, folder)
    if row["error"]:
        return ContactPicture(name, None, "", say("advice-unread"))
    small, advice = thumbnail(path), row["advice"]
    if advice == "unsure":
        return ContactPicture(name, small, advice, say("advice-unsure"))
    known = DIAGNOSES.get(row["top"])
    likely = say("sheet-likely", name=known.name if known else row["top"])
    words = f"{say(f'advice-{advice}')}, {percent(row['malignant_probability'])}"
    return ContactPicture(name, small, advice, words, likely)
