"""Runs the model: loads it once, in the background or when first needed, and asks it. The only file here that does."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from flask import Flask, current_app

from derm_core import DermError, Explanations, PatientContext
from web.cases import ConfirmedCases, LikeCase, read_cases
from web.explains import Explains
from web.turns import Turns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from derm_core import ExplanationMethod, Predictor

log = logging.getLogger(__name__)

State = Literal["waiting", "ready", "failed"]
OWN_METHOD = "grad_cam"
"""The method of the heatmaps that come with an answer."""


class ModelUnavailableError(RuntimeError):
    """The model could not be loaded; the log says why."""


@dataclass(frozen=True)
class Answered:
    """An answer with its heatmaps, and what the model's bundle says of the figures in it.

    `operating_point` is the one that the advice follows: answers that age, sex or site have moved follow one of their
    own. `plausible_level` is the share of lesions whose list of plausible diagnoses holds the truth, None where the
    model makes no such list.
    """

    explanations: Explanations
    operating_point: dict[str, Any]
    plausible_level: float | None


class Inference:
    """The predictor of one process, or the promise of it, and the queue before it. Thread-safe.

    Whoever decodes a photograph and asks the model holds one of `turns` meanwhile.

    Args:
        predictor: what answers; None for what `model` names, loaded when first needed.
        model: the model to load.
        turns: the queue.
        cases: the folder of an index of confirmed cases, read with the model; None where there is none.
        together: how many pictures may share a pass through the network; 0: as many as have turns on a GPU, and each
            its own on the CPU.
        together_ms: the longest that a picture waits for others to share its pass, in milliseconds.
    """

    def __init__(
        self,
        predictor: Explains | None = None,
        *,
        model: str | None = None,
        turns: Turns | None = None,
        cases: str | Path | None = None,
        together: int = 0,
        together_ms: float = 5,
    ) -> None:
        self.turns = turns or Turns()
        self._together, self._together_ms = together, together_ms
        self._predictor: Explains | None = None
        self._wanted: Callable[[], str | Path | None] = lambda: model
        self._loading, self._measuring = threading.Lock(), threading.Lock()
        self._failed = False
        self._cases_folder: str | Path | None = cases
        self._cases: ConfirmedCases | None = None
        self._methods: tuple[Explains, tuple[ExplanationMethod, ...]] | None = None
        if predictor is not None:
            self._take(predictor)

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

    @property
    def weights(self) -> str | None:
        """The SHA-256 of the weights that answer; None until they are loaded."""
        return None if self._predictor is None else self._predictor.description.weights_sha256

    @property
    def cases(self) -> ConfirmedCases | None:
        """The confirmed cases that similar ones are shown from; None where there are none that suit the model."""
        return self._cases

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
        sets = description.conformal
        return Answered(explanations, asdict(point), None if sets is None else sets.level)

    def similar(self, image: bytes) -> list[LikeCase]:
        """Returns the confirmed cases most like a picture's file; none where there is no index."""
        predictor, cases = self._ready(), self._cases
        # Another model may take the place of this one meanwhile, and its index that of this one.
        if cases is None or not cases.suit(predictor.description):
            return []
        return cases.like(predictor.features(image))

    def methods(self) -> tuple[ExplanationMethod, ...]:
        """Returns how else than by Grad-CAM an answer may be explained to somebody who waits.

        The first call measures them, in a turn of its own, in about the time of some hundred answers. Raises DermError
        where the model's files are not as they were.
        """
        predictor = self._ready()
        if self._methods is None or self._methods[0] is not predictor:
            with self.turns.request(), self._measuring:
                from derm_core import explanation_methods

                found = explanation_methods(_alone(predictor))
            self._methods = predictor, tuple(method for method in found if method.name != OWN_METHOD)
        return self._methods[1]

    def heatmap(self, image: bytes, code: str, *, method: str, max_side: int) -> NDArray[np.float32]:
        """Returns the heatmap of a class, float32 (H, W) in [0, 1], by a method of one's choice.

        Raises DermError where the model has no such class, or there is no such method for it.
        """
        from derm_core import explain_by

        predictor = _alone(self._ready())
        return explain_by(predictor, image, code, method=method, max_side=max_side).heatmap

    def follow(self, model: str | Path) -> None:
        """Answers with another model from now on; the old one answers until the new one is loaded.

        Raises ModelUnavailableError where it cannot be loaded: the old one stays.
        """
        fresh = _load(model)
        with self._loading:
            self._take(fresh)

    def choose_by(self, wanted: Callable[[], str | Path]) -> None:
        """Lets `wanted` name the model that is loaded first."""
        self._wanted = wanted

    def _ready(self) -> Explains:
        if self._predictor is not None:
            return self._predictor
        with self._loading:
            if self._predictor is None:
                try:
                    self._take(_load(self._wanted))
                except ModelUnavailableError:
                    self._failed = True
                    raise
            return cast("Explains", self._predictor)

    def _take(self, predictor: Explains) -> None:
        """Answers with a predictor from now on; of the cases only those that were indexed with it are shown."""
        folder = self._cases_folder
        cases = read_cases(folder, predictor.description) if folder is not None else None
        self._predictor, self._cases, self._failed = self._gathering(predictor), cases, False

    def _gathering(self, predictor: Explains) -> Explains:
        """Lets those who ask at the same time share a pass: on a GPU, or wherever that was asked for."""
        together = self._together or (self.turns.at_once if getattr(predictor, "batches", False) else 1)
        if together == 1:
            return predictor
        from derm_core import GatheringPredictor

        self.turns.at_once = max(self.turns.at_once, together)
        return GatheringPredictor(
            cast("Predictor", predictor), pictures=together, milliseconds=self._together_ms
        )

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
        # A DermError says in a sentence what is wrong and what to do.
        log.error("The model cannot be loaded: %s", err, exc_info=not isinstance(err, DermError))
        raise ModelUnavailableError("The model cannot be loaded.") from err


def _alone(predictor: Explains) -> Predictor:
    """Returns the predictor itself, where its callers share passes."""
    from derm_core import GatheringPredictor

    return predictor.predictor if isinstance(predictor, GatheringPredictor) else cast("Predictor", predictor)


def init_inference(app: Flask, predictor: Explains | None = None) -> None:
    """Gives the app its predictor, or has it loaded when it is first needed."""
    # Half of the cores, as each answer takes about two; and a photograph of 64 megapixels a few hundred megabytes.
    turns = Turns(max(2, (os.cpu_count() or 2) // 2), app.config["DERM_QUEUE"])
    app.extensions["inference"] = Inference(
        predictor,
        model=app.config["DERM_MODEL"],
        turns=turns,
        cases=app.config["DERM_CASES"],
        together=app.config["DERM_MICRO_BATCH"],
        together_ms=app.config["DERM_MICRO_BATCH_MS"],
    )


def inference() -> Inference:
    """Returns the app's way to its model."""
    return current_app.extensions["inference"]
