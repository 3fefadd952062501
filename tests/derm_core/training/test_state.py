"""What a run begins with: optimizer, learning rates and schedule."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from derm_core.models import body_blocks, classifier_layer
from derm_core.training.hardware import Hardware
from derm_core.training.state import TrainingState, build_state
from tests.derm_core.training.tiny import tiny_config

CPU = Hardware(torch.device("cpu"), torch.float32)
SHUFFLENET = "shufflenet_v2_x0_5"


def begun(batches: int = 4, **settings: Any) -> TrainingState:
    return build_state(tiny_config(**settings), 3, batches, CPU)


def rates(run: TrainingState) -> dict[int, float]:
    """The learning rate of each parameter by its id."""
    return {
        id(parameter): group["lr"] for group in run.optimizer.param_groups for parameter in group["params"]
    }


def test_the_optimizer_is_the_one_that_is_asked_for() -> None:
    assert type(begun().optimizer) is torch.optim.AdamW
    descent = begun(optimizer="sgd", weight_decay=0.01).optimizer
    assert type(descent) is torch.optim.SGD
    assert [group["momentum"] for group in descent.param_groups] == [0.9, 0.9]
    assert [group["weight_decay"] for group in descent.param_groups] == [0.01, 0.0]


def test_every_parameter_is_in_one_group() -> None:
    for layer_decay in (1.0, 0.5):
        run = begun(layer_decay=layer_decay)
        given = [id(parameter) for group in run.optimizer.param_groups for parameter in group["params"]]
        assert sorted(given) == sorted(id(parameter) for parameter in run.model.parameters())


def test_each_block_learns_at_a_share_of_the_rate_of_the_block_behind_it() -> None:
    run = begun(layer_decay=0.5, learning_rate=0.1, warmup_epochs=0)
    found, blocks = rates(run), body_blocks(run.model, SHUFFLENET)
    head = classifier_layer(run.model)
    assert [found[id(parameter)] for parameter in head.parameters()] == [0.1, 0.1]
    for distance, block in enumerate(reversed(blocks), start=1):
        for parameter in block.parameters():
            assert found[id(parameter)] == pytest.approx(0.1 * 0.5**distance)
    assert run.learning_rate == 0.1


def test_rates_of_blocks_follow_the_schedule_together() -> None:
    run = begun(layer_decay=0.5, learning_rate=0.1, warmup_epochs=0.5, epochs=2)
    shares = []
    for _ in range(8):
        groups = run.optimizer.param_groups
        shares.append({round(group["lr"] / group["initial_lr"], 9) for group in groups})
        run.optimizer.step()
        run.scheduler.step()
    # Two steps of warm-up in an epoch of four, then half a cosine over six.
    assert [len(share) for share in shares] == [1] * 8
    assert [share.pop() for share in shares[:3]] == [0.5, 1.0, 1.0]


def test_a_constant_schedule_stays_at_the_whole_rate() -> None:
    run = begun(schedule="constant", warmup_epochs=0.5, learning_rate=0.1)
    seen = []
    for _ in range(8):
        seen.append(run.learning_rate)
        run.optimizer.step()
        run.scheduler.step()
    assert seen == pytest.approx([0.05, *[0.1] * 7])


def test_a_schedule_counts_steps_and_not_batches() -> None:
    # Seven batches are three steps of up to three; one epoch of warm-up rises over three.
    run = begun(batches=7, accumulation=3, learning_rate=0.3, warmup_epochs=1, epochs=2)
    seen = []
    for _ in range(6):
        seen.append(run.learning_rate)
        run.optimizer.step()
        run.scheduler.step()
    assert seen == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.225, 0.075])
    assert run.learning_rate == pytest.approx(0.0)
