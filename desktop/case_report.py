"""A lesion as a PDF: its newest answer, then its visits side by side with their risks and what was confirmed.

What is printed of each is gathered here; the core lays it out.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from derm_core import (
    ConfigError,
    PatientContext,
    Prediction,
    ReportedAnswer,
    explained_code,
    lesion_report,
    unpack_heatmap,
)
from desktop.case_page import review_words
from desktop.case_reading import CaseReader, title
from desktop.figures import measured_sentence
from desktop.texts import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from desktop.case_schema import Lesion, Photograph

_UNMEASURED = dict.fromkeys(("sensitivity", "specificity", "sensitivity_ci95", "specificity_ci95", "lesions"))


def lesion_pdf(cases: CaseReader, lesion: Lesion) -> bytes:
    """Returns the report of a lesion.

    Raises:
        ConfigError: it has no photograph yet, or the library that writes PDF is missing.
        InvalidImageError: a photograph's file is gone or damaged.
    """
    visits = lesion.visits
    if not visits:
        raise ConfigError(say("case-report-none"))
    answers = [_reported(cases, visit, explained=visit is visits[-1]) for visit in visits]
    return lesion_report(title(lesion), answers, site=lesion.site, notes=lesion.notes)


def _reported(cases: CaseReader, visit: Photograph, *, explained: bool) -> ReportedAnswer:
    """Returns what is printed of a visit; its heatmap is read where the answer is to be explained."""
    prediction = Prediction.from_dict(visit.answer)
    code = explained_code(prediction)
    heatmap = _heatmap(cases, visit, code) if explained and visit.is_answered else None
    point = SimpleNamespace(**_UNMEASURED | visit.measured)
    known = visit.review if visit.review and visit.review.verdict == "confirmed" else None
    return ReportedAnswer(
        prediction=prediction,
        photograph=cases.pictures.path(visit.key),
        answered_at=visit.answered_at.astimezone(),
        taken_on=visit.taken_on,
        heatmap=heatmap,
        explained=code if heatmap is not None else "",
        patient=PatientContext(visit.age, visit.sex, visit.site),
        note=visit.note,
        measured=measured_sentence(prediction, point) or "" if visit.is_answered else "",
        review=review_words(known) if known else "",
        record=visit.key,
        plausible_level=visit.plausible_level,
    )


def _heatmap(cases: CaseReader, visit: Photograph, code: str) -> NDArray[np.float32] | None:
    try:
        return unpack_heatmap(cases.pictures.heatmap(visit.key, code))
    except FileNotFoundError:
        # A case file of another machine may have come without it: the photograph alone is printed.
        return None
