"""How the figures of an answer are named, written and placed. Knows no markup and no Gradio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from derm_core import percent, risk_and_point
from desktop.texts import say

if TYPE_CHECKING:
    from derm_core import Prediction


def measured_sentence(prediction: Prediction, point: Any) -> str | None:
    """Says how the bundle's operating point did when it was measured, or None where the bundle does not tell."""
    if point.sensitivity is None or point.specificity is None:
        return None
    found = percent(point.sensitivity) + _interval(point.sensitivity_ci95)
    spared = percent(point.specificity) + _interval(point.specificity_ci95)
    at = risk_and_point(prediction)[1]
    sentence = say("measured", point=at, found=found, spared=spared)
    if point.lesions:
        sentence += " " + say("measured-on", count=f"{point.lesions:,}")
    return sentence


@dataclass(frozen=True)
class Scale:
    """Where the parts of the risk scale stand, in percent of its width; words that would collide are left out."""

    risk: str
    point: str
    rest: str
    risk_anchor: str
    point_anchor: str
    has_room_for_routine: bool
    has_room_for_refer: bool
    shows_middle: bool


def risk_scale(prediction: Prediction) -> Scale:
    """Returns the drawing of risk against the operating point."""
    risk, point = prediction.malignant_probability, prediction.operating_point
    return Scale(
        risk=svg_percent(risk),
        point=svg_percent(point),
        rest=svg_percent(1 - point),
        risk_anchor=_anchor(risk, 0.07),
        point_anchor=_anchor(point, 0.36),
        has_room_for_routine=point >= 0.2,
        has_room_for_refer=point <= 0.8,
        shows_middle=abs(point - 0.5) > 0.08,
    )


def svg_percent(share: float) -> str:
    """Writes a share in [0, 1] as an SVG length."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"


def seconds_text(seconds: float) -> str:
    """Writes a short duration: 0.08 s, 1.4 s."""
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def _interval(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f" (95% CI {100 * ends[0]:.0f}–{100 * ends[1]:.0f})"


def _anchor(share: float, margin: float) -> str:
    if share < margin:
        return "start"
    return "end" if share > 1 - margin else "middle"
