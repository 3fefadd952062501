"""The drawn body, front and back: its outline, its regions, and which region a point lies in. Draws no page.

Coordinates are those of the drawing, from the upper left corner of VIEW_BOX; left and right are the patient's. Regions
are polygons that reach over the outline: the page clips them to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

VIEW_BOX = (2.0, 4.0, 116.0, 293.0)
"""Left, top, width and height of the drawing."""
VIEWS = ("front", "back")
_MIDDLE = 60.0  # the body is the same on both sides of it

Point = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """A part of the drawn body that can be pointed at.

    Attributes:
        code: names it in forms, such as `front-left-palm`.
        view: front or back.
        name: in words, such as "left palm".
        site: the engine's word for it, one of derm_core.SITES.
        corners: of the polygon, in the drawing's coordinates.
        pin: where a lesion is marked of which no more is known than the region.
    """

    code: str
    view: str
    name: str
    site: str
    corners: tuple[Point, ...]
    pin: Point

    @cached_property
    def points(self) -> str:
        """The corners as SVG writes them."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.corners)

    def holds(self, point: Point) -> bool:
        """Says whether a point lies inside: of the edges below it, an odd number."""
        x, y = point
        inside = False
        for (x0, y0), (x1, y1) in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                inside = not inside
        return inside


@dataclass(frozen=True)
class Place:
    """A point on the drawn body: the view, and x and y in [0, 1] from the drawing's upper left corner."""

    view: str
    x: float
    y: float

    @property
    def drawn(self) -> Point:
        """The point in the drawing's coordinates."""
        left, top, width, height = VIEW_BOX
        return round(left + self.x * width, 2), round(top + self.y * height, 2)

    @property
    def region(self) -> Region | None:
        """The region it lies in, or None beside the body."""
        return next((one for one in REGIONS if one.view == self.view and one.holds(self.drawn)), None)


def place_in(region: Region, point: str = "") -> Place:
    """Returns a point of a region: the one that was clicked where it lies in it, else the region's pin.

    Args:
        point: x and y in [0, 1] with a comma between them, as the page's script writes them; empty without script.
    """
    try:
        x, y = (float(part) for part in point.split(","))
    except ValueError:
        x = y = -1.0
    clicked = Place(region.view, x, y)
    if 0 <= x <= 1 and 0 <= y <= 1 and region.holds(clicked.drawn):
        return clicked
    left, top, width, height = VIEW_BOX
    return Place(region.view, (region.pin[0] - left) / width, (region.pin[1] - top) / height)


def _box(x0: float, y0: float, x1: float, y1: float) -> tuple[Point, ...]:
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


# Half a body, as seen on the left of the drawing; _both gives its mirror image the other side's name.
_ARM = ((0, 46), (38, 46), (36.5, 93), (35.8, 108), (0, 108))
_FOREARM = ((0, 108), (35.8, 108), (35.5, 113), (29.5, 150), (0, 141))
_HAND = ((0, 141), (29.5, 150), (28, 180), (0, 180))
_LEG = _box(20, 216, 60, 277)
_FOOT = _box(20, 277, 60, 300)
_NECK = ((46, 40), (74, 40), (74, 49), (66, 53), (54, 53), (46, 49))


def _one(view: str, name: str, site: str, corners: tuple[Point, ...], pin: Point) -> Region:
    return Region(f"{view}-{name.replace(' ', '-')}", view, name, site, corners, pin)


def _both(view: str, name: str, site: str, corners: tuple[Point, ...], pin: Point) -> tuple[Region, Region]:
    """Returns a region of the drawing's left half and its mirror image; the side goes before the name, or into it."""
    on_the_left, on_the_right = ("right", "left") if view == "front" else ("left", "right")
    sided = name if "{side}" in name else "{side} " + name
    mirrored = tuple((2 * _MIDDLE - x, y) for x, y in corners)
    return (
        _one(view, sided.format(side=on_the_left), site, corners, pin),
        _one(view, sided.format(side=on_the_right), site, mirrored, (2 * _MIDDLE - pin[0], pin[1])),
    )


