"""What a reference is fitted on beside photographs: bare skin, other views, and drawn pictures of anything else."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from derm_core.experiments.other_pictures import SIZE, coloured_noise, draw_other_picture
from derm_core.experiments.plain_skin import cut_skin, otsu, skin_window
from derm_core.experiments.retaken import retaken

SKIN, SPOT = (215, 170, 155), (80, 50, 45)


def photograph(*, size: tuple[int, int] = (200, 150), reach: float = 0.25) -> Image.Image:
    """A dark round spot in the middle of skin."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    spot = np.hypot(rows - size[1] / 2, columns - size[0] / 2) < reach * size[1]
    noise = np.random.default_rng(0).normal(0, 2, (size[1], size[0], 3))
    pixels = np.where(spot[..., None], SPOT, SKIN) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def test_otsu_parts_two_levels_and_says_how_well() -> None:
    threshold, apart = otsu(np.array([10, 10, 12, 200, 202], np.uint8))
    assert 12 <= threshold < 200
    assert apart > 0.99
    assert otsu(np.full(9, 7, np.uint8))[1] == 0.0
    assert otsu(np.arange(256, dtype=np.uint8))[1] == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("size", [(200, 150), (1200, 900)])
def test_a_window_of_skin_leaves_the_lesion_out(size: tuple[int, int]) -> None:
    image, generator = photograph(size=size, reach=0.15), np.random.default_rng(1)
    windows = [skin_window(image, generator) for _ in range(20)]
    found = [window for window in windows if window is not None]
    assert len(found) >= 15
    assert len(set(found)) > 5
    for window in found:
        # A window may touch the rim by a part of a pixel of the reduced picture that it was found in.
        assert (np.asarray(image.crop(window)).min(axis=2) < 120).mean() < 0.001
        assert (window[2] - window[0]) / size[0] >= 0.24


def test_bare_skin_has_the_size_of_its_photograph() -> None:
    generator = np.random.default_rng(2)
    for _ in range(8):
        skin = cut_skin(photograph(reach=0.12), generator)
        assert skin is not None
        assert skin.size == (200, 150)
        assert np.asarray(skin).min() > 120


def test_no_skin_is_cut_where_lesion_and_skin_cannot_be_told_apart() -> None:
    flat = Image.fromarray(np.random.default_rng(0).normal(170, 3, (150, 200, 3)).astype(np.uint8))
    assert cut_skin(flat, np.random.default_rng(0)) is None
    assert cut_skin(photograph(reach=2.0), np.random.default_rng(0)) is None


def test_another_view_keeps_the_size_and_the_lesion() -> None:
    image, generator = photograph(), np.random.default_rng(3)
    views = [np.asarray(retaken(image, generator), dtype=float) for _ in range(10)]
    for view in views:
        assert view.shape == (150, 200, 3)
        middle, rim = view[70:80, 95:105].mean(), view[:8].mean()
        assert middle < rim - 30
    assert len({round(view.mean(), 3) for view in views}) == 10


def test_drawn_pictures_differ_and_can_be_drawn_again() -> None:
    colours = np.array([SKIN, SPOT], np.uint8)

    def draw(seed: int) -> list[bytes]:
        generator = np.random.default_rng(seed)
        return [draw_other_picture(generator, colours).tobytes() for _ in range(12)]

    first = draw(0)
    assert draw(0) == first
    assert len(set(first) | set(draw(1))) == 24
    picture = draw_other_picture(np.random.default_rng(0), colours)
    assert (picture.size, picture.mode) == (SIZE, "RGB")


def test_coloured_noise_is_smoother_for_a_larger_exponent() -> None:
    rough, smooth = (coloured_noise(np.random.default_rng(0), exponent) for exponent in (0.3, 2.0))
    for values in (rough, smooth):
        assert values.shape == (SIZE[1], SIZE[0])
        assert (values.min(), values.max()) == (0.0, 1.0)
    assert np.abs(np.diff(smooth)).mean() < 0.2 * np.abs(np.diff(rough)).mean()
