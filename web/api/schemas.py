"""What the API answers, as it is checked and documented. Asks no database."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import AwareDatetime, Field

from web.api.values import Advice, Key, Place, Share, Shown


class Patient(Shown):
    """What was told of the patient; null where it was not."""

    age: float | None = Field(description="In years.")
    sex: str | None
    site: str | None = Field(description="Where on the body the lesion is.")


class Probability(Shown):
    """One class of an answer."""

    code: str
    name: str
    malignant: bool
    probability: Share


class QualityFlag(Shown):
    """Something about the photograph that weakens the answer (note), or forbids one (refuse)."""

    name: str
    reason: str
    severity: str


class Model(Shown):
    """The model that gave an answer."""

    name: str
    version: str
    sha256: str = Field(description="SHA-256 of its weights.")


class Prediction(Shown):
    """A photograph and its answer. Where the advice is `unsure` there is no answer: its figures are null."""

    id: Key
    url: str
    created_at: AwareDatetime
    taken_on: date | None = Field(description="The day of the photograph, where it was told.")
    advice: Advice = Field(
        description="`refer`: the risk is at or above the operating point. `unsure`: no answer."
    )
    malignant_probability: Share | None = Field(
        description="Risk of malignancy: the sum over malignant classes."
    )
    operating_point: Share = Field(description="From this risk on, the advice is to refer.")
    top: str | None = Field(description="Code of the most probable class.")
    probabilities: list[Probability] | None = Field(
        description="The most probable class first; they sum to 1."
    )
    plausible: list[str] | None = Field(
        description="Codes of the diagnoses that cannot be ruled out, the most probable first; null where the model "
        "makes no such list."
    )
    plausible_level: Share | None = Field(
        description="Of lesions of each diagnosis, the share whose list of plausible diagnoses held theirs."
    )
    quality: list[QualityFlag]
    patient: Patient
    answered_with: list[str] = Field(description="What of age, sex and site has moved the answer.")
    note: str
    lesion: Key | None = Field(description="The lesion that it belongs to.")
    sample: bool = Field(description="Whether it is the sample picture.")
    review: Literal["confirmed", "bad-picture"] | None = Field(description="What a clinician has said of it.")
    confirmed: str | None = Field(description="Code of the diagnosis that a clinician has confirmed.")
    width: int = Field(description="Of the stored photograph, in pixels.")
    height: int
    model: Model
    photo: str = Field(description="Address of the photograph, a JPEG file.")
    heatmaps: dict[str, str] = Field(
        description="Address of each class's heatmap; none where there is no answer."
    )
    notice: str


class PredictionPage(Shown):
    """Some predictions, newest first."""

    items: list[Prediction]
    next: str | None = Field(description="Cursor of the page after this one.")


class Lesion(Shown):
    """A lesion that is followed over time."""

    id: Key
    url: str
    created_at: AwareDatetime
    name: str
    site: str | None
    place: Place | None
    notes: str
    photographs: int
    predictions: str = Field(description="Address of its predictions.")


class LesionPage(Shown):
    """Some lesions, the newest first."""

    items: list[Lesion]
    next: str | None = Field(description="Cursor of the page after this one.")


class Batch(Shown):
    """Many photographs, sent at once and answered in the background."""

    id: Key
    url: str
    created_at: AwareDatetime
    name: str
    state: Literal["running", "paused", "finished", "cancelled"]
    total: int
    waiting: int = Field(description="Files that have no answer yet.")
    answered: int
    failed: int = Field(description="Files that could not be read.")
    finished_at: AwareDatetime | None
    items: str = Field(description="Address of its files and what became of them.")


class BatchPage(Shown):
    """Some batches, the newest first."""

    items: list[Batch]
    next: str | None = Field(description="Cursor of the page after this one.")


class BatchItem(Shown):
    """One file of a batch."""

    position: int = Field(description="From 0, in the order that the files were sent in.")
    name: str = Field(description="As its sender called it.")
    state: Literal["waiting", "working", "done", "failed"]
    error: str | None = Field(description="Why it was not answered.")
    prediction: Prediction | None


class ItemPage(Shown):
    """Some files of a batch, in the order that they were sent in."""

    items: list[BatchItem]
    next: int | None = Field(description="`after` of the page after this one.")


class Token(Shown):
    """The token that the request came with."""

    name: str
    scopes: list[Literal["read", "predict", "write"]]
    expires_at: AwareDatetime


class Fault(Shown):
    """What is wrong with one part of a request."""

    part: str = Field(
        description="A JSON pointer into the body (#/site), or the name of a parameter or a field."
    )
    detail: str


class Problem(Shown):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="The kind of problem; the address explains it.")
    title: str
    status: int
    detail: str
    errors: list[Fault] = Field(default_factory=list)
