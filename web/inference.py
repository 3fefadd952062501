"""Runs the model: loads it once, in the background or when first needed, and asks it. The only file here that does."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from flask import Flask, current_app

from derm_core import DermError, Explanations, PatientContext
from web.turns import Turns

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


@dataclass(frozen=True)
class Answered:
    """An answer with its heatmaps, and what the model's bundle says of the operating point that the advice follows.

    Answers that age, sex or site have moved follow one of their own.
    """

    explanations: Explanations
    operating_point: dict[str, Any]


class Inference:
    """The predictor of one process, or the promise of it, and the queue before it. Thread-safe.

    Whoever decodes a photograph and asks the model holds one of `turns` meanwhile.
    """

    def __init__(
        self, predictor: Explains | None = None, *, model: str | None = None, turns: Turns | None = None
    ) -> None:
        self.turns = turns or Turns()
        self._predictor = predictor
        self._wanted: Callable[[], str | Path | None] = lambda: model
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

    def load(self) -> None:
        """Loads the model where it is not there yet; raises ModelUnavailableError where it cannot be."""
        self._ready()

    def answer(self, image: bytes, *, context: PatientContext, max_side: int) -> Answered:
        """Answers a picture's file. Raises ModelUnavailableError where there is no model to ask."""
        predictor = self._ready()  # once: another model may take its place meanwhile
        explanations = predictor.explain_all(image, context=context, max_side=max_side)
        description = predictor.description
        moved = bool(explanations.prediction.context)
        point = description.context_operating_point if moved else description.operating_point
        return Answered(explanations, asdict(point))

    def follow(self, model: str | Path) -> None:
        """Answers with another model from now on; the old one answers until the new one is loaded.

        Raises ModelUnavailableError where it cannot be loaded: the old one stays.
        """
        fresh = _load(model)
        with self._loading:
            self._predictor, self._failed = fresh, False

    def choose_by(self, wanted: Callable[[], str | Path]) -> None:
        """Lets `wanted` name the model that is loaded first."""
        self._wanted = wanted

    def _ready(self) -> Explains:
        if self._predictor is not None:
            return self._predictor
        with self._loading:
            if self._predictor is None:
                try:
                    self._predictor = _load(self._wanted)
                except ModelUnavailableError:
                    self._failed = True
                    raise
                self._failed = False
            return self._predictor

    def _load_quietly(self) -> None:
        # A failure is logged already, and the next picture tries again.
        with suppress(ModelUnavailableError):
            self._ready()


def _load(model: str | Path | Callable[[], str | Path | None]) -> Explains:
    try:
        # Here, because it brings PyTorch: the server answers before the model is there.
        from derm_core import load_predictor

        return load_predictor(model() if callable(model) else model)
    except (DermError, OSError, ImportError) as err:
        log.exception("The model cannot be loaded")
        raise ModelUnavailableError("The model cannot be loaded.") from err


def init_inference(app: Flask, predictor: Explains | None = None) -> None:
    """Gives the app its predictor, or has it loaded when it is first needed."""
    # Half of the cores, as each answer takes about two; and a photograph of 64 megapixels a few hundred megabytes.
    turns = Turns(max(2, (os.cpu_count() or 2) // 2), app.config["DERM_QUEUE"])
    app.extensions["inference"] = Inference(predictor, model=app.config["DERM_MODEL"], turns=turns)


def inference() -> Inference:
    """Returns the app's way to its model."""
    return current_app.extensions["inference"]
