"""Changes to whole batches: what each setting does to a picture, beside torchvision's own and beside the eye's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from derm_core.data.augmentation import Augmentation
from derm_core.data.batch_augmentation import BatchAugmentation, draw_numbers
from tests.derm_core.data.test_transforms import textured

FILLED = [124.0, 116.0, 104.0]  # 0.485, 0.456 and 0.406 of 255.


def textured_batch(count: int, side: int = 32) -> Tensor:
    picture = torch.from_numpy(np.array(textured(side, side))).permute(2, 0, 1)
    return picture.expand(count, -1, -1, -1)


def drawn(count: int) -> Tensor:
    return torch.stack([draw_numbers(0, index) for index in range(count)])


def changed(pictures: Tensor, **settings: float) -> Tensor:
    return BatchAugmentation(Augmentation(**settings))(pictures, drawn(len(pictures)))  # type: ignore[arg-type]


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
}


def test_every_setting_is_tested() -> None:
    assert set(STRENGTHS) | {"mixup", "cutmix", "randaugment"} == set(asdict(Augmentation()))


@pytest.mark.parametrize("name", STRENGTHS)
def test_each_setting_changes_each_picture_in_its_own_way_and_leaves_what_it_was_given(name: str) -> None:
    pictures = textured_batch(8)
    before, numbers = pictures.clone(), drawn(8)
    change = BatchAugmentation(Augmentation(**{name: STRENGTHS[name]}))  # type: ignore[arg-type]
    assert change.active
    results = change(pictures, numbers)
    assert (results.shape, results.dtype) == (pictures.shape, torch.float32)
    assert results.min() >= 0
    assert results.max() <= 255
    assert len({result.contiguous().numpy().tobytes() for result in results}) > 3
    assert torch.equal(pictures, before)
    assert torch.equal(numbers, drawn(8))


def test_a_picture_is_changed_alike_in_any_batch() -> None:
    change = BatchAugmentation(Augmentation(**STRENGTHS))  # type: ignore[arg-type]
    pictures, numbers = textured_batch(6, 24), drawn(6)
    together = change(pictures, numbers)
    for index in range(6):
        torch.testing.assert_close(
            change(pictures[index : index + 1], numbers[index : index + 1])[0], together[index]
        )


def test_nothing_is_computed_elsewhere_than_where_the_pictures_are() -> None:
    # PyTorch's meta device stands for a GPU: it computes nothing, and refuses tensors of the CPU beside its own.
    change = BatchAugmentation(Augmentation(**STRENGTHS))  # type: ignore[arg-type]
    result = change(textured_batch(4).to("meta"), drawn(4).to("meta"))
    assert (result.device.type, result.shape) == ("meta", (4, 3, 32, 32))
    with pytest.raises(RuntimeError, match="device"):
        change(textured_batch(4).to("meta"), drawn(4))


def test_what_is_switched_off_is_not_active_and_changes_nothing() -> None:
    for settings in (Augmentation(), Augmentation(randaugment=9, mixup=1.0, cutmix=1.0)):
        assert not BatchAugmentation(settings).active
    assert torch.equal(changed(textured_batch(3)), textured_batch(3).float())


def test_flips_reach_the_eight_symmetries_of_the_square_alike() -> None:
    square = np.arange(9, dtype=np.uint8).reshape(3, 3)
    symmetries = [np.rot90(side, turn) for side in (square, square.T) for turn in range(4)]
    results = changed(torch.from_numpy(np.stack([square] * 3)).expand(800, -1, -1, -1), flips=True)
    counts = [0] * 8
    for result in results.numpy():
        assert np.array_equal(result[0], result[2])
        (which,) = [
            number for number, symmetry in enumerate(symmetries) if np.array_equal(result[0], symmetry)
        ]
        counts[which] += 1
    # 100 are expected of each; five standard deviations (9.4) are allowed.
    assert all(53 <= count <= 147 for count in counts), counts


def recovered(numbers: Tensor, number: int, most: float) -> list[float]:
    """What was drawn for each picture, from -most to most."""
    return ((2 * numbers[:, number] - 1) * most).tolist()


def affine(
    picture: Tensor, *, angle: float = 0.0, across: float = 0.0, down: float = 0.0, scale: float = 1.0
) -> Tensor:
    """torchvision's own, with the mean colour around the picture; it moves by whole pixels."""
    moved: Tensor = functional.affine(
        picture.float(),
        angle=angle,
        translate=[across, down],
        scale=scale,
        shear=[0.0, 0.0],
        interpolation=functional.InterpolationMode.BILINEAR,
        fill=FILLED,
    )
    return moved


@pytest.mark.parametrize(
    ("name", "number", "most", "expected"),
    [
        ("rotation", 3, 40.0, lambda picture, angle: affine(picture, angle=-angle)),
        ("zoom", 6, 0.3, lambda picture, share: affine(picture, scale=1 + share)),
        ("brightness", 9, 0.1, lambda picture, share: functional.adjust_brightness(picture, 1 + share)),
        ("contrast", 10, 0.4, lambda picture, share: functional.adjust_contrast(picture, 1 + share)),
        ("saturation", 11, 0.4, lambda picture, share: functional.adjust_saturation(picture, 1 + share)),
    ],
)
def test_a_change_is_that_of_torchvision(
    name: str, number: int, most: float, expected: Callable[[Tensor, float], Tensor]
) -> None:
    # Kept away from black and white, where torchvision's whole numbers are cut off, and smooth where it moves.
    pictures = functional.gaussian_blur(textured_batch(12, 48), [9, 9]).float() * 0.6 + 50
    results = changed(pictures, **{name: most})
    inside = slice(8, 40)
    for picture, result, value in zip(pictures, results, recovered(drawn(12), number, most), strict=True):
        wanted = expected(picture / 255, value) * 255 if number >= 9 else expected(picture, value)
        torch.testing.assert_close(result[:, inside, inside], wanted[:, inside, inside], rtol=0, atol=0.75)
        assert number < 9 or torch.allclose(result, wanted, rtol=0, atol=0.75)


