"""Small readers of a model.json's values: each gives the value back, or raises BundleError in one clear sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from derm_core.errors import BundleError


def wrong(name: str, value: Any, wanted: str) -> BundleError:
    """Returns the error for a value: what came, what was wanted, what to do."""
    shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
    return BundleError(
        f"In model.json, {name} is {shown}; wanted: {wanted}. Export or copy the bundle again."
    )


def parse_object(values: Any, name: str, keys: list[str]) -> dict[str, Any]:
    """Returns an object that holds all of `keys`; others are left alone."""
    if not isinstance(values, dict):
        raise wrong(name, values, "an object")
    missing = [key for key in keys if key not in values]
    if missing:
        raise BundleError(
            f"In model.json, {name} lacks {', '.join(missing)}. Export or copy the bundle again."
        )
    return values


def parse_text(values: Mapping[str, Any], key: str) -> str:
    """Returns the text under a key."""
    if not isinstance(values[key], str):
        raise wrong(key, values[key], "a text")
    return values[key]


def parse_list(value: Any, name: str) -> list[Any]:
    """Returns a list that is not empty."""
    if not isinstance(value, list) or not value:
        raise wrong(name, value, "a list that is not empty")
    return value


def parse_mapping(value: Any, name: str) -> dict[str, Any]:
    """Returns an object of any keys."""
    if not isinstance(value, dict):
        raise wrong(name, value, "an object")
    return value


def parse_mapping_or_none(value: Any, name: str) -> dict[str, Any] | None:
    """Returns an object of any keys, or None for null."""
    return None if value is None else parse_mapping(value, name)


def _number(value: Any, name: str, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(name, value, wanted)
    return value


def parse_positive(value: Any, name: str) -> float:
    """Returns a finite number above 0."""
    if not 0 < _number(value, name, "a number above 0") < float("inf"):
        raise wrong(name, value, "a number above 0")
    return value


def parse_finite(value: Any, name: str) -> float:
    """Returns a finite number."""
    if not math.isfinite(_number(value, name, "a finite number")):
        raise wrong(name, value, "a finite number")
    return value


def parse_share(value: Any, name: str) -> float:
    """Returns a number from 0 to 1."""
    if not 0 <= _number(value, name, "a number from 0 to 1") <= 1:
        raise wrong(name, value, "a number from 0 to 1")
    return value


def parse_share_or_none(value: Any, name: str) -> float | None:
    """Returns a number from 0 to 1, or None for null."""
    return None if value is None else parse_share(value, name)


def parse_whole(value: Any, name: str) -> int:
    """Returns a whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise wrong(name, value, "a whole number")
    return value


def parse_three(value: Any, name: str) -> tuple[float, float, float]:
    """Returns three numbers, one a colour channel."""
    if not isinstance(value, list) or len(value) != 3:
        raise wrong(name, value, "three numbers")
    first, second, third = (_number(number, name, "three numbers") for number in value)
    return first, second, third


def parse_interval(value: Any, name: str) -> tuple[float, float] | None:
    """Returns two numbers from 0 to 1, or None for null."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise wrong(name, value, "two numbers")
    return parse_share(value[0], name), parse_share(value[1], name)
