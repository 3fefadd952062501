"""What is sent to the API: filters, fields and bodies, as they are checked and documented. Asks no database."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from web.api.values import (
    PAGE_SIZE,
    Advice,
    Age,
    BatchName,
    Code,
    Cursor,
    Given,
    Key,
    LesionName,
    Limit,
    Moment,
    Note,
    PastDay,
    Place,
    Sex,
    Site,
)


class PredictionFilter(Given):
    """Which predictions."""

    limit: Limit = PAGE_SIZE
    cursor: Cursor | None = None
    advice: Advice | None = None
    top: Code | None = None
    lesion: Key | None = None
    review: Literal["confirmed", "bad-picture"] | None = None
    since: Moment | None = Field(default=None, description="Made at this time or later.")
    until: Moment | None = Field(default=None, description="Made before this time.")


class PredictionFields(Given):
    """What may be told with a photograph; each may be left out or empty."""

    age: Age | None = None
    sex: Sex | None = None
    site: Site | None = None
    note: Note = ""
    lesion: Key | None = Field(default=None, description="The lesion that the photograph shows.")
    taken_on: PastDay | None = Field(default=None, description="The day of the photograph.")


class PredictionChange(Given):
    """What is to change; what is left out stays."""

    note: Note = ""
    lesion: Key | None = Field(default=None, description="null leaves the photograph without a lesion.")
    taken_on: PastDay | None = None


class HeatmapStyle(Given):
    """How a heatmap is drawn."""

    style: Literal["overlay", "grey"] = Field(
        default="overlay",
        description="`overlay`: in colours, clear where there is little weight, to be laid over the photograph. "
        "`grey`: its values as 16-bit greys, 65,535 for 1, long side 320 pixels.",
    )


class LesionNew(Given):
    """A lesion to be followed."""

    name: LesionName
    site: Site | None = None
    place: Place | None = None
    notes: Note = ""


class LesionChange(Given):
    """What is to change; what is left out stays, and null empties a site or a place."""

    name: LesionName = "unchanged"
    site: Site | None = None
    place: Place | None = None
    notes: Note = ""


class PageOf(Given):
    """Which page of a list."""

    limit: Limit = PAGE_SIZE
    cursor: Cursor | None = None


class WithPhotographs(Given):
    """What becomes of the photographs of a deleted lesion."""

    photographs: Literal["keep", "delete"] = "keep"


class WithPredictions(Given):
    """What becomes of the predictions of a deleted batch."""

    predictions: Literal["keep", "delete"] = "keep"


class BatchFields(Given):
    """What may be told with a batch."""

    name: BatchName = ""


class ItemsAfter(Given):
    """Which files of a batch."""

    limit: Limit = PAGE_SIZE
    after: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="`next` of the page before: the files behind this position."
    )
