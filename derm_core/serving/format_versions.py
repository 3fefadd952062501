"""The versions of model.json: what each added, and how an earlier one is read. Knows no value's meaning."""

from __future__ import annotations

from typing import Any

from derm_core.errors import BundleError
from derm_core.serving.parsing import wrong

FORMAT_VERSION = 5
ADDED: dict[int, dict[str, Any]] = {
    2: {"head_units": 0, "views": 1, "context": None, "context_operating_points": []},
    3: {"calibration": None, "prevalence": None, "conformal": None},
    4: {},
    5: {},
}
"""Format version -> the keys that it added, with what they were before."""
_LIMITS_OF_3 = {"least_detail": 0.0, "most_burnt_out": 1.0, "most_black": 1.0}
_LIMITS_OF_4 = {"most_white": 1.0, "most_pen": 1.0, "most_ruler": 1.0}
"""Limits of quality that the formats added, as they refuse and note nothing."""
_LIMIT_OF_3_ALONE = "most_ink"
"""What format 4 measures in another way, under another name."""


def check_format(values: Any) -> None:
    """Raises BundleError for a version that this software does not read."""
    version = values.get("format_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BundleError(
            f"model.json has the format {version}; this version reads up to {FORMAT_VERSION}. Update the software."
        )
    if (
        isinstance(values, dict)
        and "format_version" in values
        and version not in range(1, FORMAT_VERSION + 1)
    ):
        raise wrong("format_version", version, f"a number from 1 to {FORMAT_VERSION}")


def upgraded(values: Any) -> Any:
    """Returns what an earlier version wrote, as this one writes it: what it did not know is absent from the model."""
    if not isinstance(values, dict) or not isinstance(version := values.get("format_version"), int):
        return values
    if version < FORMAT_VERSION:
        added = {
            key: value for later, keys in ADDED.items() if later > version for key, value in keys.items()
        }
        values = added | values | {"format_version": FORMAT_VERSION}
    if version < 2 and isinstance(values.get("preprocessing"), dict):
        values = values | {"preprocessing": {"samplewise": False} | values["preprocessing"]}
    if version < 3 and isinstance(values.get("quality"), dict):
        values = values | {"quality": _LIMITS_OF_3 | values["quality"]}
    if version < 4 and isinstance(values.get("quality"), dict):
        known = {name: limit for name, limit in values["quality"].items() if name != _LIMIT_OF_3_ALONE}
        values = values | {"quality": _LIMITS_OF_4 | known}
    if version < 5 and isinstance(values.get("calibration"), dict):
        values = values | {"calibration": {"adjustment": 0.0} | values["calibration"]}
    return values
