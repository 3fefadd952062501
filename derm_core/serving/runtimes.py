"""What runs a network for the predictor: one interface, whatever is behind it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""uint8 (N, S, S, 3): pictures at the network's size, before they are normalised."""


EAGER, AUTO, COMPILE = "eager", "auto", "compile"
"""Names in DERM_RUNTIME beside those of compiled forms: the reference, the fastest that agrees, and torch.compile."""
RUNTIMES = (AUTO, COMPILE, EAGER, "onnxruntime", "openvino", "openvino-bf16", "openvino-int8")
"""All that can be asked for."""


@dataclass(frozen=True)
class RuntimeChoice:
    """Which runtime answers, and why it is this one, in a sentence without a capital."""

    name: str
    reason: str


REFERENCE = RuntimeChoice(EAGER, "the reference; no other was asked for")


@dataclass(frozen=True, eq=False)
class Pass:
    """What one pass through a network gives.

    Attributes:
        logits: float32 (N, C).
        features: float32 (N, K), the activation of the Grad-CAM layer, averaged over its pixels and a picture's views.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ExplainedPass(Pass):
    """A pass with one heatmap a picture.

    Attributes:
        heatmaps: float32 (N, h, w), not negative, not normalised, a picture's views laid back together.
        classes: int64 (N,), the class that each heatmap explains.
    """

    heatmaps: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FullyExplainedPass(Pass):
    """A pass with the heatmaps of all classes: float32 (N, C, h, w), otherwise as in ExplainedPass."""

    heatmaps: NDArray[np.float32]


class Runtime(Protocol):
    """Runs one network. Threads may share it; a picture gets the same bits in every pass that holds it alone."""

    @property
    def name(self) -> str:
        """What it is called in DERM_RUNTIME."""

    @property
    def batches(self) -> bool:
        """Whether pictures should go through the network together."""

    def answer(self, pixels: Pixels) -> Pass:
        """Returns logits and features."""

    def explain(self, pixels: Pixels, index: int | None, bias: NDArray[np.float64]) -> ExplainedPass:
        """Returns the heatmap of one class as well.

        Args:
            index: the class to explain; None for that with the largest sum of logit and bias.
            bias: (C,), not part of the logits that are returned.
        """

    def explain_all(self, pixels: Pixels) -> FullyExplainedPass:
        """Returns the heatmaps of all classes as well."""
