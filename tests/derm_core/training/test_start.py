from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from derm_core.errors import CheckpointError, ConfigError
from derm_core.models import build_model
from derm_core.training.checkpoint import KEYS, save_best, save_last
from derm_core.training.config import ModelConfig
from derm_core.training.start import build_first_model

SMALL = ModelConfig(architecture="mobilenet_v3_small", pretrained=True, dropout=-1.0)


def weights(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return build_model("mobilenet_v3_small", 3).state_dict()


def saved_run(folder: Path, *, ema: bool) -> Path:
    folder.mkdir()
    averaged = {f"module.{name}": value for name, value in weights(2).items()} | {
        "n_averaged": torch.tensor(5)
    }
    state = dict.fromkeys(KEYS, 0) | {"model": weights(1), "ema": averaged if ema else None}
    save_last(folder, state)
    save_best(folder, {"model": weights(3), "epoch": 1, "best": {}})
    return folder


def same(model: torch.nn.Module, expected: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_a_run_folder_gives_its_best_epoch(tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", ema=True)
    assert same(build_first_model(replace(SMALL, start=str(run)), 3), weights(3))


@pytest.mark.parametrize(("ema", "seed"), [(True, 2), (False, 1)])
def test_the_last_checkpoint_gives_its_moving_average_where_it_keeps_one(
    tmp_path: Path, ema: bool, seed: int
) -> None:
    run = saved_run(tmp_path / "run", ema=ema)
    assert same(build_first_model(replace(SMALL, start=str(run / "last.pt")), 3), weights(seed))


def test_a_bundle_gives_its_weights_in_full_precision(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({name: value.half() if value.ndim > 1 else value for name, value in weights(4).items()}, path)
    model = build_first_model(replace(SMALL, start=str(path)), 3)
    assert all(value.dtype in (torch.float32, torch.int64) for value in model.state_dict().values())
    torch.testing.assert_close(dict(model.state_dict()), dict(weights(4)), rtol=1e-3, atol=1e-6)


def test_no_imagenet_weights_are_fetched_where_a_start_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_WEIGHTS_DIR", str(tmp_path / "nothing-here"))
    run = saved_run(tmp_path / "run", ema=False)
    assert same(build_first_model(replace(SMALL, start=str(run)), 3), weights(3))


def test_weights_of_another_task_are_refused(tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", ema=False)
    with pytest.raises(ConfigError, match=r"not those of mobilenet_v3_small with 7 classes"):
        build_first_model(replace(SMALL, start=str(run)), 7)


def test_weights_of_another_network_are_told_by_their_number_and_not_one_by_one(tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", ema=False)
    with pytest.raises(
        ConfigError, match=r"not those of mnasnet0_5 .*it lacks \d+ of the \d+ tensors"
    ) as caught:
        build_first_model(replace(SMALL, architecture="mnasnet0_5", start=str(run)), 3)
    assert len(str(caught.value)) < 400


def test_a_start_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.start is .*nowhere.*neither a run folder"):
        build_first_model(replace(SMALL, start=str(tmp_path / "nowhere")), 3)


def test_a_folder_without_a_best_epoch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"best\.pt is missing"):
        build_first_model(replace(SMALL, start=str(tmp_path)), 3)


def test_a_damaged_safetensors_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"not safetensors at all")
    with pytest.raises(ConfigError, match="not a whole safetensors file"):
        build_first_model(replace(SMALL, start=str(path)), 3)
