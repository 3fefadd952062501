"""The look of the audit's page: the product's colours and sizes, and the few figures that are drawn with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_HUES = 9  # colours that STYLE has for classes
STYLE = """
:root {
  color-scheme: light;
  --page: #f6f3ee; --surface: #fffdfa; --sunken: #ece7df; --text: #23201b; --muted: #5f584e; --line: #ddd6ca;
  --accent: #0b5d63; --fault: #a1330b; --fault-soft: #fbe7dc; --warning: #2a5590; --warning-soft: #e3ebf6;
  --note: #55504a; --note-soft: #e9e5de; --shadow: 0 1px 2px rgb(60 48 30 / .08);
  --class-0: #2a5590; --class-1: #c2551f; --class-2: #117c7a; --class-3: #8a5a9e; --class-4: #9c7a12;
  --class-5: #6b6459; --class-6: #b0446c; --class-7: #4d7a2f; --class-8: #23201b;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "Roboto Mono", "Liberation Mono", Menlo, Consolas, monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --page: #161412; --surface: #211e1a; --sunken: #100f0d; --text: #f1ece4; --muted: #b8aea0; --line: #3a352e;
    --accent: #6cc7c4; --fault: #ff9c6e; --fault-soft: #3b2317; --warning: #93b9ef; --warning-soft: #1c2f4b;
    --note: #cfc6b9; --note-soft: #37322b; --shadow: 0 1px 2px rgb(0 0 0 / .5);
    --class-0: #7fa9e6; --class-1: #ff9c6e; --class-2: #5cc2b4; --class-3: #c79bdb; --class-4: #dcb94f;
    --class-5: #a79d8e; --class-6: #ec8fb2; --class-7: #9cc97c; --class-8: #f1ece4;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { font-size: 106.25%; -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
@media (max-width: 40rem) { html { font-size: 100%; } }
body {
  margin: 0; background: var(--page); color: var(--text); font: 400 1rem/1.55 var(--sans);
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
h1, h2, h3, p, ul, dl, dd, figure, table { margin: 0; padding: 0; }
h1, h2, h3 { font-weight: 650; line-height: 1.2; letter-spacing: -.01em; text-wrap: balance; }
h1 { font-size: 1.8125rem; }
h2 { font-size: 1.1875rem; }
h3 { font-size: 1rem; }
main, footer {
  max-inline-size: 78rem; margin-inline: auto; padding: 1.75rem clamp(1rem, .4rem + 2.2vw, 2rem);
  display: grid; gap: 1.5rem; grid-template-columns: minmax(0, 1fr);
}
footer { padding-block: 0 2.5rem; gap: .5rem; color: var(--muted); font-size: .9rem; }
.head { display: grid; gap: .4rem; }
.brand { display: inline-flex; align-items: center; gap: .5rem; font-weight: 650; color: var(--text); }
.brand svg { inline-size: 1.6rem; block-size: 1.6rem; }
.brand path { fill: none; stroke: var(--accent); stroke-width: 2.2; stroke-linecap: round; }
.lead { color: var(--muted); max-inline-size: 62ch; }
.card {
  background: var(--surface); border: 1px solid var(--line); border-radius: 1rem; box-shadow: var(--shadow);
  padding: clamp(1rem, .6rem + 1.5vw, 1.5rem); display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr);
  align-content: start;
}
.sets { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
.facts { display: flex; flex-wrap: wrap; gap: .75rem 1.75rem; }
.facts div { display: grid; }
.facts dt { font-size: .8125rem; color: var(--muted); }
.facts dd { font-size: 1.4375rem; font-weight: 650; line-height: 1.2; }
.bar {
  display: flex; block-size: .75rem; border-radius: .375rem; overflow: hidden; background: var(--sunken);
  gap: 1px;
}
.bar span { min-inline-size: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1rem; list-style: none; font-size: .9rem; color: var(--muted); }
.legend b { color: var(--text); font-weight: 500; }
.swatch {
  display: inline-block; inline-size: .65rem; block-size: .65rem; border-radius: .15rem;
  margin-inline-end: .4rem;
}
.finding { border-inline-start: .35rem solid var(--note); scroll-margin-block-start: 1rem; }
.finding[data-level=fault] { border-inline-start-color: var(--fault); }
.finding[data-level=warning] { border-inline-start-color: var(--warning); }
.finding-head { display: grid; gap: .45rem; }
.tags { display: flex; flex-wrap: wrap; gap: .4rem .6rem; align-items: center; font-size: .8125rem; }
.tag {
  padding: .1rem .6rem; border-radius: 999px; background: var(--note-soft); color: var(--note);
  font-weight: 650;
}
[data-level=fault] .tag:first-child { background: var(--fault-soft); color: var(--fault); }
[data-level=warning] .tag:first-child { background: var(--warning-soft); color: var(--warning); }
.sentence { max-inline-size: 75ch; }
.small { font-size: .9rem; color: var(--muted); max-inline-size: 75ch; }
.pairs { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
.pair { display: grid; gap: .5rem; align-content: start; }
.photos {
  display: grid; grid-template-columns: 1fr 1fr; gap: 2px; border-radius: .625rem; overflow: hidden;
  background: var(--sunken);
}
.photos img { display: block; inline-size: 100%; aspect-ratio: 4 / 3; object-fit: contain; }
.pair figcaption {
  display: grid; grid-template-columns: 1fr 1fr; gap: .25rem .6rem; font-size: .8125rem; line-height: 1.4;
}
.pair .file { font-family: var(--mono); font-size: .75rem; color: var(--muted); overflow-wrap: anywhere; }
.pair .how { grid-column: 1 / -1; color: var(--muted); }
.pair b { font-weight: 650; }
.table { overflow-x: auto; }
table { border-collapse: collapse; inline-size: 100%; font-size: .9rem; }
th, td {
  text-align: start; padding: .4rem .75rem .4rem 0; border-block-end: 1px solid var(--line);
  vertical-align: middle;
}
th { color: var(--muted); font-weight: 500; font-size: .8125rem; }
td.number, th.number { text-align: end; white-space: nowrap; }
td.wide { min-inline-size: 9rem; inline-size: 38%; padding-inline-end: 0; }
.scale {
  position: relative; block-size: 1rem;
  background: linear-gradient(var(--line), var(--line)) center / 100% 1px no-repeat;
}
.scale i { position: absolute; inset-block: 0; inline-size: 1px; border-inline-start: 2px dashed var(--muted); }
.scale span {
  position: absolute; inset-block: .3rem; border-radius: .2rem; background: var(--accent);
  min-inline-size: 3px;
}
code { font-family: var(--mono); font-size: .9em; overflow-wrap: anywhere; }
.reasons { display: grid; gap: .25rem; list-style: none; font-size: .9rem; }
@media (max-width: 40rem) {
  .spare { display: none; }
  td.wide { min-inline-size: 5.5rem; inline-size: 34%; }
  th, td { padding-inline-end: .5rem; }
}
@media print { .card { break-inside: avoid; box-shadow: none; } }
"""


def scale(interval: tuple[float, float], chance: float) -> str:
    """Returns an interval within 0 to 1 as a bar on a line, with chance as a dashed mark."""
    low, high = interval
    return (
        f'<div class="scale"><i style="left:{100 * chance:.1f}%"></i>'
        f'<span style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></span></div>'
    )


def bar(counts: Mapping[str, int], classes: Sequence[str]) -> str:
    """Returns counts of `classes` as one bar in parts; a class has the same colour in every bar of one dataset."""
    order = sorted(classes)
    parts = "".join(
        f'<span style="flex:{counts[name]} 0 0;background:var(--class-{order.index(name) % _HUES})" '
        f'title="{escape(name)} {counts[name]:,}"></span>'
        for name in order
        if counts.get(name)
    )
    return f'<div class="bar">{parts}</div>'


def legend(counts: Mapping[str, int]) -> str:
    """Returns the names, colours and counts of all classes."""
    order = sorted(counts)
    items = "".join(
        f'<li><span class="swatch" style="background:var(--class-{order.index(name) % _HUES})"></span>'
        f"<b>{escape(name or 'no class')}</b> {counts[name]:,}</li>"
        for name in order
    )
    return f'<ul class="legend">{items}</ul>'
