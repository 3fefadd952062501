"""What changed between two photographs of a lesion, and which two are compared. Plain values; knows no markup."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from derm_core import Prediction, explained_code, percent
from desktop.texts import say, say_count

if TYPE_CHECKING:
    from desktop.case_schema import Photograph

_DAYS_A_MONTH, _DAYS_A_YEAR = 30.44, 365.25


def pair_of(
    visits: Sequence[Photograph], left: str = "", right: str = ""
) -> tuple[Photograph, Photograph] | None:
    """Returns the two photographs with these keys, or else the latest and the answered one before it.

    Where none before it was answered it is the one just before; None where there is but one photograph.
    """
    if len(visits) < 2:
        return None
    by_key = {visit.key: visit for visit in visits}
    before = next((visit for visit in reversed(visits[:-1]) if visit.is_answered), visits[-2])
    return by_key.get(left, before), by_key.get(right, visits[-1])


def changes(left: Photograph, right: Photograph) -> list[str]:
    """Returns what changed from one photograph to another, the time between them first."""
    said = [apart(left.day, right.day)]
    if not (left.is_answered and right.is_answered):
        return [*said, say("case-change-none")]
    before, after = (percent(risk_of(one)) for one in (left, right))
    if before == after:
        said.append(say("case-change-same", after=after))
    else:
        said.append(say("case-change-risk", before=before, after=after))
    if left.lesion_share is not None and right.lesion_share is not None:
        shares = {"before": percent(left.lesion_share), "after": percent(right.lesion_share)}
        said.append(say("case-change-share", **shares))
    else:
        said.append(say("case-change-no-share"))
    if left.answer["model_sha256"] != right.answer["model_sha256"]:
        said.append(say("case-change-model"))
    return said


def apart(first: date, second: date) -> str:
    """Writes how long lies between two days, whichever comes first."""
    days = abs((second - first).days)
    if days == 0:
        return say("case-days-none")
    if days < 60:
        return say_count("case-days", days)
    if days < 3 * _DAYS_A_YEAR:
        return say("case-months", count=round(days / _DAYS_A_MONTH))
    return say("case-years", count=round(days / _DAYS_A_YEAR))


def risk_of(photograph: Photograph) -> float:
    """Returns the risk of malignancy that was answered."""
    return float(photograph.answer["malignant_probability"])


def explained_of(visits: Sequence[Photograph]) -> str:
    """Returns the class that the heatmaps explain: the latest answer's, so that they can be compared."""
    answered = [visit for visit in visits if visit.is_answered]
    return explained_code(Prediction.from_dict(answered[-1].answer)) if answered else ""
