"""The list inside a case file: lesions to JSON values and back, with every value checked. Opens no file.

    {"format": "dermatrace-cases", "version": 1, "made_at": "2026-11-21T09:30:00+00:00", "made_by": "desktop",
     "entries": {"pictures/00001/photo.jpg": {"bytes": 81234, "sha256": "…"}, …},
     "lesions": [{"id": "…", "name": "left shoulder", "patient": "P-0317", "site": "back", "body": null, "notes": "",
                  "created_at": "…", "photographs": [{"id": "…", "picture": "pictures/00001/photo.jpg",
                    "heatmaps": {"mel": "pictures/00001/mel.png", …}, "answered_at": "…", "taken_on": "2026-11-20",
                    "patient": {"age": 54, "sex": "female", "site": "back"}, "note": "", "answer": {…},
                    "measured": {…}, "plausible_level": 0.9, "review": null}, …]}, …]}

A reader refuses a version that it does not know; a change that an older reader would misread raises the version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from derm_core.diagnoses import DIAGNOSES
from derm_core.errors import CaseFileError
from derm_core.interchange.answers import parse_answer, parse_measured, parse_patient, plain_measured
from derm_core.interchange.cases import (
    BODY_VIEWS,
    CONFIRMATIONS,
    VERDICTS,
    CaseLesion,
    CasePhotograph,
    CaseReview,
)
from derm_core.interchange.records import Record
from derm_core.serving.context import SITES

FORMAT = "dermatrace-cases"
VERSION = 1
MOST_LESIONS = 5000
MOST_PHOTOGRAPHS = 5000
"""In one file; larger lists are exported in parts."""
NAME_LENGTH, NOTE_LENGTH = 80, 4000

Reader = Callable[[str], Callable[[], bytes]]
"""Of an entry's name, what reads the entry."""


@dataclass(frozen=True)
class EntrySum:
    """What the list says of one entry of the file: its size in bytes and its SHA-256."""

    size: int
    sha256: str


