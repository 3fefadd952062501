"""The look of every figure: palette, type and lines, on paper and on a page that is light or dark. Draws nothing.

Inks, surfaces and the colours of malignant and benign are those of the product's design tokens. The colours of runs
keep an OKLab distance of at least 0.1 from each other in normal vision and under the simulated loss of any one kind of
cone (Machado et al. 2009), and a contrast of at least 3 to their surface. None of them is orange, which stands for
malignant everywhere in the product.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
"""Faces of one width, so that a figure is laid out alike wherever it is drawn."""
LABEL_PIXELS = 11
"""Height of the text of axes and direct labels."""


@dataclass(frozen=True)
class Palette:
    """The colours of a surface; `series` are those of runs, in order."""

    surface: str
    ink: str
    muted: str
    line: str
    accent: str
    malignant: str
    benign: str
    series: tuple[str, ...]


LIGHT = Palette(
    surface="#fffdfa",
    ink="#23201b",
    muted="#5f584e",
    line="#ddd6ca",
    accent="#0b5d63",
    malignant="#a1330b",
    benign="#2a5590",
    series=("#0b5d63", "#cc6399", "#5670e8", "#8c7a12", "#2f0a78", "#4e1d00"),
)
DARK = Palette(
    surface="#211e1a",
    ink="#f1ece4",
    muted="#b8aea0",
    line="#3a352e",
    accent="#6cc7c4",
    malignant="#ff9c6e",
    benign="#93b9ef",
    series=("#6cc7c4", "#d0609f", "#7f8cff", "#e0a345", "#c0eb91", "#768225"),
)
PAPER = replace(LIGHT, surface="#ffffff")
SHOWN_RUNS = len(LIGHT.series)
"""How many runs of a task have a colour of their own; the others are drawn in grey."""


def theme(palette: Palette) -> dict[str, Any]:
    """Returns a Vega-Lite configuration.

    Specifications name no colour: they refer to `ink`, `muted` and the other names of `Palette` in expressions, and to
    the categories of the range, so that one specification serves every surface.
    """
    text = {"labelColor": palette.muted, "titleColor": palette.ink, "labelFontSize": LABEL_PIXELS}
    colours = {name: value for name, value in asdict(palette).items() if name != "series"}
    return {
        "font": FONT,
        "background": palette.surface,
        "params": [{"name": name, "value": value} for name, value in colours.items()],
        "range": {"category": list(palette.series), "heatmap": [palette.surface, palette.accent]},
        "view": {"stroke": None},
        "axis": text
        | {
            "domainColor": palette.muted,
            "tickColor": palette.muted,
            "tickSize": 4,
            "gridColor": palette.line,
            "gridWidth": 0.6,
            "titleFontSize": LABEL_PIXELS,
            "titleFontWeight": "normal",
            "titlePadding": 6,
        },
        "axisX": {"grid": False, "labelFlush": False},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
        "title": {
            "anchor": "start",
            "color": palette.ink,
            "subtitleColor": palette.muted,
            "fontSize": LABEL_PIXELS + 1,
            "subtitleFontSize": LABEL_PIXELS,
            "fontWeight": "bold",
            "offset": 8,
            "frame": "group",
        },
        "legend": text
        | {
            "title": None,
            "orient": "top",
            "symbolType": "stroke",
            "symbolStrokeWidth": 2.5,
            "symbolSize": 260,
            "symbolOpacity": 1,
            "labelColor": palette.ink,
            "labelLimit": 280,
            "columnPadding": 18,
        },
        "line": {"strokeCap": "round", "strokeJoin": "round"},
        "text": {"color": palette.ink, "fontSize": LABEL_PIXELS},
    }
