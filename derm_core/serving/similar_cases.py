"""Similar cases: the photographs of a dataset that a model sees as most like a given one. Reads and writes no file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from derm_core.errors import ConfigError, DatasetError


@dataclass(frozen=True)
class SimilarCase:
    """A photograph of the index, and what is known of its case; empty is what is not.

    Attributes:
        image_path: the photograph's file, relative to the dataset folder that was indexed.
        diagnosis: a code of DIAGNOSES.
        lesion_id: photographs of one lesion share it.
        similarity: cosine of the two photographs' vectors, from -1 to 1; of the same pixels 1.
        age: in years; None where it is not known.
        sex, site: of the patient, and of the lesion.
        confirmed_by: how the diagnosis was confirmed.
        thumbnail: a small JPEG of it, for screens; empty where the index was built without.
    """

    image_path: str
    diagnosis: str
    lesion_id: str
    similarity: float
    age: float | None
    sex: str
    site: str
    confirmed_by: str
    thumbnail: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, eq=False)
class SimilarCases:
    """An index over photographs by what one model sees in them. Threads may share it.

    The search is exact (scikit-learn's, over all photographs), so that the same question has the same answer on every
    machine.

    Attributes:
        cases: a row for each photograph: image_path, diagnosis, lesion_id, age (NaN where unknown), sex, site,
            confirmed_by, thumbnail, as in SimilarCase, and lesion, as `Dataset.lesions` gives it.
        vectors: float32 (N, K) of length 1, in the order of `cases`, as `unit_vectors` makes them.
        model: name, version and sha256 of the model that made the features.
        data: name, split and fingerprint of the dataset.
    """

    cases: pd.DataFrame
    vectors: NDArray[np.float32]
    model: Mapping[str, str]
    data: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.cases)

    def query(
        self,
        features: NDArray[np.float32],
        *,
        k: int = 5,
        lesion_id: str = "",
        confirmed_only: bool = True,
    ) -> list[SimilarCase]:
        """Returns the photographs most like one, most similar first, and one of each lesion.

        Args:
            features: float32 (K,), of that photograph, as `Explanation.features` or `Predictor.features` gives them.
            k: how many at most.
            lesion_id: the lesion it shows, where that is known: no photograph of it is returned. For a photograph of a
                dataset, `Dataset.lesions` gives it.
            confirmed_only: leave out photographs whose diagnosis nobody confirmed (empty `confirmed_by`).

        Raises:
            ConfigError: k is below 1, or the features are not those of this index's model.
            DatasetError: no photograph of the index is confirmed, and only such are wanted.
        """
        if k < 1:
            raise ConfigError(f"k is {k}; it must be 1 or more.")
        if features.shape != self.vectors.shape[1:]:
            raise ConfigError(
                f"The features have the shape {features.shape}, and this index was made of {self.vectors.shape[1:]}. "
                "Ask it with the features of the model that made it."
            )
        search = self._confirmed if confirmed_only else self._all
        if search is None:
            raise DatasetError(
                f"None of the {len(self)} photographs in the index has a confirmed diagnosis. Fill in the column "
                "confirmed_by and build it again, or ask for unconfirmed cases as well."
            )
        # Of the photographs nearest, so many hold k lesions beside the one that is left out.
        wanted = (k + 1) * self._most_of_a_lesion
        seen, found = {lesion_id}, []
        for row, similarity in search.nearest(unit_vectors(features[None]), wanted):
            if self._lesions[row] not in seen:
                seen.add(self._lesions[row])
                found.append(self._case(row, similarity))
                if len(found) == k:
                    break
        return found

    @cached_property
    def _lesions(self) -> list[str]:
        return list(self.cases["lesion"])

    @cached_property
    def _most_of_a_lesion(self) -> int:
        return int(self.cases["lesion"].value_counts().iloc[0])

    @cached_property
    def _all(self) -> _Search:
        return _Search(self.vectors, np.arange(len(self)))

    @cached_property
    def _confirmed(self) -> _Search | None:
        rows = np.flatnonzero(self.cases["confirmed_by"] != "")
        if len(rows) == len(self):
            return self._all
        return _Search(self.vectors[rows], rows) if len(rows) else None

    def _case(self, row: int, similarity: float) -> SimilarCase:
        values: dict[str, Any] = self.cases.iloc[row].drop("lesion").to_dict()
        age = float(values.pop("age"))
        return SimilarCase(**values, age=None if math.isnan(age) else age, similarity=similarity)


def unit_vectors(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns float32 (N, K) of length 1 for a network's features (N, K): their dot product is the similarity.

    The signed square root keeps a few strong features from deciding alone (power normalisation: Perronnin, Sanchez and
    Mensink, ECCV 2010). On validation lesions of HAM10000 it found the right diagnosis about as often as features
    as they are (a little more often, within the intervals), and more often than whitened features.
    """
    roots = np.sign(features) * np.sqrt(np.abs(features))
    lengths = np.linalg.norm(roots, axis=1, keepdims=True)
    vectors: NDArray[np.float32] = (roots / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return vectors


class _Search:
    """Exact nearest neighbours among vectors of length 1, where the nearest are the most similar."""

    def __init__(self, vectors: NDArray[np.float32], rows: NDArray[np.intp]) -> None:
        self._rows = rows
        self._neighbours = NearestNeighbors(algorithm="brute", metric="euclidean").fit(vectors)

    def nearest(self, vector: NDArray[np.float32], count: int) -> list[tuple[int, float]]:
        """Returns (row, cosine) of the `count` nearest to a vector (1, D), equal ones in the order of their rows."""
        distances, places = self._neighbours.kneighbors(vector, min(count, len(self._rows)))
        order = np.lexsort((places[0], distances[0]))
        rows, cosines = self._rows[places[0][order]], 1 - distances[0][order] ** 2 / 2
        return list(zip(rows.tolist(), cosines.tolist(), strict=True))
