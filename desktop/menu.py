"""The app's entry in the desktop's menu, with its icon: written where the desktop looks for them. Linux alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from desktop.markup import STATIC

_ENTRY, _ICON = "applications/dermatrace.desktop", "icons/hicolor/scalable/apps/dermatrace.svg"


def add_to_menu(command: Path) -> list[Path]:
    """Writes the entry that starts a command, and the icon; returns the files.

    Raises OSError where they cannot be written.
    """
    named = os.environ.get("XDG_DATA_HOME")
    data = Path(named) if named else Path.home() / ".local" / "share"
    entry, icon = data / _ENTRY, data / _ICON
    for path in (entry, icon):
        path.parent.mkdir(parents=True, exist_ok=True)
    text = (STATIC / "dermatrace.desktop").read_text("utf-8")
    entry.write_text(text.replace("@COMMAND@", _quoted(str(command))), "utf-8")
    shutil.copyfile(STATIC / "icon.svg", icon)
    return [entry, icon]


def _quoted(word: str) -> str:
    """Quotes a word of an Exec line as the Desktop Entry Specification wants it."""
    for mark in ("\\", '"', "`", "$"):
        word = word.replace(mark, "\\" + mark)
    return f'"{word.replace("%", "%%")}"'
