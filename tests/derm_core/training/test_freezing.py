"""Frozen blocks keep all that they are; thawing ones join from behind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from derm_core.data.table import Dataset
from derm_core.models import body_blocks, build_model
from derm_core.training.checkpoint import load_last
from derm_core.training.hardware import Hardware
from derm_core.training.loop import fit
from derm_core.training.sections import RunConfig
from derm_core.training.state import build_state
from tests.derm_core.training.tiny import differences, tiny_config

SHUFFLENET = "shufflenet_v2_x0_5"
State = dict[str, torch.Tensor]


def first_weights(config: RunConfig) -> State:
    """Those that fit begins with."""
    torch.manual_seed(config.training.seed)
    run = build_state(config, 3, 3, Hardware(torch.device("cpu"), torch.float32))
    return run.model.state_dict()


def moved_blocks(before: State, after: State) -> list[int]:
    """Which blocks have other weights or statistics."""
    states = []
    for state in (before, after):
        network = build_model(SHUFFLENET, 3)
        network.load_state_dict(state)
        states.append([block.state_dict() for block in body_blocks(network, SHUFFLENET)])
    return [
        number
        for number, (one, other) in enumerate(zip(*states, strict=True))
        if differences(dict(one), dict(other))
    ]


class EveryEpoch:
    """An observer that keeps the weights of each epoch."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.states: list[State] = []

    def prepare(self, pictures: int) -> Callable[[int], object]:
        return lambda count: None

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        pass

    def end_step(self, loss: float, metric: float | None) -> None:
        pass

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        self.states.append(load_last(self._out)["model"])


def test_frozen_blocks_keep_their_weights_and_statistics_and_all_others_learn(
    coloured: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(model={"frozen": 6}, weight_decay=0.5)
    before = first_weights(config)
    after = load_last(fit(config, coloured, tmp_path / "run"))["model"]
    blocks = body_blocks(build_model(SHUFFLENET, 3), SHUFFLENET)
    with_values = [number for number, block in enumerate(blocks) if block.state_dict()]
    assert moved_blocks(before, after) == [number for number in with_values if number >= 6]
    assert not torch.equal(before["fc.weight"], after["fc.weight"])
    # Statistics are counted, too, in those that learn: three batches in each of two epochs.
    counts = {name: int(value) for name, value in after.items() if name.endswith("num_batches_tracked")}
    assert set(counts.values()) == {0, 6}


def test_a_body_thaws_from_behind_one_epoch_after_the_other(coloured: Dataset, tmp_path: Path) -> None:
    config = tiny_config(epochs=3, unfreeze_epochs=2, model={"frozen": 4}, schedule="constant")
    notes = EveryEpoch(tmp_path / "run")
    fit(config, coloured, tmp_path / "run", observer=notes)
    states = [first_weights(config), *notes.states]
    moved = [moved_blocks(one, other) for one, other in pairwise(states)]
    blocks = body_blocks(build_model(SHUFFLENET, 3), SHUFFLENET)
    with_values = [number for number, block in enumerate(blocks) if block.state_dict()]
    # All are frozen in the first epoch; then half of those that thaw, the last ones; then all but four.
    half = len(blocks) - round((len(blocks) - 4) / 2)
    assert moved == [[], [n for n in with_values if n >= half], [n for n in with_values if n >= 4]]


def test_the_moving_average_of_a_frozen_block_is_the_block(coloured: Dataset, tmp_path: Path) -> None:
    config = tiny_config(model={"frozen": 6}, ema_decay=0.9)
    before = first_weights(config)
    averaged = load_last(fit(config, coloured, tmp_path / "run"))["ema"]
    kept = {name.removeprefix("module."): value for name, value in averaged.items() if "." in name}
    assert min(moved_blocks(before, kept)) >= 6
