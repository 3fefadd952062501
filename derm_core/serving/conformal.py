"""Which diagnoses stay plausible: the set that held the truth as often as its level says. Fits and measures nothing.

A diagnosis is in the set where its probability reaches a threshold of its own, set on lesions of that diagnosis (see
`derm_core.evaluation.conformal`); the most probable one always is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derm_core.serving.parsing import (
    parse_list,
    parse_mapping_or_none,
    parse_object,
    parse_share,
    parse_text,
    parse_whole,
    wrong,
)


@dataclass(frozen=True)
class ConformalSets:
    """Thresholds on the probabilities of the classes, in the bundle's order, and what was measured with them.

    Attributes:
        thresholds: of each class, in [0, 1]; 0 for a class that is in every set.
        lesions: of each class, on how many its threshold was set.
        measured: coverage and size as `derm_core.evaluation.conformal.measure_sets` gives them, and `measured_on` in
            words; None where nothing was measured.
    """

    thresholds: tuple[float, ...]
    lesions: tuple[int, ...]
    measured: Mapping[str, Any] | None = None

    @classmethod
    def from_dict(cls, values: Any, name: str, classes: int) -> ConformalSets:
        """Reads one part of `conformal`; raises BundleError where it is not as it should be."""
        values = parse_object(values, name, [field.name for field in fields(cls)])
        thresholds = parse_list(values["thresholds"], f"thresholds of {name}")
        lesions = parse_list(values["lesions"], f"lesions of {name}")
        if len(thresholds) != classes or len(lesions) != classes:
            raise wrong(f"thresholds of {name}", thresholds, f"one for each of {classes} classes")
        return cls(
            thresholds=tuple(parse_share(value, f"thresholds of {name}") for value in thresholds),
            lesions=tuple(parse_whole(value, f"lesions of {name}") for value in lesions),
            measured=parse_mapping_or_none(values["measured"], f"measured of {name}"),
        )


@dataclass(frozen=True)
class Conformal:
    """How sets of plausible diagnoses are made.

    Attributes:
        level: the share of lesions, of each diagnosis, whose set shall hold the truth.
        method: in words.
        photograph: where nothing is known of the patient.
        context: where something is; None where the model has no use for it.
    """

    level: float
    method: str
    photograph: ConformalSets
    context: ConformalSets | None = None

    @classmethod
    def from_dict(cls, values: Any, classes: int) -> Conformal | None:
        """Reads the part of a model.json; None for null. Raises BundleError where it is not as it should be."""
        if values is None:
            return None
        values = parse_object(values, "conformal", [field.name for field in fields(cls)])
        if not 0 < parse_share(values["level"], "level of conformal") < 1:
            raise wrong("level of conformal", values["level"], "a number above 0 and below 1")
        context = values["context"]
        return cls(
            level=values["level"],
            method=parse_text(values, "method"),
            photograph=ConformalSets.from_dict(values["photograph"], "photograph of conformal", classes),
            context=None
            if context is None
            else ConformalSets.from_dict(context, "context of conformal", classes),
        )


def plausible_classes(probabilities: NDArray[np.float64], sets: ConformalSets) -> tuple[int, ...]:
    """Returns the places of the classes in the set, most probable first.

    Args:
        probabilities: float64 (C,), calibrated, at the prevalence that the thresholds were set on.
        sets: the thresholds.
    """
    order = np.argsort(-probabilities, kind="stable")
    reached = probabilities >= np.array(sets.thresholds)
    reached[order[0]] = True
    return tuple(int(place) for place in order if reached[place])
