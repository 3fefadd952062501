"""The door for pixels: what comes in upright and RGB, and what is turned away with one clear sentence."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from derm_core.errors import InvalidImageError
from derm_core.images import FORMATS, load_image

WIDTH, HEIGHT = 48, 32


@pytest.fixture
def picture() -> Image.Image:
    """RGB, 48 x 32, smooth, and different in each corner: it shows any turn or flip."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([columns * 5, rows * 7, (rows + columns) * 2], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels)


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png_header_of(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(b"\x00")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", FORMATS)
def test_every_accepted_format_comes_back_as_rgb_of_the_same_size(picture: Image.Image, format: str) -> None:
    image = load_image(encode(picture, format))
    assert (image.mode, image.size) == ("RGB", (WIDTH, HEIGHT))
    assert np.abs(np.asarray(image).astype(int) - np.asarray(picture).astype(int)).mean() < 4


def test_a_path_its_bytes_and_an_open_file_give_the_same_pixels(picture: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "lesion.png"
    path.write_bytes(encode(picture, "PNG"))
    with path.open("rb") as stream:
        stream.read(10)
        images = [load_image(path), load_image(str(path)), load_image(path.read_bytes()), load_image(stream)]
        assert not stream.closed
    for image in images:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(picture))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(picture: Image.Image, format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = encode(picture, format, exif=exif, **({"quality": 95} if format in ("JPEG", "WEBP") else {}))
    with Image.open(io.BytesIO(content)) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    image = load_image(content)
    assert image.size == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(upright))


def test_a_phone_picture_turned_by_90_degrees_stands_upright(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = load_image(encode(picture, "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(image), np.rot90(np.asarray(picture), -1))


def test_damaged_exif_does_not_cost_the_pixels(picture: Image.Image) -> None:
    # A resolution that is written as text: Pillow reads the orientation, but cannot write this EXIF again.
    orientation = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    resolution = b"\x01\x1a\x00\x02\x00\x00\x00\x04abc\x00"
    broken = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x02" + orientation + resolution + b"\x00\x00\x00\x00"
    image = load_image(encode(picture, "JPEG", exif=broken))
    assert (image.mode, image.size) == ("RGB", (HEIGHT, WIDTH))


def test_metadata_is_gone(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera of a patient"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    image = load_image(encode(picture, "JPEG", exif=exif, comment=b"a name", icc_profile=b"profile"))
    assert image.info == {}
    assert not image.getexif()
    saved = encode(image, "JPEG")
    assert b"patient" not in saved
    assert b"a name" not in saved
    with Image.open(io.BytesIO(saved)) as again:
        assert "exif" not in again.info


def test_transparency_lies_on_white(picture: Image.Image) -> None:
    pixels = np.asarray(picture)
    alpha = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    alpha[:, : WIDTH // 2] = 255
    image = np.asarray(load_image(encode(Image.fromarray(np.dstack([pixels, alpha])), "PNG")))
    np.testing.assert_array_equal(image[:, : WIDTH // 2], pixels[:, : WIDTH // 2])
    assert (image[:, WIDTH // 2 :] == 255).all()


def test_a_palette_with_transparency_lies_on_white() -> None:
    palette = Image.new("P", (4, 2), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.putpixel((0, 0), 0)
    image = load_image(encode(palette, "PNG", transparency=0))
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((1, 1)) == (10, 20, 30)


def test_grey_with_alpha_lies_on_white() -> None:
    image = load_image(encode(Image.new("LA", (3, 3), (0, 128)), "PNG"))
    red, green, blue = image.getpixel((1, 1))
    assert red == green == blue
    assert abs(red - 127) <= 1


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_greys_keep_their_shades(format: str) -> None:
    greys = (np.arange(WIDTH, dtype=np.uint16) * 1300)[None].repeat(HEIGHT, axis=0)
    image = np.asarray(load_image(encode(Image.fromarray(greys), format)))
    np.testing.assert_array_equal(image, np.repeat((greys >> 8).astype(np.uint8)[..., None], 3, axis=2))


def test_cmyk_becomes_rgb() -> None:
    image = load_image(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    red, green, blue = image.getpixel((8, 8))
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_pictures_without_three_channels_become_rgb(picture: Image.Image, mode: str) -> None:
    assert load_image(encode(picture.convert(mode), "PNG")).mode == "RGB"


def test_of_several_frames_the_first_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for format, options in (("TIFF", {}), ("WEBP", {"lossless": True})):
        image = load_image(encode(frames[0], format, save_all=True, append_images=frames[1:], **options))
        assert image.getpixel((4, 4)) == (255, 0, 0)


def test_text_named_jpg_is_refused_with_its_name_and_what_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("not a picture")
    with pytest.raises(InvalidImageError, match=r"notes\.jpg is not a picture .*13 bytes.*JPEG, PNG"):
        load_image(path)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "A picture was given as NoneType. Wanted: a path, bytes or an open binary file."),
        (5, "A picture was given as int. Wanted: a path, bytes or an open binary file."),
        ("", "'' does not exist. Check the path."),
    ],
)
def test_what_names_no_picture_is_refused_in_a_sentence(source: Any, sentence: str) -> None:
    with pytest.raises(InvalidImageError) as refusal:
        load_image(source)
    assert str(refusal.value) == sentence


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(InvalidImageError, match=r"empty\.jpg is not a picture .*0 bytes"):
        load_image(path)
    with pytest.raises(InvalidImageError, match=r"^The file is not a picture .*0 bytes"):
        load_image(b"")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_a_picture_cut_short_is_refused(picture: Image.Image, format: str, tmp_path: Path) -> None:
    content = encode(picture.resize((480, 320)), format)
    path = tmp_path / "half.jpg"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidImageError, match=r"half\.jpg"):
        load_image(path)


@pytest.mark.parametrize("format", ["GIF", "PPM", "ICO"])
def test_other_formats_are_refused_whatever_they_are_called(
    picture: Image.Image, format: str, tmp_path: Path
) -> None:
    path = tmp_path / "lesion.jpg"
    path.write_bytes(encode(picture, format))
    with pytest.raises(InvalidImageError, match="Wanted: JPEG, PNG, WebP, TIFF, BMP or HEIC"):
        load_image(path)


def test_too_many_pixels_are_refused_from_the_header_alone() -> None:
    with pytest.raises(InvalidImageError, match=r"9000 x 8000 pixels \(72 megapixels\); at most 64"):
        load_image(png_header_of(9000, 8000))


def test_absurdly_many_pixels_are_refused_as_too_many_and_not_as_damaged() -> None:
    with pytest.raises(InvalidImageError, match="too many pixels; at most 64 megapixels"):
        load_image(png_header_of(100_000, 100_000))


def test_the_limit_of_pixels_can_be_lowered(picture: Image.Image) -> None:
    content = encode(picture, "PNG")
    assert load_image(content, max_pixels=WIDTH * HEIGHT).size == (WIDTH, HEIGHT)
    with pytest.raises(InvalidImageError, match="Save a smaller copy"):
        load_image(content, max_pixels=WIDTH * HEIGHT - 1)


@pytest.mark.parametrize("size", [(1600, 1200), (1203, 1599), (640, 480), (200, 150)])
@pytest.mark.parametrize("min_side", [128, 150, 256, 1000])
def test_a_draft_never_falls_below_the_side_that_must_remain(
    picture: Image.Image, size: tuple[int, int], min_side: int
) -> None:
    content = encode(picture.resize(size), "JPEG")
    draft, whole = load_image(content, min_side=min_side), load_image(content)
    assert whole.size == size
    assert min(draft.size) >= min(min_side, min(size))
    assert draft.width / draft.height == pytest.approx(size[0] / size[1], rel=0.01)


def test_a_draft_of_a_large_jpeg_is_smaller_and_looks_the_same(picture: Image.Image) -> None:
    content = encode(picture.resize((1920, 1280), Image.Resampling.BICUBIC), "JPEG", quality=95)
    draft = load_image(content, min_side=150)
    assert draft.size == (240, 160)
    whole = load_image(content).resize(draft.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(draft).astype(int) - np.asarray(whole).astype(int)).max() <= 8


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidImageError, match=r"absent\.jpg does not exist"):
        load_image(tmp_path / "absent.jpg")


def test_a_folder_is_refused_as_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidImageError, match="is a folder"):
        load_image(tmp_path)


def test_no_damage_to_a_file_brings_another_error_than_the_one_for_pictures(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    random = np.random.default_rng(0)
    for content in (encode(picture, format, exif=exif) for format in ("JPEG", "PNG", "WEBP", "TIFF")):
        for _ in range(150):
            damaged = np.frombuffer(content, dtype=np.uint8).copy()
            places = random.integers(0, min(len(damaged), 300), size=int(random.integers(1, 8)))
            damaged[places] = random.integers(0, 256, size=len(places))
            with contextlib.suppress(InvalidImageError):
                assert load_image(damaged.tobytes()).mode == "RGB"


def test_threads_leave_the_warning_filters_as_they_were(picture: Image.Image) -> None:
    content = encode(picture.resize((300, 200)), "JPEG")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [load_image(content) for _ in range(30)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
