"""The folder through which files come and go: nobody else's to read, and empty before and after. Knows no page."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "GRADIO_TEMP_DIR"


def home() -> Path:
    """Returns the folder that DERM_HOME names; without it, `instance` beside the package."""
    named = os.environ.get("DERM_HOME")
    return (
        Path(named).expanduser().resolve() if named else Path(__file__).resolve().parent.parent / "instance"
    )


@contextmanager
def upload_folder(port: int) -> Iterator[Path]:
    """Makes an empty folder (mode 700) for uploads, names it to Gradio, and removes it with all it holds.

    Each port has its own, so that two apps never share one, and an app finds what a killed one left behind. Build the
    interface inside: its parts look up the folder when they are made.

    Raises OSError where the folder cannot be made or emptied.
    """
    folder = home() / "desktop" / str(port)
    _remove(folder)
    home().mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
        _remove(folder)


def download_folder() -> Path:
    """Returns a new folder for a file that the browser shall take along; it goes with the folder for uploads."""
    return Path(tempfile.mkdtemp(dir=os.environ.get(VARIABLE)))


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
