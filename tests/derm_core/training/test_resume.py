"""A run that is interrupted anywhere and continued ends as if it had never been."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from derm_core.data.table import Dataset
from derm_core.errors import CheckpointError, ConfigError
from derm_core.training import loop
from derm_core.training.checkpoint import BEST, LAST, PREVIOUS
from derm_core.training.config import RunConfig
from derm_core.training.loop import fit
from derm_core.training.records import read_records
from derm_core.training.run_folder import read_run_config
from tests.derm_core.training.test_checkpoint import spoil
from tests.derm_core.training.tiny import FORKS, differences, tiny_config

TIMES = ["seconds", "images_per_second"]

SETTINGS = {
    "dropout, augmentation, moving average, a checkpoint after each step": tiny_config(
        "mobilenet_v3_small",
        epochs=3,
        batch_size=6,
        ema_decay=0.9,
        checkpoint_seconds=0.0,
        label_smoothing=0.1,
    ),
    "bfloat16, growing pictures, clipped gradients": tiny_config(
        epochs=3,
        batch_size=6,
        image_size=64,
        first_image_size=32,
        precision="bfloat16",
        clip_norm=1.0,
        class_weights="balanced",
        checkpoint_seconds=0.0,
    ),
    "a worker process, checkpoints at the ends of epochs": tiny_config(
        "mnasnet0_5",
        epochs=3,
        batch_size=6,
        workers=1,
        ema_decay=0.9,
        checkpoint_seconds=1e9,
        augmentation={"flips": True, "rotation": 20.0, "randaugment": 5},
    ),
}


NEWER = {
    "gathered batches, balanced draws, mixed pictures, a moving average, momentum": tiny_config(
        "mobilenet_v3_small",
        batch_size=4,
        accumulation=4,
        sampler="balanced",
        ema_decay=0.9,
        optimizer="sgd",
        augmentation={"flips": True, "randaugment": 5, "mixup": 0.4, "cutmix": 1.0},
        checkpoint_seconds=0.0,
    ),
    "thawing blocks, rates by layer, statistics of the pictures, focal loss, a constant rate": tiny_config(
        batch_size=4,
        unfreeze_epochs=1,
        layer_decay=0.7,
        data={"normalization": "featurewise"},
        model={"frozen": 2},
        loss="focal",
        schedule="constant",
        checkpoint_seconds=0.0,
    ),
    "features in two views, repeated draws, a hidden layer, patience": tiny_config(
        "mobilenet_v3_small",
        epochs=4,
        batch_size=4,
        accumulation=2,
        sampler="sqrt",
        feature_views=2,
        patience=1,
        ema_decay=0.9,
        augmentation={"flips": True},
        data={"normalization": "samplewise"},
        model={"frozen": -1, "head_units": 8, "dropout": 0.5},
        evaluation={"views": 2},
        checkpoint_seconds=0.0,
    ),
}


class Interrupted(BaseException):
    """Stands for whatever ends a process."""


class Interrupter:
    """An observer that ends training at one of the things it is told of."""

    def __init__(self, at: int) -> None:
        self._left = at

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Interrupted

    def prepare(self, pictures: int) -> Callable[[int], object]:
        return lambda count: None

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        self._count()

    def end_step(self, loss: float, metric: float | None) -> None:
        self._count()

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        self._count()


def interrupt(
    config: RunConfig, dataset: Dataset, out: Path, at: int, *, resume: bool = True, **others: Any
) -> None:
    with pytest.raises(Interrupted):
        fit(config, dataset, out, resume=resume, observer=Interrupter(at), **others)


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, states and records are the same bit for bit; only times may differ."""
    states = [torch.load(run / LAST, weights_only=True) for run in (one, other)]
    for state in states:
        state["sampler"]["sums"].pop("seconds")
    assert differences(*states) == []
    assert differences(*(torch.load(run / BEST, weights_only=True) for run in (one, other))) == []
    tables = [read_records(run).drop(columns=TIMES).to_dict("records") for run in (one, other)]
    assert repr(tables[0]) == repr(tables[1])
    assert (one / "log.jsonl").read_text() == (other / "log.jsonl").read_text()


@pytest.fixture(autouse=True)
def log_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_STEPS_BETWEEN_LOGS", 1)


