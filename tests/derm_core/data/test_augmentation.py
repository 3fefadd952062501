"""Augmentation: what each setting does to a picture, and what mixes a batch."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from derm_core.data.augmentation import Augmentation
from tests.derm_core.data.test_transforms import textured


def augmented(augmentation: Augmentation, picture: torch.Tensor, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return augmentation.build()(picture)


STRENGTHS = {
    "flips": True,
    "rotation": 30.0,
    "shift": 0.2,
    "zoom": 0.3,
    "shear": 20.0,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.6,
    "hue": 0.2,
    "erasing": 1.0,
    "randaugment": 10,
}


@pytest.mark.parametrize("name", STRENGTHS)
def test_each_augmentation_changes_the_pixels_and_keeps_their_shape(name: str) -> None:
    augmentation = Augmentation(**{name: STRENGTHS[name]})  # type: ignore[arg-type]
    assert augmentation.active
    picture = torch.from_numpy(np.array(textured(32, 32))).permute(2, 0, 1)
    before = picture.clone()
    results = [augmented(augmentation, picture, seed) for seed in range(8)]
    assert all(result.shape == picture.shape and result.dtype == torch.uint8 for result in results)
    assert any(not torch.equal(result, picture) for result in results)
    assert len({result.contiguous().numpy().tobytes() for result in results}) > 3
    assert torch.equal(picture, before)


@pytest.mark.parametrize(("name", "mixes_shape"), [("mixup", False), ("cutmix", True)])
def test_mixing_blends_pictures_and_labels_alike(name: str, mixes_shape: bool) -> None:
    images = torch.stack([torch.full((3, 8, 8), float(value)) for value in range(4)])
    labels = torch.tensor([0, 1, 2, 3])
    mix = Augmentation(**{name: 1.0}).build_mixing(4)  # type: ignore[arg-type]
    assert mix is not None
    torch.manual_seed(1)
    mixed, shares = mix(images, labels)
    assert shares.shape == (4, 4)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))
    assert 0 < float(shares[1, 1]) < 1
    # The pictures are constant, so a picture's mean is the mean of its labels.
    torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), shares @ torch.arange(4.0))
    assert (mixed[1].unique().numel() == 2) is mixes_shape


def test_where_both_are_asked_for_each_batch_is_mixed_in_one_of_the_two_ways() -> None:
    images = torch.stack([torch.full((3, 8, 8), float(value)) for value in range(4)])
    mix = Augmentation(mixup=1.0, cutmix=1.0).build_mixing(4)
    assert mix is not None
    # A blended constant picture has one value, one with a patch of another has two.
    found = set()
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, shares = mix(images, torch.arange(4))
        if 0.2 < float(shares[1, 1]) < 0.8:
            found.add(mixed[1].unique().numel())
    assert found == {1, 2}


def test_nothing_is_mixed_unless_asked_for() -> None:
    assert Augmentation(flips=True).build_mixing(4) is None


def test_every_augmentation_has_a_test() -> None:
    assert set(STRENGTHS) | {"mixup", "cutmix"} == set(asdict(Augmentation()))


def test_augmentation_that_is_switched_off_changes_nothing() -> None:
    picture = torch.from_numpy(np.array(textured(16, 16))).permute(2, 0, 1)
    assert not Augmentation().active
    assert torch.equal(augmented(Augmentation(), picture, 3), picture)


def test_flips_reach_the_eight_symmetries_of_the_square_alike() -> None:
    square = np.arange(9, dtype=np.uint8).reshape(3, 3)
    symmetries = [np.rot90(side, turn) for side in (square, square.T) for turn in range(4)]
    picture = torch.from_numpy(np.stack([square] * 3))
    transform = Augmentation(flips=True).build()
    torch.manual_seed(0)
    counts = [0] * 8
    for _ in range(800):
        result = transform(picture).numpy()
        (which,) = [
            number for number, symmetry in enumerate(symmetries) if np.array_equal(result[0], symmetry)
        ]
        counts[which] += 1
    # 100 are expected of each; five standard deviations (9.4) are allowed.
    assert all(53 <= count <= 147 for count in counts), counts


def test_erasing_blanks_one_patch_with_the_mean_colour_and_leaves_the_rest() -> None:
    picture = torch.zeros(3, 32, 32, dtype=torch.uint8)
    result = augmented(Augmentation(erasing=1.0), picture, 0)
    blanked = (result != 0).any(dim=0)
    # 0.485, 0.456 and 0.406 of 255.
    assert result[:, blanked].unique(dim=1).flatten().tolist() == [124, 116, 104]
    assert 0.01 <= blanked.float().mean() <= 0.22
    rows, columns = blanked.any(dim=1).sum(), blanked.any(dim=0).sum()
    assert rows * columns == blanked.sum()


def test_what_a_rotation_leaves_empty_is_filled_with_the_mean_colour() -> None:
    picture = torch.full((3, 32, 32), 255, dtype=torch.uint8)
    corners = {tuple(augmented(Augmentation(rotation=45.0), picture, s)[:, 0, 0].tolist()) for s in range(20)}
    assert (124, 116, 104) in corners
    # torchvision blends the edge with black; a corner of plain black would mean that nothing was filled.
    assert min(min(corner) for corner in corners) > 60


def test_brightness_stays_within_its_share() -> None:
    picture = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    values = {int(augmented(Augmentation(brightness=0.2), picture, seed)[0, 0, 0]) for seed in range(50)}
    assert min(values) >= 80
    assert max(values) <= 120
    assert max(values) - min(values) > 20


@pytest.mark.parametrize("magnitude", [1, 30])
def test_randaugment_takes_every_magnitude_and_fills_with_the_mean_colour(magnitude: int) -> None:
    augmentation = Augmentation(randaugment=magnitude)
    picture = torch.from_numpy(np.array(textured(24, 24))).permute(2, 0, 1)
    for seed in range(30):
        result = augmented(augmentation, picture, seed)
        assert (result.shape, result.dtype) == (picture.shape, torch.uint8)
        assert torch.equal(result, augmented(augmentation, picture, seed))
    white = torch.full((3, 24, 24), 255, dtype=torch.uint8)
    filled = torch.tensor([124, 116, 104], dtype=torch.uint8).view(3, 1, 1)
    seen = [(augmented(augmentation, white, seed) == filled).all(dim=0).any() for seed in range(40)]
    # A shift of 1 of 30 moves less than a pixel of 24 away.
    assert any(seen) is (magnitude == 30)
