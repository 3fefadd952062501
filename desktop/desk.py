"""What all windows of the app share: the model that answers, and the folder that is being answered. Knows no page."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core import ConfigError
from desktop.folder_run import FolderRun, Quicken, earlier_runs
from desktop.texts import say
from desktop.written_path import checked_folder

if TYPE_CHECKING:
    from derm_core import ExplanationMethod, MachineState, Predictor, SimilarCases

_AT_MOST_EARLIER = 6
_AT_MOST_LOADED = 3


class Desk:
    """One app's state; windows and threads share it.

    Args:
        predictor: what answers at first.
        load: makes the predictor of a model's name; None where no other model can be chosen.
        quicken: gives what answers a folder of so many pictures with a predictor's model; None to let the predictor.
        remember: keeps the name of the model that was chosen for the next start; None where it is not to be kept.
        methods: measures which other explanations a predictor has; None where none are offered.
        cases: an index of confirmed cases; None where there is none.
        pick_folder: asks the user for a folder in a window of the system; None where there is none.
        machine: tells what a predictor answers on; None where nothing is to be told.
        notice: what to know of this machine, such as a GPU that cannot be used; empty for nothing.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        load: Callable[[str], Predictor] | None = None,
        quicken: Quicken | None = None,
        remember: Callable[[str], None] | None = None,
        methods: Callable[[Predictor], tuple[ExplanationMethod, ...]] | None = None,
        cases: SimilarCases | None = None,
        pick_folder: Callable[[], str | None] | None = None,
        machine: Callable[[Predictor], MachineState] | None = None,
        notice: str = "",
    ) -> None:
        self.predictor, self.cases, self.notice = predictor, cases, notice
        self.methods, self.machine = methods, machine
        self.load, self.remember, self.pick_folder = load, remember, pick_folder
        self.run: FolderRun | None = None
        self._quicken = quicken
        self._lock, self._loading = threading.Lock(), threading.Lock()
        self._loaded: dict[str, Predictor] = {}

    def choose(self, reference: str) -> None:
        """Lets a model of this machine answer from now on; what is being answered is answered to its end by the other.

        Raises:
            DermError: it cannot be loaded.
        """
        self.predictor = self.predictor_of(reference)
        if self.remember is not None:
            self.remember(reference)

    def predictor_of(self, reference: str) -> Predictor:
        """Returns what answers with a model: the one at hand, or one that is loaded for it.

        Raises:
            DermError: it cannot be loaded.
        """
        if self.load is None:
            raise ConfigError(say("models-fixed"))
        with self._loading:
            if reference not in self._loaded:
                while len(self._loaded) >= _AT_MOST_LOADED:
                    del self._loaded[next(iter(self._loaded))]
                self._loaded[reference] = self.load(reference)
            return self._loaded[reference]

    def _quickened(self, predictor: Predictor, pictures: int, stop: threading.Event) -> Predictor:
        """Returns what answers so many pictures; from then on it answers single ones of its model as well."""
        if self._quicken is None:
            return predictor
        quick = self._quicken(predictor, pictures, stop)
        with self._loading:
            if self.predictor is predictor:
                self.predictor = quick
            self._loaded = {name: quick if one is predictor else one for name, one in self._loaded.items()}
        return quick

    @property
    def similar_cases(self) -> SimilarCases | None:
        """The index of confirmed cases, where it was made with the model at hand."""
        if self.cases is None or self.cases.model.get("sha256") != self.predictor.description.weights_sha256:
            return None
        return self.cases

    def open_folder(self, written: str, *, recursive: bool = True, start: bool = True) -> FolderRun:
        """Takes a folder up: its rows so far are there at once, and where `start` is set the rest is being answered.

        Raises:
            ConfigError: there is no such folder, it cannot be read, or another one is being answered.
        """
        folder = checked_folder(written)
        with self._lock:
            current = self.run
            if current is not None and current.progress().is_active:
                if (current.folder, current.recursive) == (folder, recursive):
                    return current
                raise ConfigError(say("folder-busy", folder=str(current.folder)))
            run = FolderRun(self.predictor, folder, recursive=recursive, quicken=self._quickened)
            run.read_back()
            self.run = run
            if start:
                run.start()
            return run

    def forget_folder(self) -> bool:
        """Deletes the rows of the folder at hand; returns whether that was done: not while it is being answered."""
        with self._lock:
            if self.run is None or self.run.progress().is_active:
                return False
            shutil.rmtree(self.run.journal.parent, ignore_errors=True)
            self.run = None
            return True

    def earlier_folders(self) -> list[tuple[str, bool]]:
        """Returns the folders that the model at hand answered before, and whether with the folders inside them.

        The latest comes first; those that are gone are left out.
        """
        found = []
        for about in earlier_runs():
            folder = Path(str(about["folder"]))
            description = self.predictor.description
            mine = (description.weights_sha256, description.operating_point.threshold)
            if (about.get("model"), about.get("operating_point")) == mine and folder.is_dir():
                found.append((str(folder), bool(about.get("recursive", True))))
        return found[:_AT_MOST_EARLIER]

    @property
    def is_busy(self) -> bool:
        """Whether something would be left unfinished if the app ended now."""
        return self.run is not None and self.run.progress().is_active

    def close(self, patience: float = 30) -> None:
        """Ends what is being done in order; what is done is kept."""
        if self.run is not None:
            self.run.stop(patience)
