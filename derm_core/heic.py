"""What a HEIC file asks of a decoder, read from its boxes (ISO/IEC 14496-12 and 23008-12). Decodes no pixel.

A picture of a phone is a grid of tiles, each coded by itself. A few bytes can name one large tile a thousand times, or
lay pictures over pictures, and would keep a processor busy for hours; so what is to be decoded is added up first.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_CODED, _GRID = (b"hvc1", b"hev1"), b"grid"
_MOST_META_BYTES = 4 << 20
_HEADER_BYTES = 12


class HeicError(ValueError):
    """The boxes cannot be read, or ask for what is not decoded here; the message says which."""


@dataclass
class _Items:
    """The items of a file by their number: kinds, sizes in pixels, and which others they are made of or add to."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    pixels: dict[int, int] = field(default_factory=dict)
    parts: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    additions: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))


def is_heic(header: bytes) -> bool:
    """Says whether a file that begins like this calls itself HEIC; twelve bytes are enough."""
    return header[4:8] == b"ftyp" and header[8:_HEADER_BYTES] in BRANDS


def coded_pixels(stream: BinaryIO) -> int:
    """Returns how many pixels must be decoded to see the primary picture of a HEIC file, each as often as it is used.

    The stream is read from its beginning. Raises HeicError where the boxes are damaged, and for pictures that are
    neither one coded picture nor a grid of such, which is what cameras write.
    """
    try:
        items = _read_items(_meta_of(stream))
        if items.primary not in items.kinds:
            raise HeicError("it holds no still picture")
        pixels = _pixels_of(items, items.primary)
        # An alpha plane is decoded with its picture, whatever else it is called.
        return pixels + sum(_pixels_of(items, number) for number in items.additions[items.primary])
    except (struct.error, IndexError) as err:
        raise HeicError("its boxes are damaged") from err


def _pixels_of(items: _Items, number: int) -> int:
    kind = items.kinds.get(number)
    parts = items.parts[number] if kind == _GRID else [number]
    if not all(items.kinds.get(part) in _CODED for part in parts):
        raise HeicError("it is put together in a way that is not read here")
    if not all(part in items.pixels for part in parts):
        raise HeicError("its boxes are damaged")
    return sum(items.pixels[part] for part in parts)


def _meta_of(stream: BinaryIO) -> bytes:
    """Returns the content of the box that describes the items, without its version and flags."""
    stream.seek(0, 2)
    end = stream.tell()
    place = 0
    while place + 8 <= end:
        stream.seek(place)
        size, kind = struct.unpack(">I4s", stream.read(8))
        head = 8
        if size == 1:
            (size,) = struct.unpack(">Q", stream.read(8))
            head = 16
        elif size == 0:
            size = end - place
        if size < head:
            raise HeicError("its boxes are damaged")
        if kind == b"meta":
            if size > _MOST_META_BYTES:
                raise HeicError("its description is too large")
            return stream.read(size - head)[4:]
        place += size
    raise HeicError("it holds no still picture")


def _read_items(meta: bytes) -> _Items:
    items = _Items()
    for kind, content in _boxes(meta):
        version, body = content[:1], content[4:]
        if kind == b"pitm":
            (items.primary,) = struct.unpack_from(">I" if version > b"\0" else ">H", body)
        elif kind == b"iinf":
            for entry, inner in _boxes(body[2 if version == b"\0" else 4 :]):
                if entry == b"infe":
                    number, name = _item_kind(inner)
                    items.kinds[number] = name
        elif kind == b"iref":
            _read_references(items, body, is_wide=version > b"\0")
        elif kind == b"iprp":
            _read_sizes(items, content)
    return items


def _item_kind(entry: bytes) -> tuple[int, bytes]:
    if entry[0] < 2:
        raise HeicError("its boxes are damaged")
    number, _, kind = struct.unpack_from(">HH4s" if entry[0] == 2 else ">IH4s", entry, 4)
    return number, kind


def _read_references(items: _Items, body: bytes, *, is_wide: bool) -> None:
    number = "I" if is_wide else "H"
    width = struct.calcsize(f">{number}")
    for kind, content in _boxes(body):
        origin, count = struct.unpack_from(f">{number}H", content)
        targets = struct.unpack_from(f">{count}{number}", content, width + 2)
        if kind == b"dimg":
            items.parts[origin] += targets
        elif kind == b"auxl":
            for target in targets:
                items.additions[target].append(origin)


def _read_sizes(items: _Items, content: bytes) -> None:
    """Reads which item has which size: a list of properties, and for each item their places in it, counted from 1."""
    boxes = list(_boxes(content))
    known = [inner for kind, body in boxes if kind == b"ipco" for inner in _boxes(body)]
    for kind, body in boxes:
        if kind != b"ipma":
            continue
        number, index = (">I" if body[0] else ">H"), (">H" if body[3] & 1 else ">B")
        (entries,) = struct.unpack_from(">I", body, 4)
        place = 8
        for _ in range(entries):
            (item,) = struct.unpack_from(number, body, place)
            place += struct.calcsize(number)
            many = body[place]
            place += 1
            for _ in range(many):
                (at,) = struct.unpack_from(index, body, place)
                place += struct.calcsize(index)
                at &= 0x7FFF if index == ">H" else 0x7F  # the first bit says that a reader must understand it
                if at and known[at - 1][0] == b"ispe":
                    width, height = struct.unpack_from(">II", known[at - 1][1], 4)
                    items.pixels[item] = max(items.pixels.get(item, 0), width * height)


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, place + 8)
            head = 16
        elif size == 0:
            size = len(content) - place
        if size < head or place + size > len(content):
            raise HeicError("its boxes are damaged")
        yield kind, content[place + head : place + size]
        place += size
