"""The case list and files: lesions out as a case file and in from one, and reviewed cases out as a dataset folder."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core import (
    CaseCounts,
    CaseFileError,
    CaseLesion,
    CasePhotograph,
    CaseReview,
    InvalidImageError,
    PatientContext,
    Prediction,
    ReviewedCase,
    open_case_file,
    unpack_heatmap,
    write_case_file,
    write_reviewed,
)
from desktop.case_entries import Named, NewPhotograph
from desktop.case_list import CaseList
from desktop.texts import say

if TYPE_CHECKING:
    from derm_core import Dataset
    from desktop.case_schema import Lesion, Photograph


def export_cases(cases: CaseList, out: Path, keys: Iterable[str] | None = None) -> int:
    """Writes lesions as a case file and returns how many photographs it has.

    Args:
        cases: the case list.
        out: the file; one that is there is replaced.
        keys: of the lesions; None for all.

    Raises:
        CaseFileError: they are too many for one file, or it cannot be written.
    """
    lesions = cases.each() if keys is None else filter(None, map(cases.lesion, keys))
    try:
        return write_case_file(out, (_case_lesion(cases, lesion) for lesion in lesions), made_by="desktop")
    except OSError as err:
        raise CaseFileError(say("case-not-written", file=str(out), reason=err.strerror or str(err))) from err


def import_cases(cases: CaseList, file: Path) -> CaseCounts:
    """Takes the lesions of a case file in, and tells what came of it; what is there already stays as it is.

    What was taken in stays where it breaks off; the same file again adds the rest.

    Raises:
        CaseFileError: it is none that can be read here.
        OSError: there is no room on the disk.
    """
    counts = CaseCounts()
    with open_case_file(file) as opened:
        for lesion in opened.lesions:
            if cases.lesion(lesion.id) is None:
                named = Named(lesion.patient, lesion.name, lesion.site, lesion.notes)
                cases.add_lesion(named, key=lesion.id, body=lesion.body, created_at=lesion.created_at)
                counts.lesions += 1
            for photograph in lesion.photographs:
                _take(cases, lesion.id, photograph, counts)
    return counts


def export_dataset(cases: CaseList, folder: Path) -> Dataset:
    """Writes the photographs whose diagnosis is confirmed as a dataset folder; no name, code or note goes with them.

    Raises:
        DatasetError: the folder exists or cannot be written, or nothing is confirmed yet.
    """
    chosen = [
        ReviewedCase(
            image=f"{photograph.key}.jpg",
            diagnosis=review.diagnosis,
            lesion=lesion.key,
            age=photograph.age,
            sex=photograph.sex,
            site=photograph.site or lesion.site,
            confirmed_by=review.confirmed_by,
        )
        for lesion in cases.each()
        for photograph in lesion.visits
        if (review := photograph.review) is not None and review.verdict == "confirmed"
    ]
    pictures = (cases.pictures.photograph(case.image.removesuffix(".jpg")) for case in chosen)
    return write_reviewed(folder, chosen, pictures)


def _take(cases: CaseList, lesion: str, photograph: CasePhotograph, counts: CaseCounts) -> None:
    if cases.photograph(photograph.id) is not None:
        counts.there_already += 1
    else:
        try:
            new = _new_photograph(photograph)
            counts.photographs += cases.keep(lesion, new)
        except (CaseFileError, InvalidImageError) as err:
            counts.refuse(str(err) if isinstance(err, CaseFileError) else say("case-no-picture"))
            return
    if photograph.review is not None:
        counts.reviews += cases.review(photograph.id, photograph.review, only_newer=True)


def _new_photograph(photograph: CasePhotograph) -> NewPhotograph:
    return NewPhotograph(
        picture=photograph.picture(),
        prediction=photograph.prediction,
        heatmaps={code: unpack_heatmap(read()) for code, read in photograph.heatmaps.items()},
        answered_at=photograph.answered_at,
        measured=photograph.measured,
        plausible_level=photograph.plausible_level,
        patient=photograph.patient,
        taken_on=photograph.taken_on,
        note=photograph.note,
        key=photograph.id,
        is_imported=True,
    )


def _case_lesion(cases: CaseList, lesion: Lesion) -> CaseLesion:
    body = None if lesion.body is None else (lesion.body[0], lesion.body[1], lesion.body[2])
    return CaseLesion(
        id=lesion.key,
        name=lesion.name,
        patient=lesion.patient,
        site=lesion.site,
        body=body,
        notes=lesion.notes,
        created_at=lesion.created_at,
        photographs=tuple(_case_photograph(cases, photograph) for photograph in lesion.visits),
    )


def _case_photograph(cases: CaseList, photograph: Photograph) -> CasePhotograph:
    prediction = Prediction.from_dict(photograph.answer)
    codes = prediction.probabilities if photograph.is_answered else ()
    return CasePhotograph(
        id=photograph.key,
        prediction=prediction,
        measured=photograph.measured,
        plausible_level=photograph.plausible_level,
        answered_at=photograph.answered_at,
        patient=PatientContext(photograph.age, photograph.sex, photograph.site),
        taken_on=photograph.taken_on,
        note=photograph.note,
        review=_case_review(photograph),
        picture=partial(cases.pictures.photograph, photograph.key),
        heatmaps={code: partial(cases.pictures.heatmap, photograph.key, code) for code in codes},
    )


def _case_review(photograph: Photograph) -> CaseReview | None:
    review = photograph.review
    if review is None:
        return None
    return CaseReview(
        review.verdict,
        review.diagnosis,
        review.confirmed_by,
        review.comment,
        review.reviewer,
        review.reviewed_at,
    )
