"""Pictures of phones: HEIC comes in like any other format, and nothing in a file makes it cost more than it shows."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from derm_core.errors import InvalidImageError
from derm_core.heic import HeicError, coded_pixels, is_heic
from derm_core.images import load_image, open_header

pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC is read where pillow-heif is installed")


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """Smooth, with a blue corner at the upper left."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns * 2, rows * 2, (rows + columns) % 256], axis=-1).astype(np.uint8)
    pixels[: height // 4, : width // 4] = (20, 40, 230)
    return Image.fromarray(pixels)


def heic(image: Image.Image | None = None, **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    stream = io.BytesIO()
    (image or picture()).save(stream, "HEIF", **options)
    return stream.getvalue()


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, *content: bytes, version: int = 0) -> bytes:
    return box(kind, struct.pack(">B3x", version), *content)


def described(
    items: dict[int, bytes],
    references: list[tuple[bytes, int, list[int]]],
    sizes: dict[int, tuple[int, int]],
) -> bytes:
    """The boxes of a file that holds no pixel: kinds of items, what they are made of, and their sizes."""
    infos = [
        full_box(b"infe", struct.pack(">HH4s", number, 0, kind), version=2) for number, kind in items.items()
    ]
    named = [
        box(kind, struct.pack(f">HH{len(targets)}H", origin, len(targets), *targets))
        for kind, origin, targets in references
    ]
    properties = [full_box(b"ispe", struct.pack(">II", *size)) for size in sizes.values()]
    associated = [struct.pack(">HBB", number, 1, 0x80 | at) for at, number in enumerate(sizes, 1)]
    meta = full_box(
        b"meta",
        full_box(b"pitm", struct.pack(">H", 1)),
        full_box(b"iinf", struct.pack(">H", len(infos)), *infos),
        full_box(b"iref", *named),
        box(
            b"iprp",
            box(b"ipco", *properties),
            full_box(b"ipma", struct.pack(">I", len(associated)), *associated),
        ),
    )
    return box(b"ftyp", b"heic", b"\0\0\0\0", b"mif1heic") + meta


def test_a_picture_of_a_phone_comes_in_as_it_was_shown(tmp_path: Path) -> None:
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(heic(quality=90))
    for source in (path, path.read_bytes(), io.BytesIO(path.read_bytes())):
        image = load_image(source, min_side=32)
        assert (image.mode, image.size, image.info) == ("RGB", (96, 64), {})
        difference = np.abs(np.asarray(image).astype(int) - np.asarray(picture()).astype(int))
        assert difference.mean() < 6


def test_it_is_told_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(heic())
    assert load_image(path).size == (96, 64)
    assert is_heic(heic()[:12])
    assert not is_heic(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1")


@pytest.mark.parametrize(("orientation", "blue_at"), [(1, (3, 3)), (3, (92, 60)), (6, (60, 3)), (8, (3, 92))])
def test_orientation_is_kept_and_everything_else_that_a_phone_writes_goes(
    orientation: int, blue_at: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "A phone"
    exif.get_ifd(0x8825)[1] = "N"
    image = load_image(heic(exif=exif.tobytes(), quality=90))
    assert image.size == ((96, 64) if orientation in (1, 3) else (64, 96))
    red, _, blue = image.getpixel(blue_at)
    assert blue > 150 > red
    assert (image.info, dict(image.getexif())) == ({}, {})


def test_a_picture_in_tiles_and_one_with_transparency_are_read() -> None:
    tiled = heic(picture(300, 200), tile_size=128)
    assert coded_pixels(io.BytesIO(tiled)) == 6 * 128 * 128
    assert load_image(tiled).size == (300, 200)
    clear = picture().convert("RGBA")
    clear.putalpha(0)
    content = heic(clear)
    assert coded_pixels(io.BytesIO(content)) == 2 * 96 * 64
    assert min(load_image(content).getpixel((3, 3))) > 250  # on white


def test_too_many_pixels_are_refused_from_the_header_alone() -> None:
    with pytest.raises(InvalidImageError, match=r"96 x 64 pixels .* Save a smaller copy"):
        load_image(heic(), max_pixels=96 * 64 - 1)


def test_a_size_that_is_told_too_small_is_found_out_before_it_is_decoded() -> None:
    content = bytearray(heic(picture(400, 400)))
    place = content.index(b"ispe") + 8
    content[place : place + 8] = struct.pack(">II", 100, 100)
    with pytest.raises(InvalidImageError, match="is damaged or cut short"):
        load_image(bytes(content))


def test_one_large_tile_named_a_thousand_times_is_refused_before_it_is_decoded() -> None:
    content = described(
        {1: b"grid", 2: b"hvc1"}, [(b"dimg", 1, [2] * 1000)], {1: (4000, 3000), 2: (4000, 3000)}
    )
    assert coded_pixels(io.BytesIO(content)) == 1000 * 12_000_000
    with pytest.raises(InvalidImageError, match=r"made up of 12000 megapixels in tiles; at most 128"):
        load_image(content)


def test_what_lies_over_a_picture_counts_as_well() -> None:
    additions = dict.fromkeys(range(2, 12), b"hvc1")
    content = described(
        {1: b"hvc1"} | additions,
        [(b"auxl", number, [1]) for number in additions],
        dict.fromkeys(range(1, 12), (5000, 5000)),
    )
    assert coded_pixels(io.BytesIO(content)) == 11 * 25_000_000


@pytest.mark.parametrize(
    "content",
    [
        described({1: b"iovl", 2: b"hvc1"}, [(b"dimg", 1, [2] * 100)], {1: (100, 100), 2: (100, 100)}),
        described({1: b"grid", 2: b"grid"}, [(b"dimg", 1, [2]), (b"dimg", 2, [1])], {1: (9, 9), 2: (9, 9)}),
        described({1: b"av01"}, [], {1: (100, 100)}),
    ],
    ids=["overlay", "circle", "another code"],
)
def test_what_no_camera_writes_is_refused(content: bytes) -> None:
    with pytest.raises(HeicError, match="put together in a way"):
        coded_pixels(io.BytesIO(content))
    with pytest.raises(InvalidImageError, match="Save it as JPEG"):
        load_image(content)


def test_every_cut_is_one_clear_sentence() -> None:
    content = heic(picture(32, 32))
    for length in range(12, len(content) - 1, 7):
        with pytest.raises(InvalidImageError):
            load_image(content[:length])
    with pytest.raises(InvalidImageError, match="it holds no still picture"):
        load_image(content[: content.index(b"meta") - 4])


def test_damage_in_the_boxes_is_never_another_error() -> None:
    content = heic(picture(32, 32))
    end = content.index(b"mdat")
    random = np.random.default_rng(7)
    for _ in range(300):
        damaged = bytearray(content)
        for place in random.integers(12, end, 3):
            damaged[place] = random.integers(256)
        with contextlib.suppress(InvalidImageError):
            assert load_image(bytes(damaged)).mode == "RGB"


def test_the_header_alone_tells_the_size() -> None:
    with open_header(heic()) as opened:
        assert (opened.size, opened.format) == ((96, 64), "HEIF")


def test_without_its_library_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from derm_core.images import _can_read_heic

    content = heic()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    _can_read_heic.cache_clear()
    with pytest.raises(InvalidImageError, match="Save it as JPEG, or install pillow-heif"):
        load_image(content)
    _can_read_heic.cache_clear()
