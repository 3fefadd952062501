"""The classes of an answer as people read them, which is explained first, and the risk in words. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from derm_core.diagnoses import DIAGNOSES
from derm_core.serving.wording import percents_apart

_NAMES_OF_GROUPS = ("benign", "malignant")
"""Classes that say no more than the advice does."""


class Answered(Protocol):
    """What is read of an answer, wherever it is kept: probabilities by class code, all shares in [0, 1]."""

    @property
    def probabilities(self) -> Mapping[str, float]: ...
    @property
    def top(self) -> str: ...
    @property
    def advice(self) -> str: ...
    @property
    def malignant_probability(self) -> float: ...
    @property
    def operating_point(self) -> float: ...


@dataclass(frozen=True)
class ClassBar:
    """One class of an answer: its code, its name and description in words, and its probability in [0, 1]."""

    code: str
    name: str
    description: str
    malignant: bool
    probability: float


def diagnosis_name(code: str) -> str:
    """Returns the name of a class in words, or the code of one that is not known."""
    return DIAGNOSES[code].name if code in DIAGNOSES else code


def class_bars(answer: Answered) -> list[ClassBar]:
    """Returns the classes of an answer, the most probable first."""
    bars = [_bar(code, probability) for code, probability in answer.probabilities.items()]
    return sorted(bars, key=lambda bar: -bar.probability)


def explained_code(answer: Answered) -> str:
    """Returns the class whose heatmap is shown first: what the advice rests on.

    That is the most probable class, and where the advice is to refer, the most probable malignant one.
    """
    malignant = [bar for bar in class_bars(answer) if bar.malignant]
    return malignant[0].code if answer.advice == "refer" and malignant else answer.top


def leading_malignancy(answer: Answered) -> ClassBar | None:
    """Returns the malignant class that makes up most of the risk, or None where no single one does."""
    for bar in class_bars(answer):
        if bar.malignant and bar.code not in _NAMES_OF_GROUPS:
            return bar if bar.probability > answer.malignant_probability / 2 else None
    return None


def risk_and_point(answer: Answered) -> tuple[str, str]:
    """Writes the risk and the operating point so that they can be told apart: with decimals where they are close."""
    return percents_apart(answer.malignant_probability, answer.operating_point)


def _bar(code: str, probability: float) -> ClassBar:
    known = DIAGNOSES.get(code)
    if known is None:
        return ClassBar(code, code, "", False, probability)
    return ClassBar(code, known.name, known.description, known.malignant, probability)