def plain_lesion(lesion: CaseLesion, photographs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns a lesion as JSON values, with the photographs that were written for it."""
    body = lesion.body and dict(zip(("view", "x", "y"), lesion.body, strict=True))
    return {
        "id": lesion.id,
        "name": lesion.name,
        "patient": lesion.patient,
        "site": lesion.site,
        "body": body,
        "notes": lesion.notes,
        "created_at": lesion.created_at.isoformat(),
        "photographs": photographs,
    }


def plain_photograph(photograph: CasePhotograph, picture: str, heatmaps: Mapping[str, str]) -> dict[str, Any]:
    """Returns a photograph as JSON values, with the names of its entries."""
    patient, review = photograph.patient, photograph.review
    return {
        "id": photograph.id,
        "picture": picture,
        "heatmaps": dict(heatmaps),
        "answered_at": photograph.answered_at.isoformat(),
        "taken_on": photograph.taken_on and photograph.taken_on.isoformat(),
        "patient": {"age": patient.age, "sex": patient.sex, "site": patient.site},
        "note": photograph.note,
        "answer": photograph.prediction.to_dict(),
        "measured": plain_measured(photograph.measured),
        "plausible_level": photograph.plausible_level,
        "review": review
        and {
            "verdict": review.verdict,
            "diagnosis": review.diagnosis,
            "confirmed_by": review.confirmed_by,
            "comment": review.comment,
            "reviewer": review.reviewer,
            "reviewed_at": review.reviewed_at.isoformat(),
        },
    }


def parse_entries(values: Any, most_bytes: int) -> dict[str, EntrySum]:
    """Returns what the list says of the entries; raises CaseFileError where it is no list that can be read here."""
    record = Record(values, "the list")
    if record.is_null("format") or record.text("format", 64) != FORMAT:
        raise CaseFileError("This is no case file: its list is not one of lesions. Choose a .dermcases file.")
    version = record.whole("version", 1_000_000)
    if version > VERSION:
        raise CaseFileError(
            f"This case file was written by a newer Dermatrace (format {version}; this one reads {VERSION}). "
            "Update this one, or export the file again with the older one."
        )
    if version < VERSION:
        raise record.wrong("version", f"{VERSION}")
    entries = record.object("entries")
    sums = {}
    for name in entries.names():
        entry = entries.object(name)
        sums[name] = EntrySum(entry.whole("bytes", most_bytes), entry.sha256("sha256"))
    return sums


def parse_lesions(values: Any, reader: Reader) -> list[CaseLesion]:
    """Returns the lesions of a list whose entries are known.

    Args:
        values: what the list holds.
        reader: raises CaseFileError for an entry that is not there.

    Raises:
        CaseFileError: a value is missing or none of its kind, or something is listed twice.
    """
    record = Record(values, "the list")
    lesions = [_lesion(one, reader) for one in record.objects("lesions", MOST_LESIONS, "lesion")]
    photographs = [one.id for lesion in lesions for one in lesion.photographs]
    for kind, ids in (("lesion", [lesion.id for lesion in lesions]), ("photograph", photographs)):
        if len(set(ids)) != len(ids):
            raise CaseFileError(f"The case file is damaged: it lists a {kind} twice. Export it again.")
    if len(photographs) > MOST_PHOTOGRAPHS:
        raise CaseFileError(
            f"This case file has {len(photographs):,} photographs; wanted: at most {MOST_PHOTOGRAPHS:,}. "
            "Export the lesions in parts."
        )
    return lesions


def _lesion(record: Record, reader: Reader) -> CaseLesion:
    name, patient = record.text("name", NAME_LENGTH), record.text("patient", NAME_LENGTH)
    if not name.strip() and not patient.strip():
        raise record.wrong("name", "a name, or a patient")
    return CaseLesion(
        id=record.identity("id"),
        name=name,
        patient=patient,
        site=record.choice("site", ("", *SITES)),
        body=None if record.is_null("body") else _body(record.object("body")),
        notes=record.text("notes", NOTE_LENGTH, lines=True),
        created_at=record.moment("created_at"),
        photographs=tuple(
            _photograph(one, reader) for one in record.objects("photographs", MOST_PHOTOGRAPHS, "photograph")
        ),
    )


def _photograph(record: Record, reader: Reader) -> CasePhotograph:
    prediction = parse_answer(record.object("answer"))
    named = record.object("heatmaps")
    wanted = () if prediction.advice == "unsure" else tuple(prediction.probabilities)
    if set(named.names()) != set(wanted):
        raise record.wrong("heatmaps", f"one for each of {', '.join(wanted) or 'no class'}")
    return CasePhotograph(
        id=record.identity("id"),
        prediction=prediction,
        measured=parse_measured(record.object("measured")),
        plausible_level=None if record.is_null("plausible_level") else record.number("plausible_level", 0, 1),
        answered_at=record.moment("answered_at"),
        patient=parse_patient(record.object("patient")),
        taken_on=None if record.is_null("taken_on") else record.day("taken_on"),
        note=record.text("note", NOTE_LENGTH, lines=True),
        review=None if record.is_null("review") else _review(record.object("review")),
        picture=reader(record.text("picture", 200)),
        heatmaps={code: reader(named.text(code, 200)) for code in wanted},
    )


def _review(record: Record) -> CaseReview:
    verdict = record.choice("verdict", VERDICTS)
    is_confirmed = verdict == "confirmed"
    return CaseReview(
        verdict=verdict,
        diagnosis=record.choice("diagnosis", tuple(DIAGNOSES) if is_confirmed else ("",)),
        confirmed_by=record.choice("confirmed_by", CONFIRMATIONS if is_confirmed else ("",)),
        comment=record.text("comment", NOTE_LENGTH, lines=True),
        reviewer=record.text("reviewer", NAME_LENGTH),
        reviewed_at=record.moment("reviewed_at"),
    )


def _body(record: Record) -> tuple[str, float, float]:
    return record.choice("view", BODY_VIEWS), record.number("x", 0, 1), record.number("y", 0, 1)


def head(made_at: datetime, made_by: str) -> dict[str, Any]:
    """Returns how a list begins."""
    return {"format": FORMAT, "version": VERSION, "made_at": made_at.isoformat(), "made_by": made_by}
