"""The case list that all windows share, opened once, and what deleted or cut-off photographs left swept from it.

A photograph's row goes first and its files after it; where the app is killed in between, or the disk refuses, the files
stay until they are swept: when the app starts, and every few hours as long as it runs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from desktop.case_list import CaseList
from desktop.case_reading import FILE
from desktop.uploads import home

log = logging.getLogger(__name__)

SWEEP_SECONDS = 6 * 3600.0
_open: dict[Path, CaseList] = {}
_opening = threading.Lock()


def case_list(folder: Path | None = None) -> CaseList:
    """Returns the case list of a folder, by default that under DERM_HOME; it is opened once. Raises as CaseList."""
    folder = folder or _usual_folder()
    with _opening:
        if folder not in _open:
            _open[folder] = CaseList(folder)
        return _open[folder]


@contextmanager
def swept_case_list(every_seconds: float = SWEEP_SECONDS) -> Iterator[None]:
    """Sweeps the case list under DERM_HOME at once and then every so often, in a thread that ends with the block."""
    ended = threading.Event()

    def sweep() -> None:
        while True:
            _sweep_once()
            if ended.wait(every_seconds):
                return

    thread = threading.Thread(target=sweep, name="derm-sweeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _sweep_once() -> None:
    folder = _usual_folder()
    # Who follows no lesion gets no list.
    if not (folder / FILE).exists():
        return
    try:
        if swept := case_list(folder).sweep():
            log.info("Files of %d deleted photographs were removed.", swept)
    except Exception:
        # The app works without; whoever opens the list is told what is wrong with it.
        log.exception("The case list could not be swept")


def _usual_folder() -> Path:
    return home() / "case-list"
