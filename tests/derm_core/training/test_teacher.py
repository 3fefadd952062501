"""A teacher answers as its own run would have, and teaches by exactly its share of the loss."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from derm_core.data.cache import open_pixels
from derm_core.data.table import Dataset
from derm_core.data.transforms import Preprocessing
from derm_core.errors import CheckpointError, ConfigError
from derm_core.training.checkpoint import load_best, save_best
from derm_core.training.hardware import Hardware
from derm_core.training.loop import fit
from derm_core.training.records import read_records
from derm_core.training.run_folder import begin_run
from derm_core.training.sections import RunConfig
from derm_core.training.state import TrainingState
from derm_core.training.step import Step
from derm_core.training.teacher import Teacher, open_teacher
from tests.derm_core.training.tiny import lively_network, tiny_config

CPU = Hardware(torch.device("cpu"), torch.float32)
SHUFFLENET = "shufflenet_v2_x0_5"


def pictures_of(dataset: Dataset, config: RunConfig) -> Tensor:
    return config.preprocessing.tensor(np.array(open_pixels(dataset, config.preprocessing)))


@pytest.fixture(scope="module")
def network(coloured: Dataset) -> nn.Module:
    return lively_network(SHUFFLENET, pictures_of(coloured, tiny_config()))


@pytest.fixture(scope="module")
def run(coloured: Dataset, network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose best epoch is that network."""
    return saved_run(tmp_path_factory.mktemp("teacher") / "run", tiny_config(), coloured, network)


def saved_run(out: Path, config: RunConfig, dataset: Dataset, network: nn.Module) -> Path:
    begin_run(out, config, dataset)
    save_best(out, {"model": network.state_dict(), "epoch": 1, "best": {}})
    return out


def taught(run: Path, **settings: Any) -> RunConfig:
    distillation: Mapping[str, Any] = settings.pop("distillation", {})
    return tiny_config(**{"distillation": {"teacher": str(run), **distillation}, **settings})


def test_without_a_name_there_is_no_teacher() -> None:
    assert open_teacher(tiny_config(), CPU) is None


def test_a_teacher_answers_as_its_best_epoch_and_learns_nothing(
    run: Path, network: nn.Module, coloured: Dataset
) -> None:
    teacher = open_teacher(taught(run), CPU)
    assert teacher is not None
    pictures = pictures_of(coloured, tiny_config())
    with torch.no_grad():
        expected = network(pictures)
    logits = teacher(pictures)
    assert logits.dtype == torch.float32
    assert not logits.requires_grad
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


def test_a_network_that_is_its_own_teacher_has_nothing_to_learn_from_it(
    run: Path, network: nn.Module, coloured: Dataset
) -> None:
    config = taught(run, distillation={"alpha": 1.0}, augmentation={"mixup": 0.4})
    # As the teacher is: laid out in the same way, so that sums are taken in the same order, and in eval mode.
    student = copy.deepcopy(network).to(memory_format=torch.channels_last).requires_grad_()
    optimizer = torch.optim.SGD(student.parameters(), lr=1.0)
    state = TrainingState(
        student, None, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    )
    step = Step(config, nn.CrossEntropyLoss(), CPU, open_teacher(config, CPU))
    inputs = pictures_of(coloured, config)[:8].contiguous(memory_format=torch.channels_last)
    loss, _ = step(state, student, inputs, torch.arange(8) % 3, 1)
    assert loss == 0
    slopes = [parameter.grad for parameter in student.parameters() if parameter.grad is not None]
    assert len(slopes) == len(list(student.parameters()))
    assert max(slope.abs().max().item() for slope in slopes) < 1e-4
    assert state.step == 1


class Constant(nn.Module):
    """Logits that are the weight, whatever the picture."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(logits))

    def forward(self, images: Tensor) -> Tensor:
        return self.weight.expand(len(images), -1)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_the_loss_is_shared_between_teacher_and_labels(alpha: float) -> None:
    config = taught(Path("unread"), distillation={"alpha": alpha, "temperature": 2.0}, augmentation={})
    plain = Preprocessing(image_size=32, working_side=40)
    teacher = Teacher(Constant([2 * np.log(2.0), 0.0, 0.0]), plain, plain, CPU)
    student = Constant([0.0, 0.0, 0.0])
    optimizer = torch.optim.SGD(student.parameters(), lr=0.0)
    state = TrainingState(
        student, None, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    )
    step = Step(config, nn.CrossEntropyLoss(), CPU, teacher)
    loss, _ = step(state, student, torch.zeros(2, 3, 32, 32), torch.tensor([0, 1]), 1)
    # The student says 1/3 of each; at a temperature of 2 the teacher says 1/2, 1/4 and 1/4.
    soft = 4 * (0.5 * np.log(1.5) + 0.5 * np.log(0.75))
    assert loss == pytest.approx(alpha * soft + (1 - alpha) * np.log(3))


class Recorder(nn.Module):
    """Keeps the pictures that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return images.mean(dim=(2, 3)) + self.weight


