"""A step by hand: a network of one weight a class, and a loss whose slope is the mean of the pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from derm_core.training.hardware import Hardware
from derm_core.training.sections import RunConfig
from derm_core.training.state import TrainingState
from derm_core.training.step import Step
from tests.derm_core.training.tiny import tiny_config

CPU = Hardware(torch.device("cpu"), torch.float32)


class FirstLogit(nn.Module):
    """The mean of the first class's logits, whatever the labels."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return logits[:, 0].mean()


def begun(rate: float = 1.0) -> TrainingState:
    """Logits (w, 0, 0) times a picture's one value, with a first weight of 0; plain gradient descent."""
    model = nn.Linear(1, 3, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    return TrainingState(model, None, optimizer, scheduler)


def first_weight(run: TrainingState) -> Tensor:
    (weight,) = run.model.parameters()
    return weight[0]


def weights_after(run: TrainingState, config: RunConfig, values: list[list[float]]) -> list[float]:
    """The first weight after each batch of an epoch."""
    step, after = Step(config, FirstLogit(), CPU), []
    for batch in values:
        labels = torch.zeros(len(batch), dtype=torch.int64)
        inputs = torch.tensor(batch, dtype=torch.float32).view(-1, 1)
        step(run, run.model, inputs, labels, len(values))
        run.position += 1
        after.append(first_weight(run).item())
    return after


def test_each_batch_is_a_step_where_none_are_gathered() -> None:
    run = begun()
    # The slope is the mean of the batch: 2, 4 and 9 are taken away.
    assert weights_after(run, tiny_config(), [[1, 3], [4, 4], [9, 9]]) == [-2, -6, -15]
    assert run.step == 3


def test_gathered_batches_make_one_step_by_the_mean_of_their_slopes() -> None:
    run = begun()
    # The mean of 2, 4 and 9 is 5; what is left at the end of the epoch is a step of its own, by the mean of 1 and 3.
    after = weights_after(run, tiny_config(accumulation=3), [[1, 3], [4, 4], [9, 9], [1, 1], [3, 3]])
    assert after == pytest.approx([0, 0, -5, -5, -7])
    assert run.step == 2


def test_more_batches_than_an_epoch_has_are_gathered_from_it_alone() -> None:
    run = begun()
    assert weights_after(run, tiny_config(accumulation=100), [[2, 2], [4, 4]]) == pytest.approx([0, -3])


def test_the_slope_is_clipped_once_all_batches_are_gathered() -> None:
    run = begun()
    config = tiny_config(accumulation=2, clip_norm=0.5)
    assert weights_after(run, config, [[8, 8], [-8, -8], [8, 8], [0, 0]]) == pytest.approx([0, 0, 0, -0.5])


def test_loss_and_errors_are_those_of_the_batch_before_the_step() -> None:
    run = begun()
    with torch.no_grad():
        first_weight(run).fill_(2.0)
    step = Step(tiny_config(accumulation=2), FirstLogit(), CPU)
    # Logits (2, 0, 0), (6, 0, 0) and (-2, 0, 0): 0, 0 and a tie of 1 and 2, which goes to 1.
    inputs, labels = torch.tensor([[1.0], [3.0], [-1.0]]), torch.tensor([0, 2, 1])
    assert step(run, run.model, inputs, labels, 2) == (pytest.approx(2.0), 1)


def test_the_learning_rate_moves_with_steps_and_not_with_batches() -> None:
    run = begun()
    seen: list[int] = []

    def noted(step: int) -> float:
        seen.append(step)
        return 1.0

    run.scheduler = torch.optim.lr_scheduler.LambdaLR(run.optimizer, noted)
    weights_after(run, tiny_config(accumulation=3), [[1, 1]] * 4)
    assert seen == [0, 1, 2]


class Remembered(nn.Module):
    """A loss that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[Tensor] = []

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        self.targets.append(targets)
        return logits.sum()


def mixed(epoch: int, position: int, seed: int = 0) -> tuple[Tensor, Tensor, int]:
    """The inputs that the network saw, the shares that the loss saw, and the errors that were counted."""
    config = tiny_config(seed=seed, augmentation={"mixup": 1.0})
    loss, run, inputs = Remembered(), begun(), list[Tensor]()
    run.epoch, run.position = epoch, position

    class Network(nn.Module):
        def forward(self, pictures: Tensor) -> Tensor:
            inputs.append(pictures)
            return run.model(pictures.mean(dim=(1, 2, 3)).view(-1, 1)) + torch.tensor([1.0, 0.0, 0.0])

    pictures = torch.tensor([0.0, 1.0, 2.0]).view(3, 1, 1, 1).expand(3, 3, 4, 4).contiguous()
    before = torch.get_rng_state()
    _, errors = Step(config, loss, CPU)(run, Network(), pictures, torch.tensor([0, 1, 2]), 9)
    assert torch.equal(torch.get_rng_state(), before)
    return inputs[0], loss.targets[0], errors


def test_mixed_pictures_come_with_shares_of_their_labels() -> None:
    inputs, shares, errors = mixed(0, 0)
    assert shares.shape == (3, 3)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(inputs.mean(dim=(1, 2, 3)), shares @ torch.arange(3.0))
    assert not torch.equal(shares, torch.eye(3))
    # The network always answers 0: an error wherever another class has the largest share.
    assert errors == int((shares.argmax(dim=1) != 0).sum())


def test_what_is_mixed_depends_on_the_seed_the_epoch_and_the_batch_and_on_nothing_else() -> None:
    torch.manual_seed(1)
    first = mixed(2, 3)[1]
    torch.manual_seed(2)
    assert torch.equal(mixed(2, 3)[1], first)
    others = [mixed(2, 4)[1], mixed(3, 3)[1], mixed(2, 3, seed=1)[1]]
    assert not any(torch.equal(other, first) for other in others)
