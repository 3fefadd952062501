"""Loads models, each by the runtime that pays: the one that scripts/predict.py takes for as many pictures.

Which that is on this machine is found out once for a model, in a process of its own: the page stays quick, and it can
be stopped. Answers nothing.

    python -m desktop.model_loader MODEL THREADS
"""

from __future__ import annotations

import logging
import sys
import tempfile
import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from derm_core import load_predictor, usual_runtime
from desktop.child_process import start_module

if TYPE_CHECKING:
    from derm_core import Predictor

log = logging.getLogger(__name__)

AUTO = "auto"
"""The runtime's name for the quickest that agrees with the reference."""
_SECONDS_BETWEEN = 0.2


class ModelLoader:
    """Loads models for one picture at a time and for many.

    Args:
        threads: cores for one pass; with one of them, most of many pictures get done.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._runtimes: WeakKeyDictionary[Predictor, str] = WeakKeyDictionary()

    def load(self, model: str | None) -> Predictor:
        """Loads a model for one picture at a time, by the quickest runtime where that is known; raises DermError."""
        return self._load(model, usual_runtime(model, pictures=1, threads=self._threads))

    def for_many(self, predictor: Predictor, pictures: int, stop: threading.Event) -> Predictor:
        """Returns what answers so many pictures with a predictor's model: itself where that is as quick.

        Args:
            predictor: answers until then.
            pictures: how many there are.
            stop: where it is set, the predictor itself is returned, and nothing more is found out.

        Raises:
            DermError: the bundle was changed or removed meanwhile.
        """
        model = str(predictor.folder)
        wanted = usual_runtime(model, pictures=pictures, threads=self._threads)
        if wanted == self._runtimes.get(predictor):
            return predictor
        if wanted == AUTO and usual_runtime(model, pictures=1, threads=self._threads) != AUTO:
            self._find_out(model, stop)
            if usual_runtime(model, pictures=1, threads=self._threads) != AUTO:
                return predictor
        return predictor if stop.is_set() else self._load(model, wanted)

    def _load(self, model: str | None, runtime: str) -> Predictor:
        predictor = load_predictor(model, threads=self._threads, runtime=runtime)
        self._runtimes[predictor] = runtime
        return predictor

    def _find_out(self, model: str, stop: threading.Event) -> None:
        with (
            tempfile.TemporaryFile() as said,
            start_module(
                "desktop.model_loader", model, str(self._threads), stdout=said, stderr=said
            ) as process,
        ):
            while process.poll() is None and not stop.wait(_SECONDS_BETWEEN):
                pass
            if process.poll() is None:
                process.kill()
                process.wait()
            elif process.returncode:
                said.seek(0)
                told = said.read().decode("utf-8", errors="replace").strip().splitlines()
                log.warning("No quicker runtime could be found: %s", told[-1] if told else process.returncode)


if __name__ == "__main__":
    load_predictor(sys.argv[1], threads=int(sys.argv[2]), runtime=AUTO)
