"""A model bundle teaches as its network answers, and one that cannot teach is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from derm_core.data.cache import open_pixels
from derm_core.data.table import Dataset
from derm_core.data.transforms import Preprocessing
from derm_core.errors import ConfigError
from derm_core.experiments.bundle_teacher import open_bundle_teacher
from derm_core.serving.bundle import BundleDescription, OperatingPoint, save_bundle
from derm_core.training.hardware import Hardware
from derm_core.training.loop import fit
from derm_core.training.sections import RunConfig
from derm_core.training.teacher import open_teacher
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.test_resume import assert_same_run, interrupt
from tests.derm_core.training.test_teacher import saved_run
from tests.derm_core.training.tiny import lively_network, tiny_config

CPU = Hardware(torch.device("cpu"), torch.float32)
SHUFFLENET = "shufflenet_v2_x0_5"
Bundles = Callable[..., Path]


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return coloured_dataset(tmp_path_factory.mktemp("coloured") / "set", train=24, valid=9)


@pytest.fixture(scope="module")
def pictures(coloured: Dataset) -> torch.Tensor:
    preprocessing = tiny_config().preprocessing
    return preprocessing.tensor(np.array(open_pixels(coloured, preprocessing)))


@pytest.fixture(scope="module")
def network(pictures: torch.Tensor) -> torch.nn.Module:
    return lively_network(SHUFFLENET, pictures, head_units=6)


@pytest.fixture
def bundled(network: torch.nn.Module, tmp_path: Path) -> Bundles:
    """Writes a bundle of that network, its weights moved by a number; what else is given changes its description."""

    def write(*, moved: float = 0.0, **changes: Any) -> Path:
        described: dict[str, Any] = {
            "name": "teacher",
            "version": "1",
            "architecture": SHUFFLENET,
            "head_units": 6,
            "task": "nv-bkl-mel",
            "classes": ("bkl", "mel", "nv"),
            "preprocessing": tiny_config().preprocessing,
            "temperature": 3.0,
            "operating_points": (OperatingPoint("half", 0.5),),
            "default_operating_point": "half",
        }
        description = BundleDescription(**described | changes)
        save_bundle(
            tmp_path / "bundle",
            model_state={
                name: values + moved if values.is_floating_point() else values
                for name, values in network.state_dict().items()
            },
            description=description,
            overwrite=True,
        )
        return tmp_path / "bundle"

    return write


def taught(teacher: Path | str, **settings: Any) -> RunConfig:
    return tiny_config(distillation={"teacher": str(teacher)}, **settings)


def test_a_bundle_teaches_what_its_network_answers_before_any_calibration(
    bundled: Bundles, network: torch.nn.Module, pictures: torch.Tensor
) -> None:
    teacher = open_teacher(taught(bundled()), CPU, open_bundle_teacher)
    assert teacher is not None
    with torch.no_grad():
        torch.testing.assert_close(teacher(pictures), network(pictures), rtol=0, atol=1e-4)


def test_it_is_shown_pictures_of_the_size_and_statistics_of_the_bundle(bundled: Bundles) -> None:
    seen = Preprocessing(image_size=48, working_side=40, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3))
    theirs = open_bundle_teacher(str(bundled(preprocessing=seen))).config
    assert theirs.preprocessing == seen
    assert theirs.data.normalization == "featurewise"


def test_the_model_that_ships_can_teach() -> None:
    network = open_bundle_teacher("bundled")
    assert network.config.data.task == "ham7"
    assert not network.model.training


def test_a_run_folder_is_a_run_whatever_else_it_is_called(
    coloured: Dataset, network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved_run(tmp_path / "bundled", tiny_config(model={"head_units": 6}), coloured, network)
    assert open_teacher(taught("bundled"), CPU, open_bundle_teacher) is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"classes": ("mel", "nv", "bkl")},
            r"whose classes are mel, nv, bkl; those of nv-bkl-mel are bkl, mel, nv\. .*same kind",
        ),
        (
            {"preprocessing": replace(tiny_config().preprocessing, samplewise=True)},
            r"whose data\.normalization is 'samplewise'; this run's is 'imagenet'\. .*same kind",
        ),
        (
            {"head_units": 0},
            r"which is no run folder and cannot be opened as a model bundle: The weights .* do not fit",
        ),
    ],
)
def test_a_bundle_of_another_kind_is_refused(changes: dict[str, Any], message: str, bundled: Bundles) -> None:
    with pytest.raises(ConfigError, match=rf"training\.distillation\.teacher is '.*bundle', {message}"):
        open_teacher(taught(bundled(**changes)), CPU, open_bundle_teacher)


def test_the_model_that_ships_does_not_teach_another_task() -> None:
    with pytest.raises(ConfigError, match=r"is 'bundled', whose data\.task is 'ham7'; this run's is 'nv-bkl"):
        open_teacher(taught("bundled"), CPU, open_bundle_teacher)


def test_an_altered_bundle_and_one_that_is_not_there_leave_no_run_folder_behind(
    bundled: Bundles, coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    weights = bundled() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    for teacher, message in (
        (weights.parent, r"model bundle: .*SHA-256"),
        (tmp_path / "nowhere", r"model bundle: .*nowhere does not exist\."),
        ("nobody", r"model bundle: Unknown model 'nobody'\. Known: bundled\."),
    ):
        with pytest.raises(ConfigError, match=message):
            fit(taught(teacher), coloured, tmp_path / "run", open_bundle=open_bundle_teacher)
    with pytest.raises(ConfigError, match=r"bundle is not a run folder"):
        fit(taught(weights.parent), coloured, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_with_a_bundle_for_a_teacher_is_continued_to_the_same_weights(
    bundled: Bundles, coloured: Dataset, tmp_path: Path
) -> None:
    config = taught(bundled(), epochs=1, batch_size=6, checkpoint_seconds=0.0)
    fit(config, coloured, tmp_path / "whole", open_bundle=open_bundle_teacher)
    interrupt(config, coloured, tmp_path / "parts", 3, resume=False, open_bundle=open_bundle_teacher)
    fit(config, coloured, tmp_path / "parts", resume=True, open_bundle=open_bundle_teacher)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_run_is_not_continued_with_a_bundle_that_became_another(
    bundled: Bundles, coloured: Dataset, tmp_path: Path
) -> None:
    config = taught(bundled(), epochs=1, checkpoint_seconds=0.0)
    interrupt(config, coloured, tmp_path / "run", 3, resume=False, open_bundle=open_bundle_teacher)
    bundled(moved=1.0)
    with pytest.raises(ConfigError, match=r"run was begun with another teacher than '.*bundle' is now\."):
        fit(config, coloured, tmp_path / "run", resume=True, open_bundle=open_bundle_teacher)
