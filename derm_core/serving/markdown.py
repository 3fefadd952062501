"""Markdown of plain values: tables, lists, numbers with their intervals. Knows no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOTHING = "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table; cells stand as they are, so text that others wrote goes through `cell` first."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(values: Mapping[str, Any]) -> str:
    """Returns one line a value, "name: value", nested names in a row; values that are None are left out."""
    return "\n".join(f"- {line}" for line in _flat(values, ""))


def number(value: float | None) -> str:
    """Returns three decimals, or two digits of a value so small that three decimals would hide it."""
    if value is None:
        return NOTHING
    return f"{value:.2g}" if 0 < abs(value) < 0.01 else f"{value:.3f}"


def interval(ends: Sequence[float] | None) -> str:
    """Returns "low to high"."""
    return NOTHING if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def with_interval(value: float | None, ends: Sequence[float] | None) -> str:
    """Returns "value (low to high)"."""
    return number(value) if ends is None else f"{number(value)} ({interval(ends)})"


def cell(value: Any) -> str:
    """Returns text that fits into one cell of a table or one line of a list."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def _flat(values: Mapping[str, Any], before: str) -> Iterable[str]:
    for key, value in values.items():
        name = f"{before}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}, ")
        elif value is not None:
            yield f"{name}: {cell(value)}"
