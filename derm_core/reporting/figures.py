"""The figures of one answer: banner, probability bars, risk against the operating point, the heatmap's legend."""

from __future__ import annotations

from derm_core.explanation.overlay import RAMP, RAMP_STOPS
from derm_core.reporting.lettering import leading
from derm_core.reporting.marks import advice_mark, hatch, kind_mark
from derm_core.reporting.sheet import HEIGHT, INNER, LEFT, RIGHT, Sheet
from derm_core.reporting.words import ADVICE_WORDS, advice_reason
from derm_core.serving.class_bars import class_bars, risk_and_point
from derm_core.serving.prediction import Prediction
from derm_core.serving.wording import percent

_TILE = 66.0  # width of the banner's part with the sign
_NUMBER = 108.0  # width of the banner's part with the risk
_WORD_SIZE, _REASON_SIZE = 16.0, 9.0


def advice_banner(sheet: Sheet, y: float, prediction: Prediction) -> float:
    """Draws what to do, why, and the one number; returns where it ends. Solid, open or hatched by the advice."""
    advice = prediction.advice
    answered = advice != "unsure"
    width = INNER - _TILE - (_NUMBER if answered else 0) - 28
    reason = sheet.lines(advice_reason(prediction), width, size=_REASON_SIZE)
    height = max(72.0, 36 + len(reason) * leading(_REASON_SIZE) + 12)
    sheet.box(LEFT, y, INNER, height, fill=f"{advice}-soft", radius=8)
    canvas = sheet.canvas
    canvas.saveState()
    frame = canvas.beginPath()
    frame.roundRect(LEFT, HEIGHT - y - height, INNER, height, 8)
    canvas.clipPath(frame, stroke=0, fill=0)
    sheet.box(LEFT, y, _TILE, height, fill="refer" if advice == "refer" else "surface")
    if not answered:
        hatch(sheet, LEFT, y, _TILE, height, colour="control")
        sheet.circle(LEFT + _TILE / 2, y + height / 2, 22, fill="surface")
    canvas.restoreState()
    sheet.box(
        LEFT, y, INNER, height,
        edge=advice, radius=8, line=1.2 if answered else 1.6, dash=() if answered else (5, 4),
    )  # fmt: skip
    ground = "refer" if advice == "refer" else ""
    advice_mark(sheet, advice, LEFT + _TILE / 2, y + height / 2, 40, ground=ground)
    x = LEFT + _TILE + 14
    sheet.text(x, y + 25, ADVICE_WORDS[advice], size=_WORD_SIZE, bold=True, colour=advice)
    sheet.paragraph(x, y + 32, reason, size=_REASON_SIZE)
    if answered:
        edge = RIGHT - _NUMBER
        sheet.line(edge, y + 12, edge, y + height - 12, colour="line")
        middle = edge + _NUMBER / 2
        risk = risk_and_point(prediction)[0]
        sheet.text(middle, y + height / 2 + 4, risk, size=26, bold=True, anchor="middle")
        sheet.text(middle, y + height / 2 + 18, "risk of malignancy", size=8, anchor="middle")
    return y + height


def probability_bars(sheet: Sheet, x: float, y: float, width: float, prediction: Prediction) -> float:
    """Draws one bar a class, the most probable first, and their key; returns where they end."""
    for place, bar in enumerate(class_bars(prediction)):
        kind_mark(sheet, x + 4, y + 7, malignant=bar.malignant)
        sheet.text(x + 13, y + 10, bar.name, size=9, bold=place == 0)
        code = x + 16 + sheet.width_of(bar.name, size=9, bold=place == 0)
        sheet.text(code, y + 10, bar.code, size=7, colour="muted")
        sheet.text(x + width, y + 10, percent(bar.probability), size=9, bold=True, anchor="end")
        sheet.box(x, y + 14, width, 6, fill="sunken", radius=1.5)
        length = max(1.0, width * bar.probability)
        sheet.box(
            x, y + 14, length, 6, fill="refer" if bar.malignant else "control", radius=min(1.5, length / 2)
        )
        y += 25
    y += 3
    for word, malignant, across in (("malignant", True, 0), ("benign", False, 58)):
        kind_mark(sheet, x + across + 4, y + 4, malignant=malignant)
        sheet.text(x + across + 12, y + 7, word, size=7.5, colour="muted")
    return y + 14


