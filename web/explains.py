"""What the website needs of a predictor. Runs no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from derm_core import Explanations, PatientContext

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Explains(Protocol):
    """What the website needs of a predictor."""

    @property
    def description(self) -> Any:
        """The bundle's: its `weights_sha256`, `context`, `conformal`, `operating_point`, `context_operating_point`."""

    def explain_all(
        self, image: bytes, *, context: PatientContext | None = None, max_side: int | None = None
    ) -> Explanations:
        """Answers a picture's file, with the heatmaps of all classes from one pass. Thread-safe."""

    def features(self, image: bytes) -> NDArray[np.float32]:
        """Returns what the network sees in a picture's file, for looking up similar cases. Thread-safe."""
