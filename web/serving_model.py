"""Which model the site answers with: chosen in the registry, noticed by every server process. Runs no model itself.

What reads bundles brings PyTorch, so it is imported where it is needed: a page must not wait for it.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, current_app, request

from derm_core import BundleError
from web.inference import Inference, ModelUnavailableError

if TYPE_CHECKING:
    from derm_core import RegisteredBundle, Registry

log = logging.getLogger(__name__)

BUNDLED = "bundled"
_State = tuple[int, int, int]


class ServingModel:
    """What the registry says of the model to answer with, and the switch to another. Thread-safe.

    A model is named by its reference: "bundled", `name@version`, or what DERM_MODEL says. Where DERM_MODEL names one,
    that one answers, and nothing can be chosen here; what its name means may still change.
    """

    def __init__(self, inference: Inference, folder: Path, pinned: str | None) -> None:
        self.pinned = pinned
        self._inference = inference
        self._folder, self._file = folder, folder / "registry.json"
        self._lock = threading.Lock()
        self._state = self._look()
        self._loaded = self._handed_in()

    @cached_property
    def registry(self) -> Registry:
        """The registry of this site."""
        from derm_core import Registry

        return Registry(self._folder)

    def wanted(self) -> str:
        """Returns the reference of the model that ought to answer; raises BundleError where the list is unreadable."""
        if not self._file.exists():
            return self.pinned or BUNDLED
        name = self.pinned or self.registry.chosen()
        serving = (
            reference(entry) for entry in self.registry.entries() if entry.name == name and entry.serves
        )
        return next(serving, name)

    def folder_of(self, chosen: str) -> Path:
        """Returns the folder of a model; raises BundleError where it is not there, or was altered."""
        from derm_core import find_bundle

        if chosen != BUNDLED and any(reference(entry) == chosen for entry in self.registry.entries()):
            return self.registry.resolve(chosen)
        return find_bundle(chosen).absolute()

    def first(self) -> Path:
        """Returns the folder of the model to load at the start, and remembers it as the one that answers."""
        wanted = self.wanted()
        folder = self.folder_of(wanted)
        self._loaded = wanted
        return folder

    def serve(self, chosen: str) -> None:
        """Answers with "bundled" or a registered `name@version` from now on, in every process of this server.

        It is loaded first, so a model that cannot be used is never switched to.

        Raises:
            BundleError: no such model, or its files were altered.
            ModelUnavailableError: it cannot be loaded.
        """
        folder = self.folder_of(chosen)
        with self._lock:
            self._inference.follow(folder)
            if chosen != BUNDLED:
                self.registry.activate(chosen)
            self.registry.choose(chosen.partition("@")[0])
            self._loaded, self._state = chosen, self._look()

    def notice(self) -> None:
        """Looks at one file whether another process has switched the model, and follows it beside the requests."""
        state = self._look()
        if state == self._state or not self._lock.acquire(blocking=False):
            return
        try:
            self._state = state
            threading.Thread(target=self._follow, name="switch-model", daemon=True).start()
        finally:
            self._lock.release()

    def _follow(self) -> None:
        with self._lock:
            try:
                wanted = self.wanted()
                # A model that is not loaded yet is asked for when it is needed: then the new one comes first.
                if wanted != self._loaded and self._inference.state == "ready":
                    self._inference.follow(self.folder_of(wanted))
                    self._loaded = wanted
                    log.warning("The model was switched to %s", wanted)
            except (BundleError, ModelUnavailableError):
                log.exception("The model that was chosen cannot be used; the one before it goes on answering")

    def _handed_in(self) -> str | None:
        """Returns what a predictor that the app was given stands for: the model that is chosen now."""
        if self._inference.state == "ready":
            with suppress(BundleError):
                return self.wanted()
        return None

    def _look(self) -> _State | None:
        try:
            state = self._file.stat()
        except FileNotFoundError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size


def reference(entry: RegisteredBundle) -> str:
    """Returns what names one line of the registry alone."""
    return f"{entry.name}@{entry.version}"


def init_serving_model(app: Flask) -> None:
    """Lets the app answer with the model that is chosen, and follow when another is."""
    inference: Inference = app.extensions["inference"]
    model = ServingModel(inference, app.config["DERM_HOME"] / "models", app.config["DERM_MODEL"])
    app.extensions["serving-model"] = model
    inference.choose_by(model.first)
    app.before_request(_notice)


def serving_model() -> ServingModel:
    """Returns the app's way to its choice of model."""
    return current_app.extensions["serving-model"]


def _notice() -> None:
    if request.endpoint != "static":
        serving_model().notice()
