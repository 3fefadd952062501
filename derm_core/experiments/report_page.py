"""The report as one HTML page that holds everything it shows and loads nothing. Computes no figure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from derm_core.diagnoses import NOTICE
from derm_core.experiments.figure import Figure, LegendEntry
from derm_core.experiments.figure_theme import DARK, LIGHT, Palette, theme
from derm_core.experiments.samples import SampleFigure

_FILES = Path(__file__).with_name("page")
_PAGE = {"light": "#f6f3ee", "dark": "#161412"}


@dataclass(frozen=True)
class RunRow:
    """A run in the table: its place among the colours (None: grey), the cells after its name, and how it was made.

    A cell is its text and what stands below it in small print, such as an interval.
    """

    label: str
    series: int | None
    cells: tuple[tuple[str, str], ...]
    command: str
    made_with: str

    @property
    def swatch(self) -> str:
        """The class of its colour."""
        return _swatch(self.series, "line")


@dataclass(frozen=True)
class RunTable:
    """The table of the runs of a task; `columns` name the cells after the run's name."""

    columns: tuple[str, ...]
    rows: tuple[RunRow, ...]
    caption: str


@dataclass(frozen=True)
class Section:
    """What the page tells of one task; `missing` says what is not drawn and why, empty where all is."""

    task: str
    heading: str
    runs: RunTable
    figures: tuple[Figure, ...]
    missing: str = ""
    missing_command: str = ""


def report_page(title: str, sections: Sequence[Section], *, command: str, notes: Sequence[str] = ()) -> str:
    """Returns the page as HTML.

    Everything is in it: the scripts that draw, their data, the style and the pictures. A policy in its head forbids the
    browser to load anything else.

    Args:
        title: its heading.
        sections: one for each task.
        command: what made the report, named under every figure.
        notes: sentences on what could not be used.
    """
    charts: list[dict[str, Any]] = []
    scripts = [_vega(), (_FILES / "report.js").read_text("utf-8")]
    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values = {
        "title": title,
        "notice": NOTICE,
        "notes": notes,
        "command": command,
        "sections": [_section(section, charts) for section in sections],
        "palettes": Markup(_palettes()),
        "style": Markup((_FILES / "report.css").read_text("utf-8")),
        "scripts": [Markup(script) for script in scripts],
        "script_hashes": Markup(" ".join(f"'{_hash(script)}'" for script in scripts)),
        "themes": _json({"light": theme(LIGHT), "dark": theme(DARK)}),
    }
    # The sections have filled it.
    values["charts"] = _json(charts)
    return environment.get_template("report.html").render(values)


def _section(section: Section, charts: list[dict[str, Any]]) -> dict[str, Any]:
    values = {
        name: getattr(section, name) for name in ("task", "heading", "runs", "missing", "missing_command")
    }
    return values | {"figures": [_figure(figure, charts) for figure in section.figures]}


def _figure(figure: Figure, charts: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what the template needs, and adds the figure's charts to those of the page."""
    names = ("name", "title", "caption", "columns", "wide")
    values: dict[str, Any] = {name: getattr(figure, name) for name in names}
    values["legend"] = [{"text": entry.text, "swatch": _entry_swatch(entry)} for entry in figure.legend]
    values["samples"], values["places"] = [], []
    if isinstance(figure, SampleFigure):
        values["samples"] = [
            asdict(sample) | {"percent": f"{sample.probability:.0%}"} for sample in figure.samples
        ]
        return values
    for spec in figure.page_specs():
        values["places"].append(len(charts))
        charts.append(spec | {"description": _description(figure, spec.get("title"))})
    return values


def _description(figure: Figure, title: Any) -> str:
    """Returns what a screen reader says of a panel; its caption stands below for all."""
    words = [title] if isinstance(title, str) else [title.get("text"), title.get("subtitle")] if title else []
    return ": ".join(
        [figure.title, ", ".join(word for word in words if isinstance(word, str) and word)]
    ).rstrip(": ")


def _entry_swatch(entry: LegendEntry) -> str:
    return _swatch(entry.series, entry.sign)


def _swatch(series: int | None, sign: str) -> str:
    return sign if series is None else f"series-{series}"


def _palettes() -> str:
    """Returns the colours of both surfaces as custom properties, dark where the system or the reader wants it."""
    light, dark = _properties(LIGHT, "light"), _properties(DARK, "dark")
    classes = "".join(
        f".swatch.series-{place} {{ border-block-start-color: var(--series-{place}); }}\n"
        for place in range(len(LIGHT.series))
    )
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        "@media screen and (prefers-color-scheme: dark) "
        f'{{ :root:not([data-theme="light"]) {{ color-scheme: dark; {dark} }} }}\n'
        f'@media screen {{ :root[data-theme="dark"] {{ color-scheme: dark; {dark} }} }}\n{classes}'
    )


def _properties(palette: Palette, name: str) -> str:
    values: Mapping[str, Any] = asdict(palette)
    flat = {key: value for key, value in values.items() if key != "series"} | {"page": _PAGE[name]}
    flat |= {f"series-{place}": colour for place, colour in enumerate(palette.series)}
    return " ".join(f"--{key}: {value};" for key, value in flat.items())


def _json(value: Any) -> Markup:
    """Returns JSON that may stand inside a script element."""
    return Markup(json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))


@cache
def _vega() -> str:
    """Returns Vega-Embed and what it needs as one script, its names kept from the page's own."""
    # Its stub asks for a snippet, which has a default.
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    return "(() => {" + bundle + "})();"


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