def test_a_teacher_is_shown_pictures_of_its_own_size() -> None:
    ours = Preprocessing(image_size=32, working_side=40)
    recorder = Recorder()
    teacher = Teacher(recorder, ours, replace(ours, image_size=64), CPU)
    small = torch.randn(2, 3, 32, 32)
    teacher(small)
    teacher(torch.randn(2, 3, 64, 64))
    assert [images.shape for images in recorder.seen] == [(2, 3, 64, 64)] * 2
    assert not recorder.training
    assert not recorder.weight.requires_grad
    grown = nn.functional.interpolate(small, size=(64, 64), mode="bilinear", antialias=True)
    torch.testing.assert_close(recorder.seen[0], grown)


def test_a_teacher_is_shown_pictures_normalised_by_its_own_statistics() -> None:
    ours = Preprocessing(image_size=32, working_side=40, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 0.5))
    theirs = replace(ours, mean=(0.4, 0.2, 0.1), std=(0.5, 0.25, 2.0))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    recorder = Recorder()
    Teacher(recorder, ours, theirs, CPU)(ours.tensor(pixels))
    torch.testing.assert_close(recorder.seen[0], theirs.tensor(pixels))
    Teacher(recorder, ours, ours, CPU)(ours.tensor(pixels))
    assert torch.equal(recorder.seen[1], ours.tensor(pixels))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"task": "malignancy"}, r"whose data\.task is 'nv-bkl-mel'; this run's is 'malignancy'"),
        (
            {"normalization": "rescale"},
            r"whose data\.normalization is 'imagenet'; this run's is 'rescale'.*same kind",
        ),
    ],
)
def test_a_teacher_of_another_kind_is_refused(data: dict[str, Any], message: str, run: Path) -> None:
    with pytest.raises(ConfigError, match=rf"training\.distillation\.teacher is '.*run', {message}"):
        open_teacher(taught(run, data=data), CPU)


def test_a_teacher_that_is_not_there_leaves_no_run_folder_behind(coloured: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere is not a run folder"):
        fit(taught(tmp_path / "nowhere"), coloured, tmp_path / "run")
    begin_run(tmp_path / "begun", tiny_config(), coloured)
    with pytest.raises(CheckpointError, match=r"best\.pt is missing"):
        fit(taught(tmp_path / "begun"), coloured, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_teacher_with_a_hidden_layer_is_built_with_it(coloured: Dataset, tmp_path: Path) -> None:
    config = tiny_config(model={"head_units": 6})
    pictures = pictures_of(coloured, config)
    network = lively_network(SHUFFLENET, pictures, head_units=6)
    teacher = open_teacher(taught(saved_run(tmp_path / "run", config, coloured, network)), CPU)
    assert teacher is not None
    with torch.no_grad():
        torch.testing.assert_close(teacher(pictures), network(pictures), rtol=0, atol=1e-4)


def test_a_teacher_has_no_part_in_the_first_weights_and_changes_the_last(
    run: Path, coloured: Dataset, tmp_path: Path
) -> None:
    losses = {}
    for name, config in (
        ("alone", tiny_config(epochs=1, batch_size=24)),
        ("ignored", taught(run, epochs=1, batch_size=24, distillation={"alpha": 0.0})),
        ("taught", taught(run, epochs=1, batch_size=24, distillation={"alpha": 1.0})),
    ):
        out = fit(config, coloured, tmp_path / name)
        losses[name] = read_records(out)["train_loss"].item(), load_best(out)["model"]["fc.weight"]
    assert losses["alone"][0] == losses["ignored"][0]
    assert torch.equal(losses["alone"][1], losses["ignored"][1])
    assert losses["taught"][0] != losses["alone"][0]
    assert not torch.equal(losses["taught"][1], losses["alone"][1])
