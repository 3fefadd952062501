"""Operating points: read from plain values, refused where they are none, and which of them advice follows."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from derm_core.errors import BundleError
from derm_core.serving.operating_point import OperatingPoint, parse_points

POINT = OperatingPoint(
    "sensitivity-0.95", 0.4, 0.95, 0.7, (0.9, 0.98), (0.6, 0.8), 120, 150, "drawn pictures"
)
UNMEASURED = OperatingPoint("half", 0.5)


def plain(point: OperatingPoint) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(point)))
    return values


def test_points_survive_the_trip_through_json() -> None:
    assert parse_points([plain(POINT), plain(UNMEASURED)], "points") == (POINT, UNMEASURED)
    assert parse_points([], "points") == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 5}, "name is 5; wanted: a text"),
        ({"threshold": 1.5}, r"threshold of operating point 'half' is 1\.5"),
        ({"threshold": None}, "threshold of operating point 'half' is None"),
        ({"sensitivity": -0.1}, r"sensitivity of operating point 'half' is -0\.1"),
        ({"specificity_ci95": [0.5]}, r"specificity_ci95 of operating point 'half' is \[0\.5\]"),
        ({"lesions": 1.5}, r"lesions of operating point 'half' is 1\.5"),
        ({"photographs": -1}, "photographs of operating point 'half' is -1"),
    ],
)
def test_what_is_no_point_is_refused_by_its_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=f"In model.json, {message}"):
        OperatingPoint.from_dict(plain(UNMEASURED) | change)


def test_what_is_no_list_of_points_is_refused() -> None:
    for value in (None, {}, "half"):
        with pytest.raises(BundleError, match=r"In model\.json, points is .*; wanted: a list"):
            parse_points(value, "points")
    with pytest.raises(BundleError, match=r"operating_points.*lacks threshold"):
        parse_points([{key: value for key, value in plain(POINT).items() if key != "threshold"}], "points")
