"""What a case file holds, as plain values: lesions, their photographs with the answers, and what was confirmed.

Reads and writes nothing; a photograph knows how its files are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from derm_core.serving.context import PatientContext
from derm_core.serving.prediction import Prediction

VERDICTS = ("confirmed", "bad-picture")
"""What is known of a photograph afterwards: its diagnosis, or that it cannot be used."""
CONFIRMATIONS = ("histopathology", "follow-up", "consensus")
"""How a diagnosis may be known."""
BODY_VIEWS = ("front", "back")


@dataclass(frozen=True)
class CaseReview:
    """What became known of a photograph.

    Attributes:
        verdict: one of VERDICTS.
        diagnosis, confirmed_by: a code and one of CONFIRMATIONS where it is confirmed; else both are empty.
        reviewer: a name; empty where nobody is named.
        reviewed_at: with its zone.
    """

    verdict: str
    diagnosis: str
    confirmed_by: str
    comment: str
    reviewer: str
    reviewed_at: datetime


@dataclass(frozen=True, eq=False)
class CasePhotograph:
    """One photograph with its answer.

    Attributes:
        id: 32 hexadecimal digits; the same photograph has the same ones wherever it is carried.
        prediction: the answer, as it was given.
        measured: what the model's bundle says of the operating point; empty where it says nothing.
        plausible_level: how often a list like the answer's `plausible` holds the truth; None where that is not told.
        answered_at: with its zone.
        taken_on: the day of the photograph, where it was told.
        review: what became known of it; None where nothing did.
        picture: reads the photograph's file, JPEG.
        heatmaps: code of each class to what reads its heatmap, as `pack_heatmap` makes it; empty without an answer.
    """

    id: str
    prediction: Prediction
    measured: Mapping[str, Any]
    plausible_level: float | None
    answered_at: datetime
    patient: PatientContext
    taken_on: date | None
    note: str
    review: CaseReview | None
    picture: Callable[[], bytes]
    heatmaps: Mapping[str, Callable[[], bytes]]


@dataclass(frozen=True, eq=False)
class CaseLesion:
    """One lesion and its photographs, in any order.

    Attributes:
        id: as a photograph's.
        name, patient: what it and the patient are called; not both are empty.
        site: one of SITES, or empty.
        body: front or back, and the place on the drawn body, x and y in [0, 1]; None where it was not marked.
    """

    id: str
    name: str
    patient: str
    site: str
    body: tuple[str, float, float] | None
    notes: str
    created_at: datetime
    photographs: tuple[CasePhotograph, ...] = ()


@dataclass
class CaseCounts:
    """What an import did: how much was added, how much was there already, what was refused and for which reasons."""

    lesions: int = 0
    photographs: int = 0
    reviews: int = 0
    there_already: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def refuse(self, reason: str) -> None:
        """Counts one photograph or review that was not taken; the reason is a sentence."""
        self.refused[reason] += 1

    @property
    def sentences(self) -> list[str]:
        """What to tell of it: what was added, what was there, and each reason with its number."""
        return list(self._sentences())

    def _sentences(self) -> Iterator[str]:
        added = [
            _counted(self.lesions, "lesion"),
            _counted(self.photographs, "photograph"),
            _counted(self.reviews, "confirmed diagnosis or mark", "confirmed diagnoses and marks"),
        ]
        told = [words for words in added if words]
        yield f"Added: {', '.join(told)}." if told else "Nothing was added."
        if self.there_already:
            verb = "was" if self.there_already == 1 else "were"
            yield f"{_counted(self.there_already, 'photograph')} {verb} there already."
        for reason, count in self.refused.items():
            yield f"{count:,} not taken: {reason}"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}" if count else ""
