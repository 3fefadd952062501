"""How shares and lists of diagnoses are written for people, on every screen and on paper. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence

from derm_core.diagnoses import DIAGNOSES

_MOST_DECIMALS = 3


def percent(share: float) -> str:
    """Writes a share in [0, 1] in whole percents; never 0% and never 100%, which no model can mean."""
    if share < 0.01:
        return "<1%"
    return ">99%" if share > 0.99 else f"{100 * share:.0f}%"


def percents_apart(share: float, other: float) -> tuple[str, str]:
    """Writes two shares in [0, 1] so that they can be told apart: with decimals where they are close."""
    texts = percent(share), percent(other)
    decimals = 1
    while texts[0] == texts[1] and share != other and decimals <= _MOST_DECIMALS:
        texts = f"{100 * share:.{decimals}f}%", f"{100 * other:.{decimals}f}%"
        decimals += 1
    return texts


def plausible_words(codes: Sequence[str], level: float | None) -> tuple[str, str]:
    """Says which diagnoses cannot be ruled out, and how often a list that is made like this one held the truth.

    Args:
        codes: `Prediction.plausible`; without any both sentences are empty.
        level: that of the model's `conformal`; without it the second sentence is empty.
    """
    if not codes:
        return "", ""
    names = [DIAGNOSES[code].name.lower() if code in DIAGNOSES else code for code in codes]
    often = (
        ""
        if level is None
        else f"Of lesions of each diagnosis, {100 * level:.0f}% had theirs in such a list."
    )
    return f"Cannot be ruled out: {', '.join(names)}.", often
