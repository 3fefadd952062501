"""What single values of the API may be, and what all its shapes have in common. Asks no database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from derm_core import DIAGNOSES, SEXES, SITES
from web.forms import tidy_line, tidy_text
from web.models import NOTE_LENGTH
from web.models.batches import BATCH_NAME_LENGTH
from web.models.lesions import LESION_NAME_LENGTH

PAGE_SIZE, LONGEST_PAGE = 20, 100


def _one_of(known: Sequence[str]) -> Callable[[str], str]:
    def check(word: str) -> str:
        if word not in known:
            raise ValueError(f"{word!r} is not known. Wanted: {', '.join(known)}.")
        return word

    return check


def _not_blank(text: str) -> str:
    if not (line := tidy_line(text)):
        raise ValueError("It is empty.")
    return line


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as err:
        raise ValueError("It is before the year 1 or after the year 9999 in UTC.") from err


def _written_out(moment: object) -> object:
    if isinstance(moment, str) and "T" not in moment.upper():
        raise ValueError("Wanted: a day, “T”, a time and a zone, such as 2026-11-21T09:14:00Z.")
    return moment


def _past(day: date) -> date:
    if day > datetime.now(UTC).date() + timedelta(days=1):  # somewhere it is tomorrow already
        raise ValueError("It is in the future.")
    return day


Key = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="32 random hexadecimal digits.")]
Cursor = Annotated[
    str,
    Field(
        pattern="^[0-9]{1,17}-[0-9a-f]{32}$",
        description="`next` of the page before; without it, the first page.",
    ),
]
Limit = Annotated[int, Field(ge=1, le=LONGEST_PAGE, description="How many at most.")]
Code = Annotated[
    str,
    AfterValidator(_one_of(tuple(DIAGNOSES))),
    WithJsonSchema({"type": "string", "enum": list(DIAGNOSES)}),
]
Sex = Annotated[str, AfterValidator(_one_of(SEXES)), WithJsonSchema({"type": "string", "enum": list(SEXES)})]
Site = Annotated[str, AfterValidator(_one_of(SITES)), WithJsonSchema({"type": "string", "enum": list(SITES)})]
Age = Annotated[float, Field(ge=0, le=120, allow_inf_nan=False, description="In years.")]
Note = Annotated[str, Field(max_length=NOTE_LENGTH), AfterValidator(tidy_text)]
LesionName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LESION_NAME_LENGTH,
        pattern=r"\S",
        description="A nickname or a patient's code; no name that tells who it is.",
    ),
    AfterValidator(_not_blank),
]
BatchName = Annotated[str, Field(max_length=BATCH_NAME_LENGTH), AfterValidator(tidy_line)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written_out), AfterValidator(_in_utc)]
PastDay = Annotated[date, AfterValidator(_past)]
Advice = Literal["refer", "routine", "unsure"]


class Given(BaseModel):
    """Something that is sent: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Shown(BaseModel):
    """Something that is answered."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Place(Given):
    """A place on the drawn body, from its upper left corner."""

    view: Literal["front", "back"]
    x: Share
    y: Share
