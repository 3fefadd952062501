"""Paths that a person wrote, pasted or dragged into a field: what they mean, and a sentence where they mean nothing."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from derm_core import ConfigError
from desktop.texts import say

EXAMPLE = "/home/mira/Pictures/November"
_MOST_SHOWN = 200


def checked_folder(written: str) -> Path:
    """Returns the folder that a person wrote; raises ConfigError with a sentence where it cannot be used."""
    text = _plain(written)
    if not text:
        raise ConfigError(say("folder-no-path", example=EXAMPLE))
    try:
        folder = Path(text).expanduser().resolve()
        found = "file" if folder.is_file() else "folder" if folder.is_dir() else ""
        if found == "folder":
            next(folder.iterdir(), None)
    except (OSError, RuntimeError, ValueError) as err:
        reason = getattr(err, "strerror", None) or str(err)
        raise ConfigError(say("folder-unreadable", folder=text[:_MOST_SHOWN], reason=reason)) from err
    if not found:
        raise ConfigError(say("folder-missing", folder=text))
    if found == "file":
        raise ConfigError(say("folder-file", folder=str(folder)))
    return folder


def checked_file(written: str | None, example: str) -> Path:
    """Returns the file that a person wrote; raises ConfigError with a sentence where there is none to read."""
    path = checked_path(written, example)
    try:
        found = "file" if path.is_file() else "folder" if path.is_dir() else ""
        if found == "file":
            path.open("rb").close()
    except OSError as err:
        reason = err.strerror or str(err)
        raise ConfigError(say("file-unreadable", file=str(path)[:_MOST_SHOWN], reason=reason)) from err
    if not found:
        raise ConfigError(say("file-missing", file=str(path)))
    if found == "folder":
        raise ConfigError(say("file-folder", file=str(path)))
    return path


def checked_path(written: str | None, example: str) -> Path:
    """Returns the path that a person wrote, whether it exists or not; raises ConfigError where it is not whole."""
    text = _plain(written)
    try:
        path = Path(text).expanduser() if text and "\x00" not in text else Path()
    except RuntimeError:
        path = Path()
    if not path.is_absolute():
        raise ConfigError(say("needs-path", example=example))
    return path


def _plain(written: str | None) -> str:
    # File managers copy a path in quotes, or as an address.
    text = (written or "").strip().strip("\"'")
    return unquote(text.removeprefix("file://")) if text.startswith("file://") else text
