"""Whether a picture is like those that the network learnt from, and shows a lesion: scored from its features alone.

A picture is unlike the known where its features lie far from the subspace in which those of the training photographs
vary (the residual of Wang et al., "ViM", CVPR 2022, arXiv 2203.10807). Before that they are brought to one scale by a
signed square root and unit length, as Arandjelović and Zisserman do with histograms ("Three things everyone should
know to improve object retrieval", CVPR 2012): each feature counts by its share, and no strong one outshouts the rest.
Linear rules on the same features tell photographs of lesions from bare skin, and from drawn pictures of anything else.
Needs no torch; fits nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derm_core.serving.parsing import (
    parse_finite,
    parse_mapping,
    parse_object,
    parse_positive,
    parse_text,
    wrong,
)
from derm_core.serving.prediction import QualityFlag

NOT_DERMOSCOPY = QualityFlag(
    "not-dermoscopy",
    "This does not look like the dermoscopic photographs that the model knows: check the file, or take the picture "
    "again through a dermatoscope.",
)
NO_LESION = QualityFlag(
    "no-lesion",
    "No lesion can be made out: take the picture again with the lesion in the middle, filling a third of it or more.",
)


@dataclass(frozen=True)
class Rule:
    """A linear rule on scaled features: the log odds that they are those of a dermoscopic photograph of a lesion.

    Attributes:
        weights: (K,), an array as `encoded` writes it.
        bias: added to the sum.
        least: below this a picture is not answered.
    """

    weights: str
    bias: float
    least: float

    def evidence(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns float32 (N,), the log odds for features (N, K)."""
        odds: NDArray[np.float32] = scaled_features(features) @ self._weights + np.float32(self.bias)
        return odds

    @classmethod
    def from_dict(cls, values: Any, name: str, width: int) -> Rule:
        """Reads the part of a model.json; raises BundleError where it is not a rule for so many features."""
        values = parse_object(values, name, [field.name for field in fields(cls)])
        rule = cls(
            parse_text(values, "weights"),
            parse_finite(values["bias"], f"bias of {name}"),
            parse_finite(values["least"], f"least of {name}"),
        )
        if len(rule._weights) != width:
            raise wrong(f"weights of {name}", len(rule._weights), f"{width} numbers")
        return rule

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        return _array("weights", self.weights)


@dataclass(frozen=True)
class Reference:
    """What the training photographs are like, as plain values of a model.json.

    Attributes:
        centre: (K,), the mean of their scaled features.
        axes: (D, K), orthonormal, the directions in which they vary most.
        farthest: a picture whose distance is above this is not answered.
        not_other: tells dermoscopic photographs from drawn pictures of anything else.
        not_skin: tells lesions from bare skin.
        measured: how it was fitted and what it does to photographs that it was not fitted on, for people.

    Arrays are as `encoded` writes them.
    """

    centre: str
    axes: str
    farthest: float
    not_other: Rule
    not_skin: Rule
    measured: Mapping[str, Any]

    def flags(self, features: NDArray[np.float32]) -> tuple[QualityFlag, ...]:
        """Returns why a picture should not be answered, the likeliest reason alone; empty where it should.

        Args:
            features: float32 (K,), of the picture.
        """
        row = features[None]
        skin, other = (float(rule.evidence(row)[0]) - rule.least for rule in (self.not_skin, self.not_other))
        if skin >= 0 and other >= 0 and self.distances(row)[0] <= self.farthest:
            return ()
        return (NO_LESION if skin < min(other, 0) else NOT_DERMOSCOPY,)

    def distances(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns float32 (N,) in [0, 2]: how far features (N, K) lie from the subspace of the known."""
        away = scaled_features(features) - self._centre
        squared = (away**2).sum(axis=1) - ((away @ self._axes.T) ** 2).sum(axis=1)
        distances: NDArray[np.float32] = np.sqrt(squared.clip(0))
        return distances

    @classmethod
    def from_dict(cls, values: Any) -> Reference | None:
        """Reads the part of a model.json; None for null. Raises BundleError where it is not as it should be."""
        if values is None:
            return None
        name = "reference_statistics"
        values = parse_object(values, name, [field.name for field in fields(cls)])
        width = len(_array("centre", parse_text(values, "centre")))
        reference = cls(
            centre=values["centre"],
            axes=parse_text(values, "axes"),
            farthest=parse_positive(values["farthest"], f"farthest of {name}"),
            not_other=Rule.from_dict(values["not_other"], f"not_other of {name}", width),
            not_skin=Rule.from_dict(values["not_skin"], f"not_skin of {name}", width),
            measured=parse_mapping(values["measured"], f"measured of {name}"),
        )
        length = len(_array("axes", reference.axes))
        if not width or not length or length % width:
            raise wrong(f"axes of {name}", length, f"one or more rows of {width} numbers")
        return reference

    @cached_property
    def _centre(self) -> NDArray[np.float32]:
        return _array("centre", self.centre)

    @cached_property
    def _axes(self) -> NDArray[np.float32]:
        return _array("axes", self.axes).reshape(-1, len(self._centre))


def scaled_features(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns float32 (N, K) of unit length: the signed square root of each feature's share; zeros stay zeros."""
    total = np.abs(features).sum(axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.sign(features) * np.sqrt(
        np.abs(features) / np.maximum(total, np.finfo(np.float32).tiny)
    )
    return scaled


def encoded(array: NDArray[Any]) -> str:
    """Returns an array as a Reference keeps it: float16, little-endian, row by row, in Base64."""
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f2").tobytes()).decode("ascii")


def _array(name: str, text: str) -> NDArray[np.float32]:
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(np.float32)
    except (binascii.Error, ValueError) as err:
        raise wrong(f"{name} of reference_statistics", text, "an array in Base64") from err
    if not np.isfinite(values).all():
        raise wrong(f"{name} of reference_statistics", text, "finite numbers in Base64")
    return values
