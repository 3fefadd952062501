"""What the files of a batch are called in its table, and what the batch is: by the paths that came. Opens no file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from web.archives import is_archive
from web.forms import tidy_line
from web.models.batches import BATCH_NAME_LENGTH

_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}


def tidy_path(name: str) -> str:
    """Returns a path as it is shown: one line, forward slashes, nothing that leads upwards."""
    parts = tidy_line(name.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..")) or "unnamed"


def is_junk(name: str) -> bool:
    """Says whether a system put the file there by itself."""
    return any(part.startswith(".") or part.lower() in _JUNK for part in name.split("/"))


def common_folder(names: Sequence[str]) -> str:
    """Returns the folder that all files lie in, with a slash at its end; empty where there is none."""
    first, slash, _ = names[0].partition("/")
    folder = first + slash
    return folder if slash and all(name.startswith(folder) for name in names) else ""


def batch_name(given: str, folder: str, sent: Sequence[str], count: int) -> str:
    """Returns what a batch is called: as its sender says, or like its folder or its zip.

    Args:
        given: by the sender; may be empty.
        folder: that all files lie in, as `common_folder` gives it.
        sent: names of what was sent, a zip's own for all that is in it.
        count: of files.
    """
    if given := tidy_line(given):
        return given[:BATCH_NAME_LENGTH]
    if folder:
        return folder[:-1][:BATCH_NAME_LENGTH]
    if len(sent) == 1 and is_archive(sent[0]):
        return PurePosixPath(tidy_path(sent[0])).stem[:BATCH_NAME_LENGTH]
    return "1 file" if count == 1 else f"{count} files"