@FORKS
@pytest.mark.parametrize("settings", SETTINGS)
def test_an_interrupted_run_ends_with_the_weights_of_one_that_was_not(
    settings: str, coloured: Dataset, tmp_path: Path
) -> None:
    config, moments = SETTINGS[settings], random.Random(settings)
    fit(config, coloured, tmp_path / "whole")
    # Each epoch is told of six times: its beginning, four steps and its end.
    interrupt(config, coloured, tmp_path / "parts", moments.randint(3, 5), resume=False)
    for _ in range(3):
        # What the process draws between two parts of a run has no part in it.
        torch.rand(moments.randint(1, 9))
        interrupt(config, coloured, tmp_path / "parts", moments.randint(2, 5))
    fit(config, coloured, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    steps = (tmp_path / "parts" / "log.jsonl").read_text().splitlines()
    assert len(steps) == 12


@pytest.mark.parametrize("settings", NEWER)
def test_a_run_interrupted_in_the_middle_of_each_epoch_ends_the_same(
    settings: str, coloured: Dataset, tmp_path: Path
) -> None:
    config = NEWER[settings]
    fit(config, coloured, tmp_path / "whole")
    # An epoch is told of eight times: its beginning, six batches and its end. The first part ends in the fifth batch of
    # the first epoch, the second in the next epoch, or late in this one, and the third is whatever is left.
    interrupt(config, coloured, tmp_path / "parts", 6, resume=False)
    torch.rand(3)
    interrupt(config, coloured, tmp_path / "parts", 8)
    torch.rand(2)
    fit(config, coloured, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_run_with_a_teacher_ends_the_same(coloured: Dataset, tmp_path: Path) -> None:
    teacher = fit(tiny_config(epochs=1), coloured, tmp_path / "teacher")
    # Its dropout draws numbers in every step; so does the building of a teacher.
    config = tiny_config(
        "mobilenet_v3_small",
        epochs=1,
        batch_size=6,
        distillation={"teacher": str(teacher)},
        checkpoint_seconds=0.0,
    )
    fit(config, coloured, tmp_path / "whole")
    interrupt(config, coloured, tmp_path / "parts", 3, resume=False)
    fit(config, coloured, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_run_goes_on_from_the_last_whole_step_where_batches_are_gathered(
    coloured: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(epochs=1, batch_size=4, accumulation=3, checkpoint_seconds=0.0)
    # The beginning and five batches: three are a step, and two were still being gathered.
    interrupt(config, coloured, tmp_path / "run", 6, resume=False)
    state = torch.load(tmp_path / "run" / LAST, weights_only=True)
    assert (state["step"], state["sampler"]["position"]) == (1, 3)


def test_a_run_that_found_its_statistics_is_resumed_without_naming_them(
    coloured: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(data={"normalization": "featurewise"}, checkpoint_seconds=0.0)
    interrupt(config, coloured, tmp_path / "run", 3, resume=False)
    found, _ = read_run_config(tmp_path / "run")
    assert found.data.mean
    named = replace(config, data=replace(config.data, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0)))
    with pytest.raises(ConfigError, match=r"data\.mean was .* and is now \(0\.5, 0\.5, 0\.5\)"):
        fit(named, coloured, tmp_path / "run", resume=True)
    fit(found, coloured, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "records" / "epoch-0002.parquet").exists()


def test_a_run_interrupted_at_any_moment_of_an_epoch_ends_the_same(coloured: Dataset, tmp_path: Path) -> None:
    config = tiny_config(epochs=2, batch_size=8, checkpoint_seconds=0.0)
    fit(config, coloured, tmp_path / "whole")
    for moment in range(1, 11):
        out = tmp_path / f"interrupted-{moment}"
        interrupt(config, coloured, out, moment, resume=False)
        fit(config, coloured, out, resume=True)
        assert_same_run(tmp_path / "whole", out)


def test_a_run_goes_on_from_the_checkpoint_and_not_from_the_beginning(
    coloured: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(epochs=2, batch_size=6, checkpoint_seconds=0.0)
    # The beginning, four steps and the end of the first epoch; then the beginning and two steps of the second.
    interrupt(config, coloured, tmp_path / "run", 9, resume=False)
    begun: list[tuple[int, int]] = []

    class Begun(Interrupter):
        def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
            begun.append((epoch, position))

    fit(config, coloured, tmp_path / "run", resume=True, observer=Begun(1000))
    # The checkpoint of the second step was not yet written when its observer ended the run.
    assert begun == [(2, 1)]


@pytest.mark.parametrize("damage", ["cut short", "altered"])
def test_a_run_with_a_damaged_checkpoint_ends_the_same(
    damage: str, coloured: Dataset, tmp_path: Path
) -> None:
    config = tiny_config("mobilenet_v3_small", epochs=2, batch_size=6, checkpoint_seconds=0.0)
    fit(config, coloured, tmp_path / "whole")
    interrupt(config, coloured, tmp_path / "run", 8, resume=False)
    spoil(tmp_path / "run" / LAST, damage)
    with pytest.warns(UserWarning, match=r"last\.pt was cut short or altered.*Continuing from previous\.pt"):
        fit(config, coloured, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_a_run_with_two_damaged_checkpoints_is_refused_and_left_as_it_is(
    coloured: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(epochs=2, checkpoint_seconds=0.0)
    interrupt(config, coloured, tmp_path, 4, resume=True)
    spoil(tmp_path / LAST, "cut short")
    spoil(tmp_path / PREVIOUS, "cut short")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match="no checkpoint to continue from"):
        fit(config, coloured, tmp_path, resume=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_is_not_resumed_with_other_settings(coloured: Dataset, tmp_path: Path) -> None:
    interrupt(tiny_config(), coloured, tmp_path / "run", 3, resume=False)
    with pytest.raises(ConfigError, match=r"training\.learning_rate was 0\.002 and is now 0\.1"):
        fit(tiny_config(learning_rate=0.1), coloured, tmp_path / "run", resume=True)


def test_a_run_is_resumed_without_the_weights_it_started_from(coloured: Dataset, tmp_path: Path) -> None:
    fit(tiny_config(epochs=1), coloured, tmp_path / "first")
    config = replace(tiny_config(), model=replace(tiny_config().model, start=str(tmp_path / "first")))
    whole = fit(config, coloured, tmp_path / "whole")
    interrupt(config, coloured, tmp_path / "run", 9, resume=False)
    assert (tmp_path / "run" / LAST).exists()
    shutil.rmtree(tmp_path / "first")
    fit(config, coloured, tmp_path / "run", resume=True)
    assert_same_run(whole, tmp_path / "run")
