"""What is known of the patient beside the photograph, and how it moves the answer. Fits nothing.

Age, sex and body site tell diagnoses apart: a dermatofibroma is likely on a leg, an actinic keratosis on an old face. A
model of these three alone gives p(class | age, sex, site); its logarithm, less that of p(class), is added to the
network's scaled logits, times a weight that was fitted with it on validation photographs. That is Bayes' rule where
the photograph and the rest are independent given the class; the weight, below 1 where they are not, corrects it. Each
of the three may be missing; where all are, nothing is added.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derm_core.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from derm_core.data.table import Dataset

SEXES = ("female", "male")
SITES = (
    "abdomen",
    "acral",
    "back",
    "chest",
    "ear",
    "face",
    "foot",
    "genital",
    "hand",
    "lower extremity",
    "neck",
    "scalp",
    "trunk",
    "upper extremity",
)
"""Body sites, in the words of HAM10000."""
AGES = (0.0, 120.0)


@dataclass(frozen=True)
class PatientContext:
    """What may be known beside the photograph; None or empty where it is not.

    Attributes:
        age: in years, from 0 to 120.
        sex: one of SEXES.
        site: of the lesion, one of SITES.

    Raises:
        ConfigError: a value is none of these.
    """

    age: float | None = None
    sex: str = ""
    site: str = ""

    def __post_init__(self) -> None:
        if self.age is not None and not AGES[0] <= self.age <= AGES[1]:
            raise ConfigError(
                f"The age is {self.age:g}; it must be from {AGES[0]:g} to {AGES[1]:g} years, or left out."
            )
        for kind, value, known in (("sex", self.sex, SEXES), ("body site", self.site, SITES)):
            if value and value not in known:
                raise ConfigError(unknown_name(kind, value, known))

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> PatientContext:
        """Returns what a dataset's row knows; what it says in other words, or of other sexes, counts as not known."""
        age, sex, site = (row.get(key) for key in ("age", "sex", "site"))
        known_age = age is not None and AGES[0] <= float(age) <= AGES[1]  # A NaN is neither above nor below.
        return cls(
            float(age) if age is not None and known_age else None,
            str(sex) if sex in SEXES else "",
            str(site) if site in SITES else "",
        )

    @property
    def known(self) -> tuple[str, ...]:
        """The names of what is known."""
        given = (("age", self.age is not None), ("sex", bool(self.sex)), ("site", bool(self.site)))
        return tuple(name for name, is_known in given if is_known)


@dataclass(frozen=True)
class ContextModel:
    """A multinomial logistic regression of the class on age, sex and site, and its weight beside a network.

    Attributes:
        knots: ages in years; of each, how far from the one before it the patient is on the way to it, 0 to 1.
        sexes, sites: the ones that were seen.
        coefficients: of each class in the bundle's order, one for each entry of `features`.
        intercepts: of each class.
        log_prior: logarithm of each class's share of the photographs it was fitted on.
        weight: by which the evidence is multiplied, 0 or more.
        temperature: what logits are divided by where anything of the patient is known, above 0.
    """

    knots: tuple[float, ...]
    sexes: tuple[str, ...]
    sites: tuple[str, ...]
    coefficients: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]
    log_prior: tuple[float, ...]
    weight: float
    temperature: float

    def uses(self, context: PatientContext) -> tuple[str, ...]:
        """Returns the names of what is known and was seen when this was fitted: of a new site it can say nothing."""
        seen = {"age": True, "sex": context.sex in self.sexes, "site": context.site in self.sites}
        return tuple(name for name in context.known if seen[name])

    def features(self, context: PatientContext) -> NDArray[np.float64]:
        """Returns float64 (F,): is the age missing, the age by knots, and what sex and site are."""
        return context_features(context, self.knots, self.sexes, self.sites)

    def evidence(self, context: PatientContext) -> NDArray[np.float64]:
        """Returns float64 (C,): log p(class | context) - log p(class), unweighted; zeros where nothing is of use."""
        if not self.uses(context):
            return np.zeros(len(self.intercepts))
        scores = np.array(self.coefficients) @ self.features(context) + np.array(self.intercepts)
        scores -= scores.max()
        evidence: NDArray[np.float64] = scores - np.log(np.exp(scores).sum()) - np.array(self.log_prior)
        return evidence

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for a model.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], classes: int) -> ContextModel:
        """Rebuilds what to_dict gave; raises ConfigError where it is not the context model of so many classes."""
        expected = {field.name for field in fields(cls)}
        if set(values) != expected:
            wrong = ", ".join(sorted(expected.symmetric_difference(values)))
            raise ConfigError(
                f"it needs exactly the keys {', '.join(sorted(expected))}; these differ: {wrong}."
            )
        model = cls(
            knots=_numbers(values["knots"], "knots"),
            sexes=tuple(map(str, values["sexes"])),
            sites=tuple(map(str, values["sites"])),
            coefficients=tuple(_numbers(row, "coefficients") for row in values["coefficients"]),
            intercepts=_numbers(values["intercepts"], "intercepts"),
            log_prior=_numbers(values["log_prior"], "log_prior"),
            weight=_numbers([values["weight"]], "weight")[0],
            temperature=_numbers([values["temperature"]], "temperature")[0],
        )
        if len(model.knots) < 2 or any(np.diff(model.knots) <= 0):
            raise ConfigError("its knots must be two or more ages, each above the one before.")
        length = len(model.features(PatientContext()))
        sizes = {len(model.coefficients), len(model.intercepts), len(model.log_prior)}
        if sizes != {classes} or any(len(row) != length for row in model.coefficients):
            raise ConfigError(f"its numbers are not those of {classes} classes and {length} features.")
        if model.weight < 0 or model.temperature <= 0:
            raise ConfigError("its weight must be 0 or more and its temperature above 0.")
        return model


def context_features(
    context: PatientContext, knots: tuple[float, ...], sexes: tuple[str, ...], sites: tuple[str, ...]
) -> NDArray[np.float64]:
    """Returns float64 (len(knots) + len(sexes) + len(sites),): zeros but for the first where nothing is known."""
    age = np.zeros(len(knots) - 1)
    if context.age is not None:
        low, high = np.array(knots[:-1]), np.array(knots[1:])
        age = np.clip((context.age - low) / (high - low), 0.0, 1.0)
    return np.concatenate(
        [
            [float(context.age is None)],
            age,
            [float(context.sex == sex) for sex in sexes],
            [float(context.site == site) for site in sites],
        ]
    )


def contexts_of(dataset: Dataset) -> list[PatientContext]:
    """Returns what the dataset's table knows of each photograph's patient, in the table's order."""
    columns = dataset.table[["age", "sex", "site"]].astype(object)
    rows = columns.where(columns.notna(), None).to_dict("records")
    return [PatientContext.from_row(row) for row in rows]


def _numbers(values: Any, name: str) -> tuple[float, ...]:
    wrong = not isinstance(values, list | tuple) or any(
        isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
        for value in values
    )
    if wrong:
        raise ConfigError(f"its {name} must be finite numbers.")
    return tuple(float(value) for value in values)
