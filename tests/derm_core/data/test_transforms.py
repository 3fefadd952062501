"""Preprocessing, by hand arithmetic where that is possible."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from derm_core.data.transforms import Preprocessing, draw_seed
from derm_core.errors import ConfigError
from derm_core.images import load_image

SMALL = Preprocessing(image_size=32, working_side=40)


def textured(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture with structure from coarse to fine, as skin has."""
    random = np.random.default_rng(seed)
    layers = np.zeros((height, width, 3))
    for cells, strength in ((4, 90.0), (12, 40.0), (60, 20.0)):
        noise = random.uniform(0, 255, (cells, cells, 3)).astype(np.uint8)
        layers += strength * np.asarray(Image.fromarray(noise).resize((width, height))) / 255
    return Image.fromarray((layers + 50).clip(0, 255).astype(np.uint8))


def kept_box(preprocessing: Preprocessing, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what the network sees, read off a heatmap of ones."""
    seen = preprocessing.place_heatmap(np.ones((4, 4), np.float32), width, height)
    assert seen.shape == (height, width)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    assert (seen[top:bottom, left:right] == 1).all()
    return left, top, right, bottom


@pytest.mark.parametrize(
    "size", [(600, 450), (450, 600), (200, 150), (4032, 3024), (224, 224), (400, 299), (299, 400), (1, 1)]
)
def test_a_picture_of_4_by_3_or_squarer_is_kept_whole(size: tuple[int, int]) -> None:
    assert kept_box(Preprocessing(), *size) == (0, 0, *size)


@pytest.mark.parametrize(
    ("size", "box"),
    [
        # 100 * 4/3 + 1.5 = 134.8: 134 of 400 columns, 133 cut off on each side.
        ((400, 100), (133, 0, 267, 100)),
        ((100, 400), (0, 133, 100, 267)),
        # 400 * 4/3 + 1.5 = 534.8: a 3:2 picture loses 33 columns on each side.
        ((600, 400), (33, 0, 567, 400)),
    ],
)
def test_a_panorama_is_cut_at_the_centre(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    assert kept_box(Preprocessing(), *size) == box


def test_what_is_cut_off_does_not_reach_the_pixels() -> None:
    panorama = np.full((30, 120, 3), (250, 0, 0), np.uint8)
    # 30 * 4/3 + 1.5 = 41.5: 41 columns from (120 - 41) // 2 on.
    panorama[:, 39:80] = (0, 0, 250)
    assert (SMALL.pixels(Image.fromarray(panorama)) == (0, 0, 250)).all()


def test_the_four_corners_of_a_portrait_stay_in_their_places() -> None:
    picture = np.zeros((80, 60, 3), np.uint8)
    picture[:40, :30], picture[:40, 30:], picture[40:, :30], picture[40:, 30:] = 10, 80, 150, 220
    pixels = SMALL.pixels(Image.fromarray(picture))
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert [int(pixels[r, c, 0]) for r, c in ((2, 2), (2, 29), (29, 2), (29, 29))] == [10, 80, 150, 220]


def test_pixels_are_the_same_each_time_and_leave_the_picture_alone() -> None:
    picture = textured(300, 200)
    before = picture.copy()
    assert np.array_equal(SMALL.pixels(picture), SMALL.pixels(picture))
    assert picture.size == (300, 200)
    assert picture.tobytes() == before.tobytes()


def test_a_small_picture_is_resized_once_only() -> None:
    picture = textured(24, 18)
    once = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(SMALL.pixels(picture), once)


def test_a_picture_of_the_right_size_is_not_resampled() -> None:
    picture = textured(32, 32)
    assert np.array_equal(SMALL.pixels(picture), np.asarray(picture))


def test_a_picture_and_its_antialiased_reduction_show_the_network_the_same() -> None:
    large = textured(600, 450)
    small = large.resize((200, 150), Image.Resampling.BICUBIC)
    plain = Preprocessing(working_quality=0)
    seen_large = plain.pixels(large).astype(float)
    seen_small = plain.pixels(small).astype(float)
    assert np.abs(seen_large - seen_small).max() <= 1
    # Straight to the square, without the reduction to the working side, the fine texture would come through.
    straight = np.asarray(large.resize((192, 192), Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(straight - seen_small).mean() > 3 * np.abs(seen_large - seen_small).mean()


def test_a_photograph_of_twelve_megapixels_is_seen_as_its_small_copy() -> None:
    small = textured(200, 150)
    large = small.resize((4000, 3000), Image.Resampling.BICUBIC)
    plain = Preprocessing(working_quality=0)
    assert np.abs(plain.pixels(large).astype(float) - plain.pixels(small)).mean() < 2


def test_a_reduced_picture_is_compressed_once_and_a_small_one_never() -> None:
    large, small = textured(600, 450), textured(200, 150)
    with_jpeg, without = Preprocessing(working_quality=75), Preprocessing(working_quality=0)
    assert np.array_equal(with_jpeg.pixels(small), without.pixels(small))
    stream = io.BytesIO()
    large.resize((200, 150), Image.Resampling.BICUBIC, reducing_gap=3.0).save(stream, "JPEG", quality=75)
    assert np.array_equal(with_jpeg.pixels(large), without.pixels(Image.open(stream).convert("RGB")))
    assert not np.array_equal(with_jpeg.pixels(large), without.pixels(large))


def test_a_quality_that_no_jpeg_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="working_quality is 96"):
        Preprocessing(working_quality=96)


def test_full_size_photographs_look_like_the_small_ones_that_were_trained_on(test_data: Path) -> None:
    photographs = sorted((test_data / "fullres").glob("*.jpg"))
    assert len(photographs) == 8
    preprocessing = Preprocessing()
    twins: dict[str, bytes] = {}
    for path in (test_data / "ham10000").glob("HAM10000_images_part_*.zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if Path(name).name in {photograph.name for photograph in photographs}:
                    twins[Path(name).name] = archive.read(name)
    for photograph in photographs:
        large = load_image(photograph, min_side=preprocessing.decoding_side)
        small = load_image(io.BytesIO(twins[photograph.name]))
        assert (large.size, small.size) == ((600, 450), (200, 150))
        seen = preprocessing.pixels(small).astype(float)
        difference = preprocessing.pixels(large) - seen
        assert np.abs(difference).mean() < 3, photograph.name
        # The compression of what was trained on is part of how it looks.
        plain = replace(preprocessing, working_quality=0).pixels(large) - seen
        assert np.abs(difference).mean() < np.abs(plain).mean(), photograph.name
        assert abs(difference.mean()) < 1, photograph.name


def test_normalised_values_are_those_of_the_hand() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 1] = (255, 255, 255)
    pixels[1, 0] = (51, 102, 204)
    tensor = SMALL.tensor(pixels)
    assert tensor.shape == (1, 3, 2, 2)
    assert tensor.dtype == torch.float32
    black = [(0 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225]
    white = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    coloured = [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.8 - 0.406) / 0.225]
    for (row, column), values in {(0, 0): black, (0, 1): white, (1, 0): coloured, (1, 1): black}.items():
        assert tensor[0, :, row, column].tolist() == pytest.approx(values, abs=1e-5)


def test_a_batch_is_normalised_as_its_pictures_are() -> None:
    batch = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3), dtype=np.uint8)
    together = SMALL.tensor(torch.from_numpy(batch))
    assert together.shape == (3, 3, 5, 5)
    assert all(torch.equal(together[i], SMALL.tensor(batch[i])[0]) for i in range(3))


def test_samplewise_takes_the_mean_of_each_picture_away_before_the_rest() -> None:
    samplewise = replace(SMALL, mean=(0.0, 0.0, 0.1), std=(1.0, 0.5, 1.0), samplewise=True)
    pixels = np.zeros((2, 1, 2, 3), np.uint8)
    # The first picture has a mean of (6 * 102) / 6 = 102, the second one of (0 + 3 * 51) / 6 = 25.5.
    pixels[0] = 102
    pixels[1, 0, 1] = 51
    tensor = samplewise.tensor(pixels)
    assert tensor[0].flatten().tolist() == pytest.approx([0, 0, 0, 0, -0.1, -0.1], abs=1e-6)
    # -0.1 and 0.1 of 1, halved deviation doubles them, and 0.1 is taken from the last channel.
    assert tensor[1].flatten().tolist() == pytest.approx([-0.1, 0.1, -0.2, 0.2, -0.2, 0.0], abs=1e-6)
    assert torch.equal(tensor[1:], samplewise.tensor(pixels[1]))


@pytest.mark.parametrize("samplewise", [False, True])
def test_an_array_is_the_tensor_without_pytorch(samplewise: bool) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    preprocessing = Preprocessing(image_size=32, samplewise=samplewise)
    found, wanted = preprocessing.array(pixels), preprocessing.tensor(pixels).numpy()
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    if samplewise:
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    else:
        assert np.array_equal(found, wanted)


def test_mean_and_standard_deviation_are_those_of_the_settings() -> None:
    halves = replace(SMALL, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    pixels = np.array([[[0, 255, 51]]], np.uint8)
    assert halves.tensor(pixels).flatten().tolist() == pytest.approx([-1.0, 1.0, -0.6])


@pytest.mark.parametrize("size", [(600, 450), (450, 600), (400, 100), (100, 400), (90, 90), (20, 10)])
def test_the_peak_of_a_heatmap_lands_where_it_is_in_the_picture(size: tuple[int, int]) -> None:
    left, top, right, bottom = kept_box(Preprocessing(), *size)
    heatmap = np.zeros((8, 8), np.float32)
    heatmap[2, 5] = 1
    placed = Preprocessing().place_heatmap(heatmap, *size)
    assert placed.dtype == np.float32
    assert placed.shape == (size[1], size[0])
    # Cell (2, 5) of an 8 x 8 map has its middle at 2.5 / 8 of the height and 5.5 / 8 of the width.
    weights = placed / placed.sum()
    row = float((weights.sum(axis=1) * (np.arange(size[1]) + 0.5)).sum())
    column = float((weights.sum(axis=0) * (np.arange(size[0]) + 0.5)).sum())
    assert row == pytest.approx(top + 2.5 / 8 * (bottom - top), abs=0.5)
    assert column == pytest.approx(left + 5.5 / 8 * (right - left), abs=0.5)
    outside = placed.copy()
    outside[top:bottom, left:right] = 0
    assert not outside.any()


@pytest.mark.parametrize("size", [(600, 450), (300, 400), (500, 150), (150, 480)])
def test_a_spot_in_the_pixels_comes_back_over_the_spot_in_the_picture(size: tuple[int, int]) -> None:
    left, top, right, bottom = kept_box(Preprocessing(), *size)
    x, y = left + 0.7 * (right - left), top + 0.25 * (bottom - top)
    rows, columns = np.mgrid[: size[1], : size[0]]
    spot = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 12.0**2))
    picture = Image.fromarray(np.repeat((255 * spot).astype(np.uint8)[..., None], 3, axis=2))
    seen = Preprocessing().pixels(picture)[..., 0].astype(np.float32) / 255
    placed = Preprocessing().place_heatmap(seen, *size)
    found_y, found_x = np.unravel_index(placed.argmax(), placed.shape)
    assert abs(found_x - x) < 6
    assert abs(found_y - y) < 6


def test_a_heatmap_grows_as_pillow_lets_it_grow() -> None:
    drawn = np.random.default_rng(5)
    for height, width, size in ((6, 6, (600, 450)), (7, 4, (33, 25)), (20, 20, (8, 6)), (1, 1, (4, 3))):
        heatmap = drawn.random((height, width), dtype=np.float32)
        expected = Image.fromarray(heatmap).resize(size, Image.Resampling.BILINEAR)
        assert np.abs(SMALL.place_heatmap(heatmap, *size) - np.asarray(expected)).max() < 1e-6


def test_a_placed_heatmap_stays_between_0_and_1() -> None:
    heatmap = np.random.default_rng(0).uniform(-0.5, 1.5, (7, 7)).astype(np.float32)
    placed = SMALL.place_heatmap(heatmap, 90, 60)
    assert placed.min() == 0
    assert placed.max() == 1


@pytest.mark.parametrize("size", [(600, 450), (512, 512), (7, 7), (500, 150), (150, 480)])
def test_a_heatmap_is_placed_as_into_an_empty_picture(size: tuple[int, int]) -> None:
    heatmap = np.random.default_rng(1).uniform(-0.5, 1.5, (7, 7)).astype(np.float32)
    left, top, right, bottom = kept_box(Preprocessing(), *size)
    empty = np.zeros(size[::-1], dtype=np.float32)
    grown = Image.fromarray(heatmap).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    empty[top:bottom, left:right] = np.asarray(grown)
    assert np.abs(Preprocessing().place_heatmap(heatmap, *size) - empty.clip(0.0, 1.0)).max() < 1e-6


def test_preprocessing_survives_being_written_down() -> None:
    odd = Preprocessing(
        image_size=96,
        working_side=120,
        max_aspect=1.5,
        mean=(0.1, 0.2, 0.3),
        std=(1.0, 2.0, 3.0),
        samplewise=True,
    )
    values = odd.to_dict()
    assert values["mean"] == [0.1, 0.2, 0.3]
    assert Preprocessing.from_dict(values) == odd


def test_preprocessing_with_a_missing_or_unknown_key_is_refused() -> None:
    values = Preprocessing().to_dict()
    del values["std"]
    with pytest.raises(ConfigError, match=r"differ: std\."):
        Preprocessing.from_dict(values)
    with pytest.raises(ConfigError, match=r"differ: gamma\."):
        Preprocessing.from_dict({**Preprocessing().to_dict(), "gamma": 2.2})


@pytest.mark.parametrize("wrong", [{"image_size": 8}, {"working_side": 0}, {"max_aspect": 0.75}])
def test_impossible_preprocessing_is_refused_with_its_value(wrong: dict[str, float]) -> None:
    ((key, value),) = wrong.items()
    with pytest.raises(ConfigError, match=rf"{key}.*{value}"):
        Preprocessing(**wrong)  # type: ignore[arg-type]


def test_a_decoder_may_not_shrink_below_twice_the_working_side() -> None:
    assert Preprocessing(working_side=200).decoding_side == 400


def test_a_seed_depends_on_every_part_and_is_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(b"7,1,42").digest()
    assert draw_seed(7, 1, 42) == int.from_bytes(digest[:8], "little") >> 1
    assert len({draw_seed(a, b, c) for a in range(5) for b in range(5) for c in range(5)}) == 125
    assert draw_seed(1, 23) != draw_seed(12, 3)
    assert 0 <= draw_seed(0) < 2**63
