"""How common malignant lesions are, where answers were calibrated and where they are given. Runs no network.

Where they differ, Bayes' rule moves the risk by the ratio of the odds (Saerens, Latinne and Decaestecker, Neural
Computation 14:21, 2002): what a malignant and what a benign lesion look like is taken to be the same everywhere. The
thresholds move with the risk, so the same photographs are referred at every prevalence: sensitivity and specificity
are those of the malignant and of the benign lesions apart, and stay what was measured.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from derm_core.errors import ConfigError
from derm_core.serving.operating_point import OperatingPoint
from derm_core.serving.parsing import parse_object, parse_share, wrong

if TYPE_CHECKING:
    from derm_core.serving.description import BundleDescription

PREVALENCE_VARIABLE = "DERM_PREVALENCE"


@dataclass(frozen=True)
class Prevalence:
    """Shares of the photographs that are of malignant lesions, in (0, 1).

    Attributes:
        holds_at: at which the risks that the model states are true on average: that of the data, or a higher one where
            training made more of the rare diagnoses than they are in number.
        data: in the data that thresholds and temperatures were set on.
        stated: where the model answers; None where nobody has said, and `holds_at` is taken.
    """

    holds_at: float
    data: float
    stated: float | None = None

    @property
    def shift(self) -> float:
        """What the logarithm of the odds of malignancy is moved by."""
        return 0.0 if self.stated is None else _log_odds(self.stated) - _log_odds(self.holds_at)

    @classmethod
    def from_dict(cls, values: Any) -> Prevalence | None:
        """Reads the part of a model.json; None for null. Raises BundleError where it is not as it should be."""
        if values is None:
            return None
        names = [field.name for field in fields(cls)]
        values = parse_object(values, "prevalence", names)
        for name in names:
            share = values[name]
            if (name != "stated" or share is not None) and not 0 < parse_share(share, name) < 1:
                raise wrong(f"{name} of prevalence", share, "a number above 0 and below 1")
        return cls(values["holds_at"], values["data"], values["stated"])


def stated_prevalence(given: float | None = None) -> float | None:
    """Returns the share given, or else what DERM_PREVALENCE says; None where neither does.

    Raises:
        ConfigError: what the variable says is no number.
    """
    if given is not None:
        return given
    named = os.environ.get(PREVALENCE_VARIABLE)
    try:
        return float(named) if named else None
    except ValueError as err:
        raise ConfigError(f"{PREVALENCE_VARIABLE} is {named!r}; it must be a number, such as 0.05.") from err


def at_prevalence(description: BundleDescription, stated: float | None) -> BundleDescription:
    """Returns the description of the same model where this share of the photographs is of malignant lesions.

    Args:
        description: of a model that knows on what prevalence it was set.
        stated: above 0 and below 1; None gives the description as it is.

    Raises:
        ConfigError: the share makes no sense, or the model does not know on what prevalence it was set.
    """
    if stated is None:
        return description
    if not 0 < stated < 1:
        raise ConfigError(
            f"The prevalence is {stated:g}; it must be above 0 and below 1, such as 0.05 where one photograph in "
            "twenty shows a malignant lesion."
        )
    known = description.prevalence
    if known is None:
        raise ConfigError(
            f"The model {description.name} {description.version} does not say how common malignant lesions were where "
            "it was calibrated, so it cannot be adjusted. Make its bundle anew with select_model, or leave the "
            "prevalence out."
        )
    moved = replace(known, stated=float(stated))
    by = moved.shift - known.shift
    return replace(
        description,
        prevalence=moved,
        operating_points=tuple(_moved(point, by) for point in description.operating_points),
        context_operating_points=tuple(_moved(point, by) for point in description.context_operating_points),
    )


def moved_risk(risk: float, shift: float) -> float:
    """Returns a probability whose odds are multiplied by exp(shift); 0 and 1 stay."""
    if not 0 < risk < 1:
        return risk
    return 1 / (1 + math.exp(-_log_odds(risk) - shift))


def _moved(point: OperatingPoint, shift: float) -> OperatingPoint:
    return replace(point, threshold=moved_risk(point.threshold, shift))


def _log_odds(share: float) -> float:
    return math.log(share) - math.log1p(-share)
