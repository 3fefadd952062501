"""Reports as PDF, one or two A4 pages: of one answer, and of a lesion over time. Asks no model and stores nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from operator import attrgetter

from derm_core.errors import ConfigError
from derm_core.reporting.answered import ReportedAnswer


def answer_report(answer: ReportedAnswer, *, title: str = "", requested_by: str = "") -> bytes:
    """Returns a report of one answer as PDF: one A4 page, or two where its note is long.

    The same input gives the same bytes. Nothing in it leads to another host.

    Args:
        answer: what is reported.
        title: "Answer" where it is left out.
        requested_by: who asked for it.

    Raises:
        InvalidImageError: the photograph cannot be read.
        ConfigError: the library that writes PDF is not installed.
    """
    _require_reportlab()
    # Here, because it takes a while, and most of those who import derm_core print nothing.
    from derm_core.reporting.document import answer_document

    return answer_document(answer, title.strip() or "Answer", requested_by.strip())


def lesion_report(
    name: str, answers: Sequence[ReportedAnswer], *, site: str = "", notes: str = "", requested_by: str = ""
) -> bytes:
    """Returns a report of a lesion as PDF: its newest answer on an A4 page, and its visits over time on a second.

    Of a single visit without notes there is no second page. The same input gives the same bytes; nothing in it leads
    to another host.

    Args:
        name: what the lesion is called.
        answers: one or more, in any order; the days of their photographs decide which is the newest. Of the older ones
            only the newest few are printed with their photograph.
        site: where on the body it is.
        notes: what was written about the lesion.
        requested_by: who asked for it.

    Raises:
        ConfigError: there is no answer, or the library that writes PDF is not installed.
        InvalidImageError: a photograph that is printed cannot be read.
    """
    if not answers:
        raise ConfigError(f"The lesion {name!r} has no answer yet. Add a photograph, then make its report.")
    _require_reportlab()
    from derm_core.reporting.document import lesion_document

    newest_first = sorted(answers, key=attrgetter("seen_at", "answered_at"), reverse=True)
    return lesion_document(name.strip() or "Lesion", newest_first, site, notes, requested_by.strip())


def _require_reportlab() -> None:
    if importlib.util.find_spec("reportlab") is None:
        raise ConfigError("Reports need the library reportlab, which is not installed: pip install reportlab")
