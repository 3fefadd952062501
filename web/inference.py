"""Runs the model: loads it once, in the background or when first needed, and asks it. The only file here that does."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Literal, Protocol

from flask import Flask, current_app

from derm_core import DermError, Explanations, PatientContext

log = logging.getLogger(__name__)

State = Literal["waiting", "ready", "failed"]


class Explains(Protocol):
    """What the website needs of a predictor."""

    @property
    def description(self) -> Any:
        """The bundle's description: its `context`, its `operating_point` and `context_operating_point`, dataclasses."""

    def explain_all(
        self, image: bytes, *, context: PatientContext | None = None, max_side: int | None = None
    ) -> Explanations:
        """Answers a picture's file, with the heatmaps of all classes from one pass. Thread-safe."""


class ModelUnavailableError(RuntimeError):
    """The model could not be loaded; the log says why."""


class Inference:
    """The predictor of one process, or the promise of it. Thread-safe."""

    def __init__(self, predictor: Explains | None = None, *, model: str | None = None) -> None:
        self._predictor = predictor
        self._model = model
        self._loading = threading.Lock()
        self._failed = False

    @property
    def state(self) -> State:
        """Whether a picture would be answered at once."""
        if self._predictor is not None:
            return "ready"
        return "failed" if self._failed else "waiting"

    @property
    def uses_context(self) -> bool | None:
        """Whether the model has learnt to use age, sex and site; None until it is loaded."""
        return None if self._predictor is None else self._predictor.description.context is not None

    def load_in_background(self) -> None:
        """Starts loading and returns at once; a request that comes meanwhile waits for it."""
        threading.Thread(target=self._load_quietly, name="load-model", daemon=True).start()

    def explain_all(self, image: bytes, *, context: PatientContext, max_side: int) -> Explanations:
        """Answers a picture's file. Raises ModelUnavailableError where there is no model to ask."""
        return self._ready().explain_all(image, context=context, max_side=max_side)

    def operating_point(self, *, with_context: bool) -> dict[str, Any]:
        """Returns what the bundle says of the operating point that advice follows: how it did, and on what.

        Answers that age, sex or site have moved follow one of their own.
        """
        description = self._ready().description
        return asdict(description.context_operating_point if with_context else description.operating_point)

    def _ready(self) -> Explains:
        if self._predictor is not None:
            return self._predictor
        with self._loading:
            if self._predictor is None:
                try:
                    # Here, because it brings PyTorch: the server answers before the model is there.
                    from derm_core import load_predictor

                    self._predictor = load_predictor(self._model)
                except (DermError, OSError, ImportError) as err:
                    self._failed = True
                    log.exception("The model cannot be loaded")
                    raise ModelUnavailableError("The model cannot be loaded.") from err
                self._failed = False
            return self._predictor

    def _load_quietly(self) -> None:
        # A failure is logged already, and the next picture tries again.
        with suppress(ModelUnavailableError):
            self._ready()


def init_inference(app: Flask, predictor: Explains | None = None) -> None:
    """Gives the app its predictor, or has it loaded when it is first needed."""
    app.extensions["inference"] = Inference(predictor, model=app.config["DERM_MODEL"])


def inference() -> Inference:
    """Returns the app's way to its model."""
    return current_app.extensions["inference"]
