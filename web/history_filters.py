"""Which answers of the history are wanted, as its address says it. Reads no request and runs no query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from derm_core import DIAGNOSES
from web.forms import tidy_line
from web.models import Lesion, Prediction, User
from web.presentation import date_text

ADVICE = {"refer": "Refer", "routine": "Routine", "unsure": "No answer"}
REVIEWS = {"none": "Not reviewed", "confirmed": "Confirmed", "bad-picture": "Bad picture"}
LOOSE = "loose"
"""In place of a lesion's key: answers that belong to none."""
TEXT_LENGTH = 100
_EARLIEST, _LATEST = date(1900, 1, 1), date(9999, 12, 30)


@dataclass(frozen=True)
class HistoryFilters:
    """What is asked of an answer; empty or None where nothing is.

    Attributes:
        text: part of its note, or of its lesion's name; case does not count.
        advice: one of ADVICE.
        diagnosis: the code of the most likely class; where no answer was given there is none.
        review: one of REVIEWS.
        lesion: a lesion's key, or LOOSE.
        since, until: the first and the last day on which it was answered, in UTC.
    """

    text: str = ""
    advice: str = ""
    diagnosis: str = ""
    review: str = ""
    lesion: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, str]) -> HistoryFilters:
        """Reads the arguments of an address; a value that cannot be read asks for nothing."""
        return cls(
            text=tidy_line(arguments.get("text"))[:TEXT_LENGTH],
            advice=_known(arguments.get("advice"), ADVICE),
            diagnosis=_known(arguments.get("diagnosis"), DIAGNOSES),
            review=_known(arguments.get("review"), REVIEWS),
            lesion=tidy_line(arguments.get("lesion"))[:32],
            since=_day(arguments.get("since")),
            until=_day(arguments.get("until")),
        )

    def arguments(self) -> dict[str, str]:
        """Returns the arguments of an address that ask for the same."""
        return {name: str(value) for name, value in vars(self).items() if value}

    def chips(self, lesions: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Returns what is asked in words: the names of the attributes, and a text for each.

        Args:
            lesions: keys and names of the user's lesions.
        """
        words = {
            "text": f"“{self.text}”",
            "advice": ADVICE.get(self.advice, ""),
            "diagnosis": DIAGNOSES[self.diagnosis].name if self.diagnosis else "",
            "lesion": "Loose pictures"
            if self.lesion == LOOSE
            else dict(lesions).get(self.lesion, "Another lesion"),
            "review": REVIEWS.get(self.review, ""),
            "since": f"Since {date_text(self.since)}" if self.since else "",
            "until": f"Until {date_text(self.until)}" if self.until else "",
        }
        asked = self.arguments()
        return [(name, text) for name, text in words.items() if name in asked]

    def without(self, name: str) -> HistoryFilters:
        """Returns the same filters but one."""
        return replace(self, **{name: getattr(HistoryFilters(), name)})

    def conditions(self, user: User) -> list[ColumnElement[bool]]:
        """Returns what a row must fulfil, its day aside; rows of another user never do."""
        # "+ 0" keeps a column out of the choice of an index: of a lesion there are far fewer answers than of a user,
        # and of answers without a lesion far more than of one user.
        user_id = Prediction.user_id + 0 if self.lesion not in ("", LOOSE) else Prediction.user_id
        wanted: list[Any] = [user_id == user.id]
        if self.advice:
            wanted.append(Prediction.advice == self.advice)
        if self.diagnosis:
            # What was withheld on the page is not told by a filter either.
            wanted += [Prediction.top == self.diagnosis, Prediction.advice != "unsure"]
        if self.review:
            wanted.append(Prediction.review == ("" if self.review == "none" else self.review))
        if self.lesion == LOOSE:
            wanted.append((Prediction.lesion_id + 0).is_(None))
        elif self.lesion:
            own = select(Lesion.id).where(Lesion.key == self.lesion, Lesion.user_id == user.id)
            wanted.append(Prediction.lesion_id == own.scalar_subquery())
        if self.text:
            named = select(Lesion.id).where(
                Lesion.user_id == user.id, Lesion.name.icontains(self.text, autoescape=True)
            )
            noted = Prediction.note.icontains(self.text, autoescape=True)
            wanted.append(or_(noted, Prediction.lesion_id.in_(named)))
        return wanted


def filter_choices() -> dict[str, list[tuple[str, str]]]:
    """Returns what can be chosen of an attribute: values and their words."""
    return {
        "advice": list(ADVICE.items()),
        "diagnosis": sorted(
            ((code, known.name) for code, known in DIAGNOSES.items()), key=lambda one: one[1]
        ),
        "review": list(REVIEWS.items()),
    }


def _known(value: str | None, known: Mapping[str, Any]) -> str:
    return value if value is not None and value in known else ""


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if _EARLIEST <= day <= _LATEST else None