REGIONS: tuple[Region, ...] = (
    _one("front", "scalp", "scalp", _box(44, 2, 76, 17), (60, 12)),
    *_both("front", "ear", "ear", _box(40, 17, 46.5, 40), (43.7, 26)),
    _one("front", "face", "face", _box(46.5, 17, 73.5, 40), (54, 29)),
    _one("front", "neck", "neck", _NECK, (60, 46)),
    *_both("front", "chest", "chest",
           ((60, 53), (54, 53), (46, 49), (38, 46), (36.5, 93), (36.4, 97), (60, 97)), (49, 72)),
    _one("front", "abdomen", "abdomen",
         ((36.4, 97), (83.6, 97), (84.5, 113), (90, 148), (76, 154), (44, 154), (30, 148), (35.5, 113)), (60, 115)),
    _one("front", "genital area", "genital", ((44, 154), (76, 154), (66, 168), (60, 172), (54, 168)), (60, 161)),
    *_both("front", "upper arm", "upper extremity", _ARM, (28.5, 80)),
    *_both("front", "forearm", "upper extremity", _FOREARM, (22, 126)),
    *_both("front", "palm", "acral", _HAND, (16, 156)),
    *_both("front", "thigh", "lower extremity",
           ((30, 148), (44, 154), (54, 168), (60, 172), (60, 216), (20, 216), (27, 185)), (47, 194)),
    *_both("front", "lower leg", "lower extremity", _LEG, (48, 244)),
    *_both("front", "foot", "foot", _FOOT, (48, 286)),
    _one("back", "back of the head", "scalp", _box(46.5, 2, 73.5, 40), (60, 22)),
    *_both("back", "back of the {side} ear", "ear", _box(40, 17, 46.5, 40), (43.7, 26)),
    _one("back", "nape", "neck", _NECK, (60, 46)),
    *_both("back", "upper back", "back",
           ((60, 53), (54, 53), (46, 49), (38, 46), (36.5, 93), (35.9, 104), (60, 104)), (48, 78)),
    *_both("back", "lower back", "back", ((35.9, 104), (60, 104), (60, 140), (31.3, 140), (35.5, 113)), (50, 122)),
    *_both("back", "buttock", "trunk",
           ((31.3, 140), (60, 140), (60, 170), (50, 175), (27, 173), (29.5, 150)), (48, 157)),
    *_both("back", "back of the {side} upper arm", "upper extremity", _ARM, (28.5, 80)),
    *_both("back", "back of the {side} forearm", "upper extremity", _FOREARM, (22, 126)),
    *_both("back", "back of the {side} hand", "hand", _HAND, (16, 156)),
    *_both("back", "back of the {side} thigh", "lower extremity",
           ((27, 173), (50, 175), (60, 170), (60, 216), (20, 216), (26, 185)), (47, 198)),
    *_both("back", "calf", "lower extremity", _LEG, (48, 244)),
    *_both("back", "heel or sole", "acral", _FOOT, (48, 286)),
)  # fmt: skip
"""From head to foot, the front first. A point belongs to the first that holds it."""

REGION_OF = {region.code: region for region in REGIONS}

_CROWN = (_MIDDLE, 8.0)
_HALF_OUTLINE: tuple[tuple[Point, ...], ...] = (
    ((51, 8), (45.5, 14.5), (45.5, 23.5)),
    ((45.5, 30.5), (48.5, 36), (52.5, 39)),
    ((52.5, 47),),
    ((50.5, 51.5), (43.5, 53), (36.5, 55.5)),
    ((28.5, 58.3), (24.5, 64), (23.5, 72.5)),
    ((22, 84), (20, 96), (18, 108)),
    ((16.5, 120), (13, 132), (10.5, 143)),
    ((9, 147), (7.5, 150), (7.5, 155)),
    ((7.5, 161), (10, 170), (13.5, 172)),
    ((16.5, 173.5), (19.5, 172), (21, 168)),
    ((22.5, 163), (23.5, 157), (24, 152)),
    ((27, 139), (31.5, 126), (33.5, 113)),
    ((36.5, 93),),
    ((37.5, 106), (38.5, 116), (37.5, 128)),
    ((36, 140), (33.5, 152), (34, 166)),
    ((34.5, 183), (38, 198), (38.5, 213)),
    ((38.8, 223), (37.5, 232), (38, 242)),
    ((38.6, 255), (41.5, 267), (42.5, 278)),
    ((42.9, 282), (40, 285.5), (37.5, 288)),
    ((36, 290.5), (37.5, 293), (40.5, 293)),
    ((52, 293),),
    ((55, 293), (56.2, 290.5), (56, 287.5)),
    ((55, 272), (57, 257), (57.5, 242)),
    ((57.8, 233), (57, 225), (57.3, 216)),
    ((58, 200), (59, 186), (59.3, 171)),
    ((_MIDDLE, 168.5),),
)
"""From the crown to the crotch; three points are a Bézier curve, one is a line."""


def _outline() -> str:
    """Writes the half outline and its mirror image as one SVG path."""
    ends = [_CROWN, *(segment[-1] for segment in _HALF_OUTLINE)]
    steps = list(_HALF_OUTLINE)
    for start, segment in zip(reversed(ends[:-1]), reversed(_HALF_OUTLINE), strict=True):
        steps.append(tuple((2 * _MIDDLE - x, y) for x, y in (*segment[-2::-1], start)))
    commands = [f"M{_CROWN[0]:g},{_CROWN[1]:g}"]
    for step in steps:
        commands.append(("C" if len(step) == 3 else "L") + " ".join(f"{x:g},{y:g}" for x, y in step))
    return "".join(commands) + "Z"


OUTLINE = _outline()
"""The body's edge, an SVG path; the ears are apart."""
EARS = "M46 20c-4-2-5 1-4.5 5 .3 3.5 2.5 8 5 6.5ZM74 20c4-2 5 1 4.5 5-.3 3.5-2.5 8-5 6.5Z"
CREASES = {
    "front": "M40.5 84c6 5 13 5 18 1M79.5 84c-6 5-13 5-18 1M60 126v.1M45 62c5-2 9-2 13 0M75 62c-5-2-9-2-13 0"
    "M53.8 25c1-1 2.5-1 3.5 0M62.7 25c1-1 2.5-1 3.5 0M56.5 34c2 1.2 5 1.2 7 0"
    "M46 155c5 7 9 11 14 13.5 5-2.5 9-6.5 14-13.5",
    "back": "M60 58v66M46.5 72c-3 7-2 13 3 18M73.5 72c3 7 2 13-3 18M60 146v22"
    "M42 169c6 5 13 5 18 0M78 169c-6 5-13 5-18 0",
}
"""Lines that tell front from back."""
