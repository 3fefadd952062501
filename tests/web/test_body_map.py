"""The drawn body: every region can be pointed at, knows its site, and is the only one at its place."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from derm_core import SITES
from web.body_map import OUTLINE, REGIONS, VIEW_BOX, VIEWS, Place, Region, place_in


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.code)
def test_the_pin_of_a_region_lies_in_it_and_in_the_drawing(region: Region) -> None:
    place = place_in(region)
    assert place.region is region
    assert 0 < place.x < 1
    assert 0 < place.y < 1


def test_every_site_of_the_engine_but_none_other_has_a_region() -> None:
    assert {region.site for region in REGIONS} == set(SITES)


def test_codes_are_unique_and_both_views_are_drawn() -> None:
    assert len({region.code for region in REGIONS}) == len(REGIONS)
    assert {region.view for region in REGIONS} == set(VIEWS)


def test_left_is_the_patients_left_on_both_sides() -> None:
    pins = {region.code: region.pin[0] for region in REGIONS}
    assert pins["front-left-palm"] > 60 > pins["front-right-palm"]
    assert pins["back-left-calf"] < 60 < pins["back-right-calf"]


@pytest.mark.parametrize("view", VIEWS)
def test_every_point_of_the_body_belongs_to_a_region(view: str) -> None:
    """Along the edge of the body, moved a hair inwards, and over its middle."""
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", OUTLINE)]
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    inside = [(60 + 0.9 * (x - 60), y) for x, y in corners if 9 < y < 168 and abs(x - 60) < 13]
    inside += [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairwise(inside) if a[0] < 60 and b[0] < 60]
    left, top, width, height = VIEW_BOX
    for x, y in inside:
        assert Place(view, (x - left) / width, (y - top) / height).region is not None, (x, y)


def test_the_outline_is_the_same_on_both_sides() -> None:
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", OUTLINE)]
    points = set(zip(numbers[::2], numbers[1::2], strict=True))
    assert {(round(120 - x, 4), y) for x, y in points} == {(round(x, 4), y) for x, y in points}


def test_a_click_in_the_region_is_kept_and_one_beside_it_is_not() -> None:
    chest = next(region for region in REGIONS if region.code == "front-left-chest")
    clicked = place_in(chest, "0.6100,0.2000")
    assert (clicked.x, clicked.y) == (0.61, 0.2)
    assert clicked.region is chest
    for elsewhere in ("0.39,0.2", "0.6,0.9", "", "x", "1,2,3", "nan,nan", "inf,0", "-1,0.2"):
        assert place_in(chest, elsewhere) == place_in(chest)


def test_a_point_beside_the_body_is_in_no_region() -> None:
    assert Place("front", 0.02, 0.02).region is None
    assert Place("side", 0.5, 0.5).region is None
