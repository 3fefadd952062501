"""What is refused an answer for its quality, and what is not."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from derm_core.errors import ConfigError
from derm_core.images import load_image
from derm_core.serving.quality import QualityLimits, check_quality

from .conftest import draw_lesion


def names(image: Image.Image, **options: object) -> list[str]:
    return [flag.name for flag in check_quality(image, **options)]  # type: ignore[arg-type]


def flat(
    colour: tuple[int, int, int], *, noise: float = 0, size: tuple[int, int] = (300, 200)
) -> Image.Image:
    pixels = np.full((size[1], size[0], 3), colour, float)
    pixels += np.random.default_rng(0).normal(0, noise, pixels.shape) if noise else 0
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def test_a_picture_of_a_lesion_has_no_flags() -> None:
    assert check_quality(draw_lesion((200, 150))) == ()


@pytest.mark.parametrize("size", [(99, 300), (300, 99), (1, 1)])
def test_a_picture_with_a_short_side_under_100_pixels_is_too_small(size: tuple[int, int]) -> None:
    assert "too-small" in names(draw_lesion((200, 150)).resize(size))


def test_a_short_side_of_100_pixels_is_enough() -> None:
    assert names(draw_lesion((100, 100))) == []


def test_the_size_of_the_picture_counts_not_that_of_its_reduced_version() -> None:
    image = draw_lesion((90, 90))
    assert names(image, size=(720, 720)) == []
    assert names(draw_lesion((300, 300)), size=(80, 80)) == ["too-small"]


@pytest.mark.parametrize("noise", [0, 20])
def test_an_almost_black_picture_is_too_dark(noise: float) -> None:
    assert names(flat((15, 10, 10), noise=noise)) == ["too-dark"]


@pytest.mark.parametrize("noise", [0, 5])
def test_an_almost_white_picture_is_too_bright(noise: float) -> None:
    assert names(flat((255, 254, 252), noise=noise)) == ["too-bright"]


@pytest.mark.parametrize("noise", [0, 15])
@pytest.mark.parametrize("colour", [(200, 160, 140), (128, 128, 128), (70, 40, 30)])
def test_a_picture_of_one_colour_shows_nothing_even_with_noise(
    colour: tuple[int, int, int], noise: float
) -> None:
    expected = "too-dark" if max(colour) < 80 else "uniform"
    assert names(flat(colour, noise=noise)) == [expected]


def test_a_lesion_of_a_tenth_of_the_width_can_be_seen() -> None:
    pixels = np.full((300, 400, 3), (210, 170, 150), np.uint8)
    pixels[130:170, 180:220] = (120, 70, 60)
    assert names(Image.fromarray(pixels)) == []


def test_a_lesion_that_differs_in_colour_alone_can_be_seen() -> None:
    pixels = np.full((200, 300, 3), (200, 120, 120), np.uint8)
    pixels[60:140, 100:200] = (160, 140, 120)  # Close to the ground in luma, far from it in red.
    assert names(Image.fromarray(pixels)) == []


def test_dark_corners_of_a_dermatoscope_do_not_count() -> None:
    image = np.asarray(draw_lesion((400, 300))).copy()
    rows, columns = np.mgrid[:300, :400]
    image[np.hypot(rows - 150, columns - 200) > 140] = 0
    assert names(Image.fromarray(image)) == []


@pytest.mark.parametrize("size", [(200, 150), (1600, 1200)])
def test_a_picture_out_of_focus_is_blurred_at_any_size(size: tuple[int, int]) -> None:
    image = draw_lesion(size)
    assert names(image) == []
    assert names(image.filter(ImageFilter.GaussianBlur(4 * size[0] / 200))) == ["blurred"]


def test_contrast_does_not_count_as_sharpness() -> None:
    image = draw_lesion((200, 150))
    assert names(ImageEnhance.Contrast(image).enhance(0.3)) == []
    assert names(ImageEnhance.Contrast(image.filter(ImageFilter.GaussianBlur(4))).enhance(1.3)) == ["blurred"]


@pytest.mark.parametrize(("level", "name"), [(255, "overexposed"), (0, "underexposed")])
def test_a_picture_that_has_lost_a_part_to_white_or_black_is_refused(level: int, name: str) -> None:
    image = np.asarray(draw_lesion((200, 150))).copy()
    image[50:100, 60:140] = level
    assert names(Image.fromarray(image)) == [name]
    image = np.asarray(draw_lesion((200, 150))).copy()
    image[70:74, 90:110] = level
    assert names(Image.fromarray(image)) == []


def test_blue_marks_beside_a_lesion_are_noted_and_a_blue_lesion_is_not() -> None:
    image = np.asarray(draw_lesion((200, 150))).copy()
    marked, blue = image.copy(), image.copy()
    marked[:, :12] = (40, 60, 200)
    blue[60:90, 80:120] = (40, 60, 200)
    (flag,) = check_quality(Image.fromarray(marked))
    assert (flag.name, flag.severity) == ("ink", "note")
    assert names(Image.fromarray(blue)) == []


@pytest.mark.parametrize(
    "light", [(1.0, 1.0, 1.0), (1.0, 1.0, 0.95), (0.95, 1.0, 1.0)], ids=["white", "warm", "cold"]
)
def test_a_violet_pen_is_told_from_the_skin_in_any_light(light: tuple[float, float, float]) -> None:
    image = np.asarray(draw_lesion((200, 150))).copy()
    image[10:16, 20:90] = image[10:16, 20:90] * 0.2 + np.array([90, 40, 160]) * 0.8
    lit = (image * np.array(light)).clip(0, 255).astype(np.uint8)
    assert names(Image.fromarray(lit)) == ["ink"]


def test_a_scale_beside_the_lesion_is_noted() -> None:
    image = draw_lesion((200, 150))
    pen = ImageDraw.Draw(image)
    pen.line((60, 138, 126, 138), fill=(50, 40, 40))
    for x in range(60, 127, 6):
        pen.line((x, 133, x, 138), fill=(50, 40, 40))
    (flag,) = check_quality(image)
    assert (flag.name, flag.severity) == ("ruler", "note")


@pytest.mark.parametrize("ground", ["white", "chequered"])
def test_a_thing_cut_out_on_white_is_refused(ground: str) -> None:
    lesion = np.asarray(draw_lesion((200, 150)))
    rows, columns = np.mgrid[:150, :200]
    image = np.full((150, 200, 3), 255, np.uint8)
    if ground == "chequered":
        image[(rows // 10 + columns // 10) % 2 == 1] = 240
    thing = np.hypot((rows - 75) / 70, (columns - 100) / 95) < 1
    image[thing] = lesion[thing]
    assert names(Image.fromarray(image)) == ["white-ground"]


def test_a_picture_without_colour_is_refused_however_it_was_saved() -> None:
    grey = draw_lesion((400, 300)).convert("L")
    saved = io.BytesIO()
    grey.convert("RGB").save(saved, "JPEG", quality=60)
    for image in (grey.convert("RGB"), load_image(saved.getvalue())):
        assert names(image) == ["no-colour"]
    pale = ImageEnhance.Color(draw_lesion((400, 300))).enhance(0.4)
    assert names(pale) == []


def test_a_reflection_at_an_edge_is_no_white_ground() -> None:
    image = np.asarray(draw_lesion((200, 150))).copy()
    image[:5, :100] = 255
    assert names(Image.fromarray(image)) == []


def test_every_reason_is_one_sentence_that_says_what_to_do() -> None:
    flags = [
        *check_quality(flat((0, 0, 0), size=(50, 60))),
        *check_quality(flat((255, 255, 255))),
        *check_quality(flat((150, 150, 150))),
    ]
    assert {flag.name for flag in flags} == {"too-small", "too-dark", "too-bright", "uniform"}
    for flag in flags:
        assert flag.reason.endswith(".")
        assert flag.reason.count(".") == 1
        assert "take" in flag.reason
    assert "60 × 50" not in flags[0].reason
    assert "50 × 60" in flags[0].reason


def test_limits_can_be_moved() -> None:
    image = draw_lesion((200, 150))
    assert names(image, limits=QualityLimits(min_side=151)) == ["too-small"]
    assert names(image, limits=QualityLimits(darkest=255)) == ["too-dark"]
    assert names(image, limits=QualityLimits(least_spread=255)) == ["uniform"]


def test_limits_survive_the_trip_through_plain_values() -> None:
    limits = replace(QualityLimits(), darkest=33.5)
    assert QualityLimits.from_dict(limits.to_dict()) == limits


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"min_side": 100},
        QualityLimits().to_dict() | {"darkest": "60"},
        QualityLimits().to_dict() | {"x": 1},
    ],
)
def test_limits_of_another_shape_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"[Qq]uality limit"):
        QualityLimits.from_dict(wrong)


def test_under_half_a_percent_of_real_pictures_is_refused_and_few_have_notes(test_data: Path) -> None:
    refused = noted = checked = 0
    for archive in sorted((test_data / "ham10000").glob("HAM10000_images_part_*.zip")):
        with zipfile.ZipFile(archive) as opened:
            for name in sorted(name for name in opened.namelist() if name.endswith(".jpg"))[::8]:
                flags = check_quality(load_image(opened.read(name)))
                checked += 1
                refused += any(flag.severity == "refuse" for flag in flags)
                noted += any(flag.severity == "note" for flag in flags)
    assert checked > 900
    assert refused / checked < 0.005
    assert noted / checked < 0.03


def test_no_photograph_of_full_size_is_flagged(test_data: Path) -> None:
    for path in sorted((test_data / "fullres").glob("*.jpg")):
        assert check_quality(load_image(path)) == ()