def square_on_mean_colour(count: int, side: int, half: int) -> Tensor:
    """A white square in the middle of the colour that pictures are moved away from."""
    pictures = torch.tensor(FILLED)[:, None, None].repeat(count, 1, side, side)
    inside = slice(side // 2 - half, side // 2 + half)
    pictures[:, :, inside, inside] = 255
    return pictures


def test_a_shift_moves_by_its_share_of_the_side() -> None:
    numbers = drawn(12)
    results = BatchAugmentation(Augmentation(shift=0.25))(square_on_mean_colour(12, 32, 3), numbers)
    place = torch.arange(32.0)
    across, down = recovered(numbers, 4, 8.0), recovered(numbers, 5, 8.0)
    for result, right, below in zip(results, across, down, strict=True):
        square = result[0] - FILLED[0]
        assert float(square.sum(0) @ place / square.sum()) == pytest.approx(15.5 + right, abs=0.01)
        assert float(square.sum(1) @ place / square.sum()) == pytest.approx(15.5 + below, abs=0.01)


def test_a_shear_slants_and_keeps_the_area() -> None:
    pictures = square_on_mean_colour(12, 64, 8)
    results = changed(pictures, shear=25.0)
    areas = (results[:, 0] - FILLED[0]).sum(dim=(1, 2)) / (255 - FILLED[0])
    torch.testing.assert_close(areas, torch.full((12,), 256.0), rtol=0.03, atol=0)
    # 131 between the square and what is around it: two pixels or more have changed sides in most.
    assert sum(bool((one - 255).abs().max() > 60) for one in results[:, 0, 24:40, 24:40]) >= 8


def test_hue_turns_about_grey_and_a_third_of_the_circle_swaps_the_channels() -> None:
    grey = torch.full((4, 3, 4, 4), 90.0)
    torch.testing.assert_close(changed(grey, hue=0.5), grey, rtol=0, atol=1e-3)
    red = torch.zeros(1, 3, 4, 4)
    red[:, 0] = 200
    numbers = drawn(1)
    numbers[:, 12] = 0.5 + 1 / 6
    turned = BatchAugmentation(Augmentation(hue=1.0))(red, numbers)
    assert turned.mean(dim=(2, 3)).round().flatten().tolist() in ([0.0, 200.0, 0.0], [0.0, 0.0, 200.0])


def test_colours_are_changed_in_the_order_that_was_drawn() -> None:
    # Away from black and white: values are cut off once, behind all.
    pictures = textured_batch(1).float() * 0.3 + 80
    numbers = drawn(1)
    saturated, turned = Augmentation(saturation=0.5), Augmentation(hue=0.1)
    both = BatchAugmentation(Augmentation(saturation=0.5, hue=0.1))
    results = []
    for order, steps in (
        ([0.1, 0.2, 0.3, 0.4], (saturated, turned)),
        ([0.1, 0.2, 0.4, 0.3], (turned, saturated)),
    ):
        numbers[0, 13:17] = torch.tensor(order)
        one_by_one = pictures
        for step in steps:
            one_by_one = BatchAugmentation(step)(one_by_one, numbers)
        results.append(both(pictures, numbers))
        torch.testing.assert_close(results[-1], one_by_one, rtol=0, atol=1e-3)
    assert not torch.allclose(*results, atol=0.1)


def test_erasing_blanks_one_patch_with_the_mean_colour_and_leaves_the_rest() -> None:
    results = changed(torch.zeros(40, 3, 32, 32), erasing=1.0)
    for result in results:
        blanked = (result != 0).any(dim=0)
        assert result[:, blanked].unique(dim=1).flatten().tolist() == FILLED
        assert 0.01 <= blanked.float().mean() <= 0.22
        rows, columns = blanked.any(dim=1).sum(), blanked.any(dim=0).sum()
        assert rows * columns == blanked.sum()


def test_erasing_spares_as_many_as_its_probability_says() -> None:
    results = changed(torch.zeros(400, 3, 16, 16), erasing=0.25)
    share = float((results != 0).flatten(1).any(dim=1).float().mean())
    # Five standard deviations of 400 draws.
    assert share == pytest.approx(0.25, abs=0.11)


def test_what_a_rotation_leaves_empty_is_filled_with_the_mean_colour() -> None:
    results = changed(torch.full((20, 3, 32, 32), 255.0), rotation=45.0)
    assert FILLED in results[:, :, 0, 0].tolist()
    # An edge is blended with it, and with nothing darker.
    assert (results.amin(dim=(0, 2, 3)) >= torch.tensor(FILLED)).all()


def test_numbers_are_a_function_of_all_parts_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert torch.equal(draw_numbers(1, 2, 3), draw_numbers(1, 2, 3))
    assert (
        len(
            {draw_numbers(*parts).numpy().tobytes() for parts in [(1, 2, 3), (1, 3, 2), (1, 2), (1, 2, 3, 1)]}
        )
        == 4
    )
    assert torch.equal(before, torch.get_rng_state())
    numbers = drawn(2000)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # Each is even over [0, 1): the mean of 2000 has a standard deviation of 0.0065.
    torch.testing.assert_close(
        numbers.mean(dim=0), torch.full((22,), 0.5, dtype=torch.float64), rtol=0, atol=0.033
    )
