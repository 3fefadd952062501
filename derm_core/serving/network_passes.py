"""Prepared pictures through one model's network and on to their answers. Decodes nothing and gathers nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore

import numpy as np
from numpy.typing import NDArray

from derm_core.serving.answer import logit_bias, make_prediction
from derm_core.serving.context import PatientContext
from derm_core.serving.description import BundleDescription
from derm_core.serving.prediction import Explanation, Explanations, Prediction
from derm_core.serving.preparation import PreparedPicture, place
from derm_core.serving.runtimes import Pixels, Runtime


@dataclass(frozen=True, eq=False)
class PassRow:
    """What one pass gave for one picture.

    Attributes:
        logits: float32 (C,).
        features: float32 (K,).
        heatmaps: float32 (C, h, w), as the network gives them; None where they were not asked for.
        seconds: the picture's share of the wall time of the pass.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    heatmaps: NDArray[np.float32] | None
    seconds: float


class NetworkPasses:
    """One model's network, of which so many passes run side by side. Thread-safe.

    Args:
        description: of the model.
        runtime: what runs the network.
        at_once: how many passes; further ones wait.
    """

    def __init__(self, description: BundleDescription, runtime: Runtime, at_once: int) -> None:
        self.description, self.runtime, self.at_once = description, runtime, at_once
        self._free = BoundedSemaphore(at_once)

    def answer(self, batch: Sequence[PreparedPicture]) -> list[PassRow]:
        """Returns the logits and features of each picture, from one pass."""
        started = time.perf_counter()
        with self._free:
            result = self.runtime.answer(_together(batch))
        seconds = (time.perf_counter() - started) / len(batch)
        return [
            PassRow(logits, features, None, seconds)
            for logits, features in zip(result.logits, result.features, strict=True)
        ]

    def explain_all(self, batch: Sequence[PreparedPicture]) -> list[PassRow]:
        """Returns the same with the heatmaps of all classes."""
        started = time.perf_counter()
        with self._free:
            result = self.runtime.explain_all(_together(batch))
        seconds = (time.perf_counter() - started) / len(batch)
        return [
            PassRow(logits, features, heatmaps, seconds)
            for logits, features, heatmaps in zip(
                result.logits, result.features, result.heatmaps, strict=True
            )
        ]

    def explained(
        self,
        picture: PreparedPicture,
        index: int | None,
        context: PatientContext | None,
        max_side: int | None,
    ) -> Explanation:
        """Returns the answer to a picture with the heatmap of one class, None for the most probable one."""
        bias = logit_bias(self.description, context)
        started = time.perf_counter()
        with self._free:
            result = self.runtime.explain(_together([picture]), index, bias)
        placed = self._placed(result.heatmaps[0], picture, max_side)
        row = PassRow(result.logits[0], result.features[0], None, time.perf_counter() - started)
        code = self.description.classes[int(result.classes[0])]
        return Explanation(self.prediction(row, picture, context), placed, code, row.features)

    def prediction(
        self,
        row: PassRow,
        picture: PreparedPicture,
        context: PatientContext | None,
        seconds: float | None = None,
    ) -> Prediction:
        """Returns the answer that a row of a pass is, of the picture that it belongs to."""
        spent = row.seconds if seconds is None else seconds
        return make_prediction(self.description, row.logits, row.features, picture, context, spent)

    def explanations(
        self, row: PassRow, picture: PreparedPicture, context: PatientContext | None, max_side: int | None
    ) -> Explanations:
        """Returns the same with the heatmaps of all classes, laid over the picture; of a row of `explain_all`."""
        if row.heatmaps is None:
            raise ValueError("This row has no heatmaps: it is not one of explain_all.")
        started = time.perf_counter()
        placed = {
            code: self._placed(heatmap, picture, max_side)
            for code, heatmap in zip(self.description.classes, row.heatmaps, strict=True)
        }
        seconds = row.seconds + time.perf_counter() - started
        return Explanations(self.prediction(row, picture, context, seconds), placed)

    def _placed(
        self, heatmap: NDArray[np.float32], picture: PreparedPicture, max_side: int | None
    ) -> NDArray[np.float32]:
        return place(heatmap, self.description.preprocessing, picture.size, max_side)


RunPass = Callable[[Sequence[PreparedPicture]], list[PassRow]]
"""A pass over some pictures, such as NetworkPasses.answer: a row for each."""


def _together(batch: Sequence[PreparedPicture]) -> Pixels:
    return np.stack([item.pixels for item in batch])
