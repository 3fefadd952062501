"""Threads that ask at the same time share a pass through the network: micro-batches, for a GPU. Starts no thread.

The first caller of a group leads it: it waits for the others, runs the pass in its own thread and hands out the rows.
Nobody waits who is alone, as it is known who is still decoding; so there is nothing to start and nothing to shut down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from derm_core.errors import ConfigError
from derm_core.serving.context import PatientContext
from derm_core.serving.decoding import Picture
from derm_core.serving.description import BundleDescription
from derm_core.serving.network_passes import PassRow, RunPass
from derm_core.serving.prediction import Explanations, Prediction
from derm_core.serving.predictor import Predictor
from derm_core.serving.preparation import PreparedPicture


class GatheringPredictor:
    """A predictor for many threads: those who ask at the same time are answered in one pass. Thread-safe.

    Each caller decodes its own picture and lays out its own answer; the network alone is shared. A file that cannot be
    read is an error of its caller alone, and so is whatever a picture does to a pass: the others of the pass are
    asked about again, each alone. Probabilities may differ in the fifth digit from those of a pass with other pictures.

    Args:
        predictor: what answers.
        pictures: the most that share a pass.
        milliseconds: the longest that a prepared picture waits for others that are being decoded, while a pass could
            run.

    Raises:
        ConfigError: fewer than one picture, or less than no time.
    """

    def __init__(self, predictor: Predictor, *, pictures: int = 8, milliseconds: float = 5.0) -> None:
        if pictures < 1:
            raise ConfigError(f"pictures is {pictures}; it must be 1 or more.")
        if not milliseconds >= 0:
            raise ConfigError(f"milliseconds is {milliseconds}; it must be 0 or more.")
        self._predictor, self._passes = predictor, predictor.passes

        def gathered(run: RunPass) -> _Gathering:
            return _Gathering(run, pictures, milliseconds / 1000, self._passes.at_once)

        self._answer, self._explain = gathered(self._passes.answer), gathered(self._passes.explain_all)

    @property
    def predictor(self) -> Predictor:
        """What answers."""
        return self._predictor

    @property
    def description(self) -> BundleDescription:
        """What the bundle says of its model."""
        return self._predictor.description

    def predict(self, image: Picture, context: PatientContext | None = None) -> Prediction:
        """Returns the answer to a picture; arguments and errors are those of `Predictor.predict`."""
        picture, row = self._answer(lambda: self._predictor.prepare(image))
        return self._passes.prediction(row, picture, context)

    def explain_all(
        self, image: Picture, *, context: PatientContext | None = None, max_side: int | None = None
    ) -> Explanations:
        """Returns the answer and the heatmaps of all classes, as `Predictor.explain_all` does."""
        picture, row = self._explain(lambda: self._predictor.prepare(image))
        return self._passes.explanations(row, picture, context, max_side)

    def features(self, image: Picture) -> NDArray[np.float32]:
        """Returns float32 (K,), what the network sees in a picture, as `Predictor.features` does."""
        return self._answer(lambda: self._predictor.prepare(image))[1].features


@dataclass(eq=False)
class _Call:
    """A picture that waits for its row; `failure` takes its place where the pass over it alone raised.

    `given_up` says that its caller waits no more, being interrupted.
    """

    picture: PreparedPicture = field(init=False)
    ready_at: float = field(init=False)
    row: PassRow | None = None
    failure: Exception | None = None
    given_up: bool = False

    @property
    def answered(self) -> bool:
        return self.row is not None or self.failure is not None


class _Gathering:
    """One kind of pass, and who waits for it.

    Args:
        run: the pass.
        most: pictures in one.
        patience: seconds that a picture waits for others.
        at_once: passes side by side.
    """

    def __init__(self, run: RunPass, most: int, patience: float, at_once: int) -> None:
        self._run, self._most, self._patience, self._at_once = run, most, patience, at_once
        self._changed = threading.Condition()
        self._waiting: list[_Call] = []
        self._preparing = self._running = 0

    def __call__(self, prepare: Callable[[], PreparedPicture]) -> tuple[PreparedPicture, PassRow]:
        """Prepares a picture and returns it with its row of a pass; raises what either of them did."""
        call = _Call()
        try:
            self._join(call, prepare)
            while not call.answered:
                if group := self._lead(call):
                    self._answer(group)
        finally:
            with self._changed:
                call.given_up = not call.answered
                if call in self._waiting:
                    self._waiting.remove(call)
                self._changed.notify_all()
        if call.row is None:
            assert call.failure is not None
            raise call.failure
        return call.picture, call.row

    def _join(self, call: _Call, prepare: Callable[[], PreparedPicture]) -> None:
        with self._changed:
            self._preparing += 1
        prepared = False
        try:
            call.picture = prepare()
            prepared = True
        finally:
            with self._changed:
                self._preparing -= 1
                if prepared:
                    call.ready_at = time.monotonic()
                    self._waiting.append(call)
                self._changed.notify_all()

    def _lead(self, call: _Call) -> list[_Call]:
        """Waits until a caller is answered, or is the first and may run a pass; returns who shares it then."""
        with self._changed:
            while not call.answered:
                left = None
                if self._waiting[:1] == [call] and self._running < self._at_once:
                    left = call.ready_at + self._patience - time.monotonic()
                    if left <= 0 or not self._preparing or len(self._waiting) >= self._most:
                        group = self._waiting[: self._most]
                        del self._waiting[: self._most]
                        self._running += 1
                        self._changed.notify_all()  # another one is the first now
                        return group
                self._changed.wait(left)
            return []

    def _answer(self, group: list[_Call]) -> None:
        try:
            self._run_pass(group)
        finally:
            with self._changed:
                self._running -= 1
                # Where the leader itself was interrupted, the others find another one.
                self._waiting[:0] = [call for call in group[1:] if not (call.answered or call.given_up)]
                self._changed.notify_all()

    def _run_pass(self, group: list[_Call]) -> None:
        try:
            rows = self._run([call.picture for call in group])
        except Exception as err:
            if len(group) == 1:
                group[0].failure = err
                return
            for call in group:
                self._run_pass([call])
        else:
            for call, row in zip(group, rows, strict=True):
                call.row = row
