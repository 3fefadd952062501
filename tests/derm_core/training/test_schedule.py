"""Learning rate, moving average, size of the pictures and frozen blocks, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from derm_core.training.schedule import MovingAverage, WarmupCosine, frozen_blocks, picture_size
from tests.derm_core.training.tiny import tiny_config


def test_the_learning_rate_rises_in_a_line_and_falls_in_half_a_cosine() -> None:
    schedule = WarmupCosine(warmup=4, total=12)
    assert [schedule(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    # Eight steps of cosine: at its start 1, after a quarter (1 + cos 45°) / 2, half-way 1/2, at its end 0.
    assert schedule(4) == 1.0
    assert schedule(6) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert schedule(8) == pytest.approx(0.5)
    assert schedule(12) == pytest.approx(0.0)
    assert schedule(13) == pytest.approx(0.0)


def test_without_a_warm_up_the_learning_rate_begins_whole() -> None:
    schedule = WarmupCosine(warmup=0, total=10)
    assert schedule(0) == 1.0
    assert schedule(5) == pytest.approx(0.5)


def test_a_warm_up_as_long_as_the_run_only_rises() -> None:
    assert [WarmupCosine(warmup=2, total=2)(step) for step in range(2)] == [0.5, 1.0]


def test_a_constant_learning_rate_rises_and_stays() -> None:
    schedule = WarmupCosine(warmup=2, total=4, constant=True)
    assert [schedule(step) for step in range(6)] == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_the_moving_average_remembers_more_as_it_goes_on() -> None:
    average = MovingAverage(0.9)
    old, new = torch.tensor([1.0]), torch.tensor([0.0])
    # (1 + n) / (10 + n) of the old: 2/11 after one update, 1/2 after eight, and 0.9 at most.
    assert average(old, new, torch.tensor(1)).item() == pytest.approx(2 / 11)
    assert average(old, new, torch.tensor(8)).item() == pytest.approx(0.5)
    assert average(old, new, torch.tensor(80)).item() == pytest.approx(0.9)
    assert average(old, new, 10_000).item() == pytest.approx(0.9)


def test_counts_are_taken_over_and_not_averaged() -> None:
    average = MovingAverage(0.9)
    assert average(torch.tensor(3), torch.tensor(8), 5).item() == 8


def test_the_moving_average_of_three_steps_by_hand() -> None:
    weight = nn.Linear(1, 1, bias=False)
    averaged = AveragedModel(weight, avg_fn=MovingAverage(0.5), use_buffers=True)
    for value in (1.0, 2.0, 4.0):
        nn.init.constant_(weight.weight, value)
        averaged.update_parameters(weight)
    # The first is copied; then 2/11 of 1 and 9/11 of 2; then 3/12 of that and 9/12 of 4.
    expected = 3 / 12 * (2 / 11 * 1 + 9 / 11 * 2) + 9 / 12 * 4
    assert averaged.module.weight.item() == pytest.approx(expected)


def test_pictures_keep_their_size_where_no_other_is_asked_for() -> None:
    config = tiny_config(image_size=160, epochs=8)
    assert {picture_size(config, epoch) for epoch in range(8)} == {160}


def test_pictures_grow_to_their_size_over_three_quarters_of_the_epochs() -> None:
    config = tiny_config(image_size=192, epochs=8, first_image_size=128)
    # 128 + 64 * epoch / 6, to the nearest 32: 128, 138.7, 149.3, 160, 170.7, 181.3, then whole.
    assert [picture_size(config, epoch) for epoch in range(8)] == [128, 128, 160, 160, 160, 192, 192, 192]


@pytest.mark.parametrize("first", [1, 10, 16, 31])
def test_no_picture_is_smaller_than_32_pixels(first: int) -> None:
    config = tiny_config(image_size=64, epochs=4, first_image_size=first)
    sizes = [picture_size(config, epoch) for epoch in range(4)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (32, 64)


def test_a_first_size_beyond_the_last_changes_nothing() -> None:
    assert picture_size(tiny_config(image_size=64, first_image_size=128), 0) == 64


@pytest.mark.parametrize("last", [100, 192, 250])
def test_pictures_never_exceed_their_size_and_reach_it(last: int) -> None:
    config = tiny_config(image_size=last, epochs=12, first_image_size=64)
    sizes = [picture_size(config, epoch) for epoch in range(12)]
    assert sizes == sorted(sizes)
    assert sizes[-3:] == [last] * 3


def thawing(epochs: float, frozen: int, blocks: int = 10) -> list[int]:
    config = tiny_config(unfreeze_epochs=epochs, model={"frozen": frozen})
    return [frozen_blocks(config, blocks, epoch) for epoch in range(6)]


def test_without_thawing_as_many_blocks_are_frozen_in_every_epoch() -> None:
    assert thawing(0, 0) == [0] * 6
    assert thawing(0, 3) == [3] * 6
    assert thawing(0, -1) == [10] * 6
    assert thawing(0, 1000) == [10] * 6


def test_blocks_thaw_one_after_the_other_until_all_but_the_frozen_ones_learn() -> None:
    # All ten at first; then a quarter more of ten, or of the eight that are to thaw, with each epoch.
    assert thawing(4, 0) == [10, 8, 5, 2, 0, 0]
    assert thawing(4, 2) == [10, 8, 6, 4, 2, 2]
    # Two thirds of ten after the first epoch.
    assert thawing(1.5, 0) == [10, 3, 0, 0, 0, 0]
    assert thawing(0.5, 0) == [10, 0, 0, 0, 0, 0]


def test_a_run_shorter_than_its_thawing_leaves_blocks_frozen() -> None:
    assert thawing(10, 0) == [10, 9, 8, 7, 6, 5]
