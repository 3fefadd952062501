"""What a predictor answers: frozen plain values. Imports no torch, so screens and stores can use it alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from derm_core.errors import DermError

Advice = Literal["refer", "routine", "unsure"]
Severity = Literal["refuse", "note"]
ADVICE: tuple[Advice, ...] = ("refer", "routine", "unsure")


@dataclass(frozen=True)
class QualityFlag:
    """One thing to know of a picture: a short name for programs, a sentence for people.

    `severity` is "refuse" where the picture should not be answered for it, "note" where it is only worth a look.
    """

    name: str
    reason: str
    severity: Severity = "refuse"


@dataclass(frozen=True)
class Prediction:
    """One answer.

    Attributes:
        probabilities: class code to probability, in the bundle's class order; they sum to 1.
        top: the code of the largest probability.
        malignant_probability: the sum over the malignant classes, in [0, 1].
        operating_point: the malignant probability from which the advice is to refer.
        advice: "refer" or "routine"; "unsure" where a flag of `quality` refuses (the figures are still there).
        quality: what is wrong with the picture or worth a look; empty where nothing is.
        model_name, model_version, model_sha256: which weights answered.
        seconds: wall time spent on this picture, decoding included.
        context: what of the patient moved the answer ("age", "sex", "site"); empty where the photograph alone did.
        plausible: the codes that cannot be ruled out, most probable first: of lesions of each diagnosis, the share that
            the model's `conformal` states has the truth among them. Empty where the model has no such part.
        prevalence: the share of malignant photographs that was stated and the figures adjusted to; None where none was.
    """

    probabilities: Mapping[str, float]
    top: str
    malignant_probability: float
    operating_point: float
    advice: Advice
    quality: tuple[QualityFlag, ...]
    model_name: str
    model_version: str
    model_sha256: str
    seconds: float
    context: tuple[str, ...] = ()
    plausible: tuple[str, ...] = ()
    prevalence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values that JSON can hold."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["probabilities"] = dict(self.probabilities)
        values["quality"] = [asdict(flag) for flag in self.quality]
        values["context"] = list(self.context)
        values["plausible"] = list(self.plausible)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Prediction:
        """Returns the prediction that `to_dict` wrote; raises DermError where a key is missing or unknown."""
        wanted = {field.name for field in fields(cls)}
        # What earlier versions did not ask or say.
        plain = {"context": [], "plausible": [], "prevalence": None} | dict(values)
        if set(plain) != wanted:
            raise DermError(
                f"A stored prediction has the keys {', '.join(sorted(values)) or 'none'}; "
                f"wanted: {', '.join(sorted(wanted))}."
            )
        if values["advice"] not in ADVICE:
            raise DermError(f"A stored prediction advises {values['advice']!r}; wanted: {', '.join(ADVICE)}.")
        plain["probabilities"] = dict(values["probabilities"])
        plain["context"] = tuple(plain["context"])
        plain["plausible"] = tuple(plain["plausible"])
        plain["quality"] = tuple(QualityFlag(**flag) for flag in values["quality"])
        return cls(**plain)


@dataclass(frozen=True, eq=False)
class Explanation:
    """An answer with the heatmap of one class.

    Attributes:
        prediction: the answer, from the same pass through the network.
        heatmap: float32 (H, W) in [0, 1], at the size of the image given; all zeros where nothing speaks for the class.
        code: the class that the heatmap explains.
        features: float32 (K,), what the network saw, for looking up similar cases; None where it was not kept.
    """

    prediction: Prediction
    heatmap: NDArray[np.float32]
    code: str
    features: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Explanations(Mapping[str, NDArray[np.float32]]):
    """An answer with the heatmaps of all classes: a mapping from class code, in the bundle's order, to heatmap.

    Attributes:
        prediction: the answer, from the same pass through the network.
        heatmaps: code to float32 (H, W) in [0, 1], each divided by its own peak.
    """

    prediction: Prediction
    heatmaps: Mapping[str, NDArray[np.float32]]

    def __getitem__(self, code: str) -> NDArray[np.float32]:
        return self.heatmaps[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self.heatmaps)

    def __len__(self) -> int:
        return len(self.heatmaps)