def risk_scale(sheet: Sheet, x: float, y: float, width: float, prediction: Prediction) -> float:
    """Draws the risk from 0 to 100%, with the zones on both sides of the operating point; returns where it ends."""
    risk, point = prediction.malignant_probability, prediction.operating_point
    risk_text, point_text = risk_and_point(prediction)
    at_risk, at_point = x + width * risk, x + width * point
    top, band = y + 30, 22.0
    sheet.box(x, top, width * point, band, fill="routine-soft")
    sheet.box(at_point, top, width * (1 - point), band, fill="refer-soft")
    _zone_words(sheet, x, top - 5, width, risk, point)
    sheet.line(x, top + band, x + width, top + band, colour="control")
    for share, word, anchor in ((0.0, "0", "start"), (0.5, "50%", "middle"), (1.0, "100%", "end")):
        sheet.line(x + width * share, top + band, x + width * share, top + band + 4, colour="control")
        if abs(point - share) > (0.08 if share == 0.5 else 0.03):
            sheet.text(x + width * share, top + band + 12, word, size=7.5, colour="muted", anchor=anchor)
    sheet.line(at_point, top - 5, at_point, top + band + 16, colour="text", line=1.2, dash=(3, 2))
    sheet.line(at_risk, y + 15, at_risk, top + band / 2, colour="text", line=1)
    sheet.circle(at_risk, top + band / 2, 5, fill="text", edge="surface", line=1.4)
    _inside(sheet, at_risk, y + 12, risk_text, 11, x, width)
    _inside(sheet, at_point, top + band + 26, f"Operating point {point_text}", 8, x, width)
    return top + band + 30


def heatmap_legend(sheet: Sheet, x: float, y: float, width: float) -> float:
    """Draws the heatmap's colours from little weight to most; returns where it ends."""
    steps = 120
    for step in range(steps):
        sheet.canvas.setFillColorRGB(*_ramp_colour(step / (steps - 1)))
        # A little over the next one: thin gaps between them would show on a screen.
        sheet.canvas.rect(x + width * step / steps, HEIGHT - y - 6, width / steps + 0.4, 6, stroke=0, fill=1)
    for word, share, anchor in (
        ("Less weight", 0.0, "start"),
        ("White line: half of the peak", 0.5, "middle"),
        ("Most", 1.0, "end"),
    ):
        sheet.text(x + width * share, y + 14, word, size=7, colour="muted", anchor=anchor)
    return y + 18


def _zone_words(sheet: Sheet, x: float, y: float, width: float, risk: float, point: float) -> None:
    """Writes Routine and Refer over their zones, where there is room that the risk's own figure leaves."""
    room = 44 / width
    if point >= room and risk > room:
        sheet.text(x, y, "Routine", size=8, bold=True, colour="routine")
    if 1 - point >= room and risk < 1 - room:
        sheet.text(x + width, y, "Refer", size=8, bold=True, colour="refer", anchor="end")


def _inside(sheet: Sheet, at: float, y: float, text: str, size: float, x: float, width: float) -> None:
    """Writes bold text centred at a place, moved where it would leave the figure."""
    half = sheet.width_of(text, size=size, bold=True) / 2
    sheet.text(min(max(at, x + half), x + width - half), y, text, size=size, bold=True, anchor="middle")


def _ramp_colour(share: float) -> tuple[float, float, float]:
    """Returns red, green and blue in [0, 1] at a share of the peak."""
    above = next(place for place in range(1, len(RAMP_STOPS)) if share <= RAMP_STOPS[place])
    low, high = RAMP_STOPS[above - 1], RAMP_STOPS[above]
    part = (share - low) / (high - low)
    channels = []
    for digit in (1, 3, 5):
        start, end = (int(RAMP[place][digit : digit + 2], 16) for place in (above - 1, above))
        channels.append((start + part * (end - start)) / 255)
    return channels[0], channels[1], channels[2]
