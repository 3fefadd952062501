"""Operating points: from which malignant probability on the advice is to refer, and what was measured there."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from derm_core.serving.parsing import (
    parse_interval,
    parse_object,
    parse_share,
    parse_share_or_none,
    parse_text,
    parse_whole,
    wrong,
)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the malignant probability, and what was measured there.

    Attributes:
        name: such as "sensitivity-0.95".
        threshold: refer from this malignant probability on.
        sensitivity, specificity: measured at the threshold, in [0, 1]; None where nothing was measured.
        sensitivity_ci95, specificity_ci95: ends of the 95% interval over lesions; None where there is none.
        lesions, photographs: on how many it was measured.
        measured_on: in words, such as "val split of HAM10000".
    """

    name: str
    threshold: float
    sensitivity: float | None = None
    specificity: float | None = None
    sensitivity_ci95: tuple[float, float] | None = None
    specificity_ci95: tuple[float, float] | None = None
    lesions: int = 0
    photographs: int = 0
    measured_on: str = ""

    @classmethod
    def from_dict(cls, values: Any) -> OperatingPoint:
        """Reads one entry of `operating_points`; raises BundleError where it is not as it should be."""
        values = parse_object(values, "operating_points[]", [field.name for field in fields(cls)])
        name = parse_text(values, "name")
        where = f"operating point {name!r}"
        return cls(
            name=name,
            threshold=parse_share(values["threshold"], f"threshold of {where}"),
            sensitivity=parse_share_or_none(values["sensitivity"], f"sensitivity of {where}"),
            specificity=parse_share_or_none(values["specificity"], f"specificity of {where}"),
            sensitivity_ci95=parse_interval(values["sensitivity_ci95"], f"sensitivity_ci95 of {where}"),
            specificity_ci95=parse_interval(values["specificity_ci95"], f"specificity_ci95 of {where}"),
            lesions=parse_whole(values["lesions"], f"lesions of {where}"),
            photographs=parse_whole(values["photographs"], f"photographs of {where}"),
            measured_on=parse_text(values, "measured_on"),
        )


def parse_points(value: Any, name: str) -> tuple[OperatingPoint, ...]:
    """Reads a list of operating points; raises BundleError where it is none."""
    if not isinstance(value, list):
        raise wrong(name, value, "a list")
    return tuple(map(OperatingPoint.from_dict, value))
