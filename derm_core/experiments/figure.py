"""A figure: panels that are drawn side by side on paper and flow on a page. Knows no run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from derm_core.experiments.figure_theme import PAPER, theme
from derm_core.files import replace_file

_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
_PIXELS_PER_POINT = 3
_DIGITS = 5

Chart = Any
"""An Altair chart of one view; its own types change with every step that is added to it."""


@dataclass(frozen=True)
class LegendEntry:
    """A line of the page's legend: a run's place among the colours (None: grey), or another sign of the figure."""

    text: str
    series: int | None = None
    sign: str = "line"


@dataclass(frozen=True)
class Figure:
    """One figure of a report.

    Attributes:
        name: of its files, without their ending.
        title: a few words.
        caption: what is shown, on which data, and how to read it.
        panels: charts, without a width.
        columns: how many stand side by side on paper.
        panel_width: of each on paper, in pixels.
        spacing: between the views on paper, across and down, in pixels: room for axes and titles.
        legend: what the page says above the panels.
        page_panels: what the page shows where it differs from the paper, such as a chart with a slider.
        wide: the page gives each panel the full width.
    """

    name: str
    title: str
    caption: str
    panels: tuple[Chart, ...]
    columns: int = 2
    panel_width: int = 300
    spacing: tuple[int, int] = (64, 76)
    legend: tuple[LegendEntry, ...] = ()
    page_panels: tuple[Chart, ...] | None = None
    wide: bool = False

    def paper_spec(self) -> dict[str, Any]:
        """Returns the Vega-Lite specification of the figure as PNG and SVG show it."""
        panels = [panel.properties(width=self.panel_width) for panel in self.panels]
        across, down = self.spacing
        # "flush" lines the views up; bounds with texts in them would set each one a little lower or higher.
        whole = alt.concat(
            *panels, columns=self.columns, bounds="flush", spacing={"row": down, "column": across}
        )
        spec: dict[str, Any] = (panels[0] if len(panels) == 1 else whole).to_dict()
        return spec | {"config": theme(PAPER), "padding": 12}

    def page_specs(self) -> list[dict[str, Any]]:
        """Returns a specification for each panel as the page shows it: as wide as its place, no colours, no legend."""
        specs = []
        for panel in self.panels if self.page_panels is None else self.page_panels:
            spec: dict[str, Any] = panel.properties(width="container").to_dict()
            del spec["config"]
            _drop_legends(spec)
            specs.append(spec | {"autosize": {"type": "fit-x", "contains": "padding"}})
        return specs


def save_figure(figure: Figure, folder: Path) -> None:
    """Writes `<name>.svg` and `<name>.png` (three pixels a point) into a folder."""
    spec = figure.paper_spec()
    svg = vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE)
    replace_file(folder / f"{figure.name}.svg", svg.encode())
    png = vl_convert.svg_to_png(svg, scale=_PIXELS_PER_POINT)
    replace_file(folder / f"{figure.name}.png", png)


def rows_of(rows: Iterable[Mapping[str, Any]]) -> alt.Data:
    """Returns rows of plain values as a chart's data; floats are rounded, and undefined ones are null."""
    return alt.Data(values=[{key: _plain(value) for key, value in row.items()} for row in rows])


def expression(text: str) -> Any:
    """Returns a Vega expression, such as the name of a colour of the palette."""
    return alt.ExprRef(text)


def spread(values: Sequence[float], gap: float, *, low: float, high: float) -> list[float]:
    """Moves values apart so that no two are closer than `gap`, in their order and near their places.

    For direct labels: the values are the ends of lines, the gap is the height of a label, and `low` and `high` are the
    ends of the axis, which labels leave only where there are too many for it.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    blocks: list[tuple[float, list[int]]] = []
    for index in order:
        # Each block of touching labels is centred on the mean of the places that its labels would like.
        centre, members = values[index], [index]
        while blocks and centre - blocks[-1][0] < gap * (len(members) + len(blocks[-1][1])) / 2:
            members = blocks.pop()[1] + members
            centre = sum(values[member] for member in members) / len(members)
        blocks.append((centre, members))
    placed = [
        centre + gap * (position - (len(members) - 1) / 2)
        for centre, members in blocks
        for position in range(len(members))
    ]
    for place in reversed(range(len(placed))):
        placed[place] = min(placed[place], high if place == len(placed) - 1 else placed[place + 1] - gap)
    for place in range(len(placed)):
        placed[place] = max(placed[place], low if place == 0 else placed[place - 1] + gap)
    return [placed[order.index(index)] for index in range(len(values))]


def _drop_legends(spec: Any) -> None:
    """Turns off the legend of every encoding in a specification; the page has its own."""
    if isinstance(spec, dict):
        for channel in ("color", "strokeDash"):
            if isinstance(spec.get(channel), dict) and "field" in spec[channel]:
                spec[channel]["legend"] = None
        for name, value in spec.items():
            if name != "data":
                _drop_legends(value)
    elif isinstance(spec, list):
        for value in spec:
            _drop_legends(value)


def _plain(value: Any) -> Any:
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    number = float(value)
    if not math.isfinite(number):
        return None
    if number.is_integer():
        return int(number)
    # Five figures are more than a pixel, and keep a page with thousands of points small.
    return float(f"{number:.{_DIGITS}g}")
