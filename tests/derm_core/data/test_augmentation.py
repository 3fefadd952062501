"""Augmentation: what is switched on by what, RandAugment of one picture, and what mixes a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from derm_core.data.augmentation import Augmentation
from tests.derm_core.data.test_transforms import textured


def augmented(magnitude: int, picture: torch.Tensor, seed: int) -> torch.Tensor:
    transform = Augmentation(randaugment=magnitude).build_randaugment()
    assert transform is not None
    torch.manual_seed(seed)
    changed: torch.Tensor = transform(picture)
    return changed


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


def test_randaugment_is_off_unless_asked_for() -> None:
    assert Augmentation(flips=True).build_randaugment() is None


@pytest.mark.parametrize("magnitude", [1, 30])
def test_randaugment_takes_every_magnitude_and_fills_with_the_mean_colour(magnitude: int) -> None:
    picture = torch.from_numpy(np.array(textured(24, 24))).permute(2, 0, 1)
    for seed in range(30):
        result = augmented(magnitude, picture, seed)
        assert (result.shape, result.dtype) == (picture.shape, torch.uint8)
        assert torch.equal(result, augmented(magnitude, picture, seed))
    white = torch.full((3, 24, 24), 255, dtype=torch.uint8)
    filled = torch.tensor([124, 116, 104], dtype=torch.uint8).view(3, 1, 1)
    seen = [(augmented(magnitude, white, seed) == filled).all(dim=0).any() for seed in range(40)]
    # A shift of 1 of 30 moves less than a pixel of 24 away.
    assert any(seen) is (magnitude == 30)
