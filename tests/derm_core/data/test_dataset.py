"""Training pictures and their order: functions of the seed, the epoch and the picture, and of nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest
import torch

from derm_core.data.augmentation import Augmentation
from derm_core.data.dataset import ResumableBatches, TrainingPictures

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
LABELS = np.arange(10) % 3
AUGMENTATION = Augmentation(flips=True, rotation=20.0, brightness=0.3, erasing=0.5, randaugment=9)


def pictures(*, seed: int = 1, epoch: int = 0, augmentation: Augmentation = AUGMENTATION) -> TrainingPictures:
    made = TrainingPictures(PIXELS, LABELS, augmentation, seed=seed)
    made.epoch = epoch
    return made


def seen(made: TrainingPictures, keys: Iterable[int]) -> list[bytes]:
    """What becomes of each picture: its pixels behind RandAugment, and the numbers that it is changed by."""
    (images, numbers), _ = made[[*keys]]
    return [
        image.numpy().tobytes() + row.numpy().tobytes() for image, row in zip(images, numbers, strict=True)
    ]


def test_without_augmentation_a_picture_is_its_pixels_and_its_label() -> None:
    plain = pictures(augmentation=Augmentation())
    assert len(plain) == 10
    (images, _), labels = plain[[4, 0]]
    assert images.dtype == torch.uint8
    assert images.shape == (2, 3, 16, 16)
    assert torch.equal(images.permute(0, 2, 3, 1), torch.from_numpy(PIXELS[[4, 0]]))
    assert (labels.tolist(), labels.dtype) == ([1, 0], torch.int64)


def test_augmentation_does_not_depend_on_the_order_of_reading() -> None:
    made = pictures()
    forwards = seen(made, range(10))
    assert [one for index in reversed(range(10)) for one in seen(made, [index])][::-1] == forwards


def test_augmentation_differs_between_pictures_epochs_and_seeds() -> None:
    same = np.repeat(PIXELS[:1], 10, axis=0)
    made = TrainingPictures(same, LABELS, AUGMENTATION, seed=1)
    (images, numbers), _ = made[[*range(10)]]
    assert len({image.numpy().tobytes() for image in images}) > 5
    assert len({row.numpy().tobytes() for row in numbers}) == 10
    for one, other in [(pictures(epoch=0), pictures(epoch=1)), (pictures(seed=1), pictures(seed=2))]:
        assert not torch.equal(one[[3]][0][1], other[[3]][0][1])
        assert seen(one, [3]) != seen(other, [3])


# Python 3.12 and later warn of any fork where another thread lives, such as that of a test runner.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_process_gives_what_this_one_gives(workers: int) -> None:
    batches = ResumableBatches(10, 4, seed=1)
    made = pictures(epoch=2)
    batches.epoch = 2
    loader = made.loader(batches, workers)
    assert loader.num_workers == workers
    here = [made[keys] for keys in batches]
    for ((images, numbers), labels), ((same, alike), equal) in zip(loader, here, strict=True):
        assert torch.equal(images, same)
        assert torch.equal(numbers, alike)
        assert torch.equal(labels, equal)


def test_no_process_helps_where_all_changes_are_made_to_whole_batches() -> None:
    batches = ResumableBatches(10, 4, seed=1)
    assert pictures(augmentation=Augmentation(flips=True)).loader(batches, 2).num_workers == 0


def test_random_states_of_the_process_stay_untouched() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    made = pictures()
    _ = made[[*range(10)]]
    _ = list(ResumableBatches(10, 4, seed=1))
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_what_the_process_drew_before_does_not_change_a_picture() -> None:
    torch.manual_seed(1)
    first = seen(pictures(), [7])
    torch.manual_seed(2)
    torch.rand(3)
    assert seen(pictures(), [7]) == first


def test_the_pixels_that_are_shared_are_not_changed() -> None:
    before = PIXELS.copy()
    for augmentation in (AUGMENTATION, Augmentation()):
        (images, _), _ = pictures(augmentation=augmentation)[[*range(10)]]
        images.zero_()
    assert np.array_equal(before, PIXELS)


def test_an_epoch_shows_each_picture_at_most_once_in_whole_batches() -> None:
    batches = ResumableBatches(10, 4, seed=0)
    made = list(batches)
    assert [len(batch) for batch in made] == [4, 4]
    assert len(batches) == 2
    shown = [index for batch in made for index in batch]
    assert len(set(shown)) == 8
    assert set(shown) <= set(range(10))


def test_every_picture_has_its_turn_within_a_few_epochs() -> None:
    batches = ResumableBatches(10, 4, seed=0)
    shown = set()
    for epoch in range(5):
        batches.epoch = epoch
        shown |= {index for batch in batches for index in batch}
    assert shown == set(range(10))


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    batches = ResumableBatches(3, 32, seed=0)
    assert len(batches) == 1
    (batch,) = batches
    assert sorted(batch) == [0, 1, 2]


@pytest.mark.parametrize("position", range(6))
def test_batches_from_a_position_are_the_tail_of_the_epoch(position: int) -> None:
    whole, tail = ResumableBatches(50, 10, seed=3), ResumableBatches(50, 10, seed=3)
    whole.epoch = tail.epoch = 4
    tail.position = position
    assert list(tail) == list(whole)[position:]
    assert len(tail) == 5


def test_the_order_differs_between_epochs_and_seeds_and_is_repeated_otherwise() -> None:
    def order(seed: int, epoch: int) -> tuple[tuple[int, ...], ...]:
        batches = ResumableBatches(50, 10, seed=seed)
        batches.epoch = epoch
        return tuple(tuple(batch) for batch in batches)

    assert order(1, 1) == order(1, 1)
    assert len({order(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9


def test_a_picture_that_is_drawn_again_is_augmented_anew_and_keeps_its_label() -> None:
    made = pictures()
    # Its key has the length of the set added for each time that it was drawn before.
    keys = [4 + 10 * times for times in range(4)]
    (_, numbers), labels = made[keys]
    assert labels.tolist() == [1] * 4
    assert len({row.numpy().tobytes() for row in numbers}) == 4
    assert len(set(seen(made, keys))) == 4
    assert seen(made, [14]) == seen(pictures(), [14])
    plain = pictures(augmentation=Augmentation())
    assert torch.equal(plain[[4]][0][0], plain[[24]][0][0])


def test_a_picture_with_all_the_shares_fills_the_epoch_with_a_key_of_its_own_each_time() -> None:
    shares = torch.tensor([0.0, 0.0, 0.0, 1.0])
    batches = ResumableBatches(4, 2, seed=0, shares=shares)
    assert list(batches) == [[3, 7], [11, 15]]


def test_pictures_are_drawn_in_proportion_to_their_shares() -> None:
    batches = ResumableBatches(10, 10, seed=0, shares=torch.tensor([4.0, 1.0, *[0.625] * 8]))
    drawn = np.zeros(10)
    for epoch in range(200):
        batches.epoch = epoch
        (keys,) = batches
        drawn += np.bincount(np.array(keys) % 10, minlength=10)
    # Of 2000 draws 800, 200 and 125 each are expected; five standard deviations are allowed.
    expected = np.array([800, 200, *[125] * 8])
    assert (np.abs(drawn - expected) < 5 * np.sqrt(expected * (1 - expected / 2000))).all(), drawn


def test_drawn_batches_from_a_position_are_the_tail_of_the_epoch() -> None:
    shares = torch.linspace(1, 2, 50, dtype=torch.float64)
    whole, tail = (ResumableBatches(50, 10, seed=3, shares=shares) for _ in range(2))
    whole.epoch = tail.epoch = 4
    tail.position = 2
    assert list(tail) == list(whole)[2:]
    assert list(whole) != list(ResumableBatches(50, 10, seed=3, shares=shares))
