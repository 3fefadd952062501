"""What is added to the network's scaled logits, so that its probabilities are true of each diagnosis. Fits nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from derm_core.serving.parsing import parse_finite, parse_list, parse_object, parse_text, wrong


@dataclass(frozen=True)
class Calibration:
    """A bias for each class, in the bundle's order; the temperatures stand beside it.

    Attributes:
        method: in words.
        bias: added to the logits after they were divided by the temperature, where nothing is known of the patient.
        context_bias: the same, where something is.
        adjustment: how far the biases lean to rare classes beyond what was fitted, 0 for not at all (Menon et al. 2021,
            arXiv 2007.07314).
    """

    method: str
    bias: tuple[float, ...]
    context_bias: tuple[float, ...]
    adjustment: float = 0.0

    @classmethod
    def from_dict(cls, values: Any, classes: int) -> Calibration | None:
        """Reads the part of a model.json; None for null. Raises BundleError where it is not as it should be."""
        if values is None:
            return None
        values = parse_object(values, "calibration", [field.name for field in fields(cls)])
        return cls(
            method=parse_text(values, "method"),
            bias=_biases(values["bias"], "bias of calibration", classes),
            context_bias=_biases(values["context_bias"], "context_bias of calibration", classes),
            adjustment=parse_finite(values["adjustment"], "adjustment of calibration"),
        )


def _biases(value: Any, name: str, classes: int) -> tuple[float, ...]:
    biases = parse_list(value, name)
    if len(biases) != classes:
        raise wrong(name, biases, f"one number for each of {classes} classes")
    return tuple(parse_finite(bias, name) for bias in biases)
