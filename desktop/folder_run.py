"""One folder's pictures, answered in a thread of its own, one row a picture. Knows no page.

The rows are in a journal under DERM_HOME (`folders/<key>/answers.journal`): stopped, killed or restarted, the same
folder with the same model goes on where it was. In memory there are a few bytes a row.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from derm_core import (
    DermError,
    answer_columns,
    answer_row,
    find_pictures,
    journal_about,
    journal_rows,
    open_answer_journal,
    predict_files,
    rows_at,
    write_rows,
)
from desktop.folder_index import RowIndex
from desktop.texts import say
from desktop.uploads import home

if TYPE_CHECKING:
    from derm_core import AnswerJournal, Predictor

log = logging.getLogger(__name__)

State = Literal["looking", "preparing", "running", "stopping", "stopped", "done", "failed"]
Row = dict[str, Any]
Quicken = Callable[["Predictor", int, threading.Event], "Predictor"]
"""Gives what answers so many pictures with a predictor's model; gives up where the event is set."""
JOURNAL = "answers.journal"
_RECENT_SECONDS = 20.0


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        state: what it does.
        done, total: pictures; `total` is 0 while it is looking for them.
        ignored: files of the folder that are not named like pictures.
        kinds: how many rows there are of each of KINDS.
        pictures_a_second: of late; 0 where that is not known.
        seconds_left: at that speed; None where that is not known.
        runtime: what runs the network, such as "openvino"; empty before anything was answered.
        reason: why it does, in a sentence without a capital.
        problem: why it failed, in one sentence.
    """

    state: State
    done: int
    total: int
    ignored: int
    kinds: dict[str, int]
    pictures_a_second: float
    seconds_left: float | None
    runtime: str
    reason: str
    problem: str

    @property
    def is_active(self) -> bool:
        """Whether pictures are being answered."""
        return self.state in ("looking", "preparing", "running", "stopping")


class FolderRun:
    """The answers of one model to the pictures of one folder.

    Args:
        predictor: whose model answers.
        folder: the pictures.
        recursive: look into its folders as well.
        quicken: as Quicken; None to answer with the predictor itself.
    """

    def __init__(
        self, predictor: Predictor, folder: Path, *, recursive: bool = True, quicken: Quicken | None = None
    ) -> None:
        self.folder, self.recursive = folder, recursive
        self._quicken = quicken
        self._runtime = self._reason = ""
        self._predictor = predictor
        description = predictor.description
        self.about: dict[str, Any] = {
            "columns": answer_columns(predictor.classes),
            "model": description.weights_sha256,
            "model_name": f"{description.name} {description.version}",
            "operating_point": description.operating_point.threshold,
            "folder": str(folder),
            "recursive": recursive,
        }
        self.journal = run_folder(self.about) / JOURNAL
        self._lock = threading.Lock()
        self._index = RowIndex()
        self._state: State = "stopped"
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._total = self._ignored = 0
        self._problem = ""
        self._recent: list[tuple[float, int]] = []

    def start(self) -> None:
        """Starts answering, or goes on; returns at once. Where it runs already, nothing happens."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._stop.clear()
        self._state, self._problem = "looking", ""
        self._thread = threading.Thread(target=self._work, name="derm-folder", daemon=True)
        self._thread.start()

    def stop(self, patience: float = 0) -> None:
        """Asks it to stop after the pictures at hand, and waits for that as long as said, in seconds."""
        self._stop.set()
        if self.progress().is_active:
            self._state = "stopping"
        if patience:
            self.wait(patience)

    def wait(self, patience: float) -> bool:
        """Waits until nothing is being answered; returns whether that came within so many seconds."""
        if self._thread is not None:
            self._thread.join(patience)
        return self._thread is None or not self._thread.is_alive()

    def progress(self) -> Progress:
        """Returns how far it is."""
        kinds = self._index.counts()
        done = sum(kinds.values())
        with self._lock:
            recent = list(self._recent)
        speed = 0.0
        if len(recent) > 1 and self._state == "running":
            elapsed = time.monotonic() - recent[0][0]
            speed = (done - recent[0][1]) / elapsed if elapsed > 0 else 0.0
        left = (self._total - done) / speed if speed > 0 else None
        return Progress(
            state=self._state,
            done=done,
            total=self._total,
            ignored=self._ignored,
            kinds=kinds,
            pictures_a_second=speed,
            seconds_left=left,
            runtime=self._runtime,
            reason=self._reason,
            problem=self._problem,
        )

    def places(self, *, show: str = "", order: str = "file") -> list[int]:
        """Returns where the rows are that are wanted, in the order wanted; the arguments are those of RowIndex."""
        return self._index.places(show=show, order=order)

    def rows(self, places: list[int]) -> list[Row]:
        """Returns the rows at these places."""
        return rows_at(self.journal, places) if places else []

    def export(self, out: Path, places: list[int]) -> None:
        """Writes rows as CSV or JSON lines; one at a time is in memory."""
        write_rows(out, self._each(places), list(self.about["columns"]))

    def _each(self, places: list[int]) -> Iterator[Row]:
        for first in range(0, len(places), 100):
            yield from rows_at(self.journal, places[first : first + 100])

    def read_back(self) -> None:
        """Takes in the rows of an earlier run, without answering anything."""
        with suppress(OSError):
            self._index_anew()

    def _work(self) -> None:
        try:
            self._answer_all()
        except DermError as err:
            self._problem, self._state = str(err), "failed"
        except OSError as err:
            log.exception("A folder could not be answered")
            self._problem, self._state = say("folder-disk", reason=err.strerror or str(err)), "failed"
        except Exception:
            log.exception("A folder could not be answered")
            self._problem, self._state = say("folder-failed"), "failed"

    def _answer_all(self) -> None:
        files, self._ignored = find_pictures([self.folder], recursive=self.recursive)
        self._total = len(files)
        if not files:
            self._problem, self._state = say("folder-empty", folder=str(self.folder)), "failed"
            return
        self.journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        go_on = journal_about(self.journal) == self.about
        with open_answer_journal(self.journal, self.about, go_on=go_on) as journal:
            self._index_anew()
            left = [file for file in files if not journal.is_done(file)]
            # Rows of files that have gone since stay: they were answered.
            self._total = len(self._index) + len(left)
            if left and self._quicken is not None and not self._stop.is_set():
                self._state = "preparing"
                self._predictor = self._quicken(self._predictor, len(files), self._stop)
            if not self._stop.is_set():
                self._state = "running"
                self._runtime, self._reason = self._predictor.runtime.name, self._predictor.runtime.reason
            self._recent = [(time.monotonic(), len(self._index))]
            self._answer(left, journal)
        self._state = "stopped" if len(self._index) < self._total else "done"

    def _answer(self, files: list[Path], journal: AnswerJournal) -> None:
        with closing(predict_files(self._predictor, files)) as answers:
            for file in files:
                if self._stop.is_set():
                    return
                row = answer_row(file, next(answers), self._predictor.classes)
                self._take(journal.write(row), row)

    def _take(self, place: int, row: Row) -> None:
        self._index.add(place, row)
        now, done = time.monotonic(), len(self._index)
        with self._lock:
            if not self._recent or now - self._recent[-1][0] >= 1:
                self._recent.append((now, done))
                while len(self._recent) > 2 and now - self._recent[1][0] > _RECENT_SECONDS:
                    del self._recent[0]

    def _index_anew(self) -> None:
        self._index.clear()
        for place, row in journal_rows(self.journal):
            self._index.add(place, row)


def run_folder(about: dict[str, Any]) -> Path:
    """Returns where the rows of a folder are kept: of the same folder and model always the same place."""
    words = "\0".join(str(about[name]) for name in ("folder", "recursive", "model", "operating_point"))
    return home() / "folders" / hashlib.sha256(words.encode()).hexdigest()[:16]


def earlier_runs() -> list[dict[str, Any]]:
    """Returns what the journals under DERM_HOME share, the one written last first."""
    paths = sorted(
        (home() / "folders").glob(f"*/{JOURNAL}"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return [about for path in paths if (about := journal_about(path)) and "folder" in about]
