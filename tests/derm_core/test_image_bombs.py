"""Files made to cost far more than they weigh, or to be two things at once: refused, or read for what they are."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from derm_core import InvalidImageError, load_image
from derm_core.images import MAX_SCANS

_SCAN = b"\xff\xda"


def jpeg(side: int = 64, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (side, side), 128).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def jpeg_with_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is drawn again and again."""
    content = jpeg(progressive=True)
    last = content[content.rindex(_SCAN) : -2]
    return content[:-2] + last * (count - content.count(_SCAN)) + b"\xff\xd9"


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def header(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def test_a_jpeg_of_a_great_many_scans_is_refused_before_they_are_drawn() -> None:
    content = jpeg_with_scans(50_000)
    assert len(content) < 1_000_000
    with pytest.raises(InvalidImageError, match="drawn in 50000 scans; at most 40"):
        load_image(content)


def test_a_jpeg_of_as_many_scans_as_are_accepted_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scans.jpg"
    path.write_bytes(jpeg_with_scans(MAX_SCANS))
    for source in (path, path.read_bytes(), io.BytesIO(path.read_bytes())):
        assert load_image(source).size == (64, 64)
    path.write_bytes(jpeg_with_scans(MAX_SCANS + 1))
    with pytest.raises(InvalidImageError, match=r"scans\.jpg is drawn in 41 scans"):
        load_image(path)


def test_a_marker_that_lies_across_two_readings_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("derm_core.images._CHUNK_BYTES", 3)
    with pytest.raises(InvalidImageError, match="drawn in 41 scans"):
        load_image(jpeg_with_scans(MAX_SCANS + 1))


def test_a_small_file_that_claims_many_pixels_is_refused_by_its_header() -> None:
    content = png(header(60_000, 60_000), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    with pytest.raises(InvalidImageError, match="megapixels"):
        load_image(content)


def test_text_that_unpacks_to_much_more_than_a_picture_is_refused_or_left() -> None:
    bomb = zlib.compress(bytes(300_000_000), 9)
    content = png(
        header(8, 8),
        (b"zTXt", b"Comment\0\0" + bomb),
        (b"IDAT", zlib.compress(bytes(8 * 25))),
        (b"IEND", b""),
    )
    assert len(content) < 400_000
    with pytest.raises(InvalidImageError, match="damaged"):
        load_image(content)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_of_an_animation_only_the_first_frame_is_read(form: str) -> None:
    frames = [Image.new("RGB", (32, 24), colour) for colour in ("red", "green", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], lossless=True)
    image = load_image(buffer.getvalue())
    assert image.size == (32, 24)
    assert image.getpixel((5, 5)) == (255, 0, 0)
    assert getattr(image, "n_frames", 1) == 1


@pytest.mark.parametrize(
    "tail", [b"<script>alert(1)</script>", b"PK\x03\x04 a zip that goes on", b"%PDF-1.7"]
)
def test_what_stands_behind_a_picture_is_not_read(tail: bytes) -> None:
    image = load_image(jpeg() + tail)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    assert tail not in buffer.getvalue()


@pytest.mark.parametrize(
    "head", [b"GIF89a", b"%PDF-1.7\n", b"<svg xmlns='http://www.w3.org/2000/svg'>", b"PK\x03\x04"]
)
def test_a_picture_behind_something_else_is_no_picture(head: bytes) -> None:
    with pytest.raises(InvalidImageError, match="not a picture"):
        load_image(head + jpeg())


def test_colours_for_print_and_deep_greys_become_what_they_look_like() -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(buffer, "JPEG", quality=95)
    red, green, blue = load_image(buffer.getvalue()).getpixel((8, 8))  # type: ignore[misc]
    assert red > 200 > 60 > max(green, blue)
    buffer = io.BytesIO()
    Image.fromarray(np.full((16, 16), 0x8000, np.uint16)).save(buffer, "TIFF")
    assert load_image(buffer.getvalue()).getpixel((8, 8)) == (128, 128, 128)


def test_a_file_that_is_called_a_picture_is_told_by_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(jpeg())
    assert load_image(path).size == (64, 64)
    path.write_bytes(b"MZ\x90\x00 a program")
    with pytest.raises(InvalidImageError, match=r"photo\.png is not a picture"):
        load_image(path)
