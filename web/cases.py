"""The index of confirmed cases that similar ones are shown from, and its pictures by number. Asks no model."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from derm_core import BundleDescription, SimilarCase, SimilarCases

log = logging.getLogger(__name__)

SHOWN = 4
"""How many similar cases are shown at most."""


@dataclass(frozen=True)
class LikeCase:
    """A confirmed case and its number in the index; `number` is None where the index holds no picture of it."""

    case: SimilarCase
    number: int | None


@dataclass(frozen=True, eq=False)
class ConfirmedCases:
    """An index that suits the model that answers. Threads may share it."""

    index: SimilarCases

    def __len__(self) -> int:
        return len(self.index)

    @property
    def source(self) -> str:
        """What the photographs are from."""
        return self.index.data.get("name", "")

    @cached_property
    def mark(self) -> str:
        """Tells this index from another: a number means a picture of this one alone."""
        names = "\n".join(self.index.cases["image_path"])
        return hashlib.sha256(f"{sorted(self.index.data.items())}\n{names}".encode()).hexdigest()[:16]

    def suit(self, description: BundleDescription) -> bool:
        """Says whether the index was made with the model of this description."""
        return self.index.model["sha256"] == description.weights_sha256

    def like(self, features: NDArray[np.float32]) -> list[LikeCase]:
        """Returns the confirmed cases most like a photograph with these features, the most similar first."""
        cases = self.index.query(features, k=SHOWN)
        return [LikeCase(case, self._numbers[case.image_path] if case.thumbnail else None) for case in cases]

    def thumbnail(self, number: int) -> bytes:
        """Returns the picture of a case, a small JPEG; raises IndexError where there is none."""
        picture: bytes = self.index.cases["thumbnail"].iloc[number]
        return picture

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {path: number for number, path in enumerate(self.index.cases["image_path"])}


def read_cases(folder: str | Path, description: BundleDescription) -> ConfirmedCases | None:
    """Reads an index for the model of this description; where that cannot be, the log says why, and there is none."""
    # Here, because it brings pandas and scikit-learn, which the site does without where it has no index.
    from derm_core import load_similar_cases

    try:
        index = load_similar_cases(folder, description)
        if not any(index.cases["confirmed_by"]):
            raise DatasetError(f"{folder} holds no case whose diagnosis somebody has confirmed.")
    except DatasetError as err:
        log.error("DERM_CASES cannot be used, so no similar cases are shown. %s", err)
        return None
    return ConfirmedCases(index)
