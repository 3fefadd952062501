"""The run folder: what stands in it, and who may open it again."""

from __future__ import annotations

import shutil
import tomllib
from contextlib import ExitStack
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from derm_core.data.table import Dataset
from derm_core.errors import CheckpointError, ConfigError
from derm_core.training import loop, run_folder
from derm_core.training.checkpoint import BEST, LAST, save_best, save_last
from derm_core.training.loop import fit
from derm_core.training.run_folder import begin_run, find_checkpoint, hold_run, read_run_config
from derm_core.training.state import TrainingState, build_state
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.test_checkpoint import best_of, spoil, state_of
from tests.derm_core.training.tiny import tiny_config


def test_the_settings_stand_in_the_folder_as_resolved(coloured: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "one"
    begin_run(out, tiny_config(epochs=7), coloured)
    assert [path.name for path in out.iterdir()] == ["config.toml"]
    config, made = read_run_config(out)
    assert config == tiny_config(epochs=7)
    assert made["data_fingerprint"] == coloured.fingerprint()
    assert made["torch"] == metadata.version("torch")
    assert {"python", "torchvision", "numpy", "git_commit"} <= set(made)
    values = tomllib.loads((out / "config.toml").read_text())
    assert values["training"]["epochs"] == 7
    # What the recipe left out stands there, too.
    assert values["training"]["label_smoothing"] == 0.0


def test_a_run_goes_on_with_the_teacher_that_it_was_begun_with(coloured: Dataset, tmp_path: Path) -> None:
    taught = tiny_config(distillation={"teacher": "runs/teacher"})
    begin_run(tmp_path / "taught", taught, coloured, teacher="a" * 64)
    find_checkpoint(tmp_path / "taught", taught, coloured, resume=True, teacher="a" * 64)
    with pytest.raises(
        ConfigError, match=r"begun with another teacher than 'runs/teacher' is now\. Resume it"
    ):
        find_checkpoint(tmp_path / "taught", taught, coloured, resume=True, teacher="b" * 64)
    # A run of an earlier version did not tell.
    settings = tmp_path / "taught" / "config.toml"
    settings.write_text(settings.read_text().replace(f'teacher_fingerprint = "{"a" * 64}"', ""))
    find_checkpoint(tmp_path / "taught", taught, coloured, resume=True, teacher="b" * 64)


def test_a_run_that_another_process_trains_is_not_resumed_beside_it(
    coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "_PATIENCE_SECONDS", 0.05)
    out = tmp_path / "run"
    begin_run(out, tiny_config(epochs=1), coloured)
    with hold_run(out), pytest.raises(ConfigError, match="is being trained by another process"):
        fit(tiny_config(epochs=1), coloured, out, resume=True)
    assert [path.name for path in out.iterdir()] == ["config.toml"]
    fit(tiny_config(epochs=1), coloured, out, resume=True)
    assert (out / BEST).exists()


def test_a_folder_that_another_process_begins_first_is_left_to_it(
    coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "_PATIENCE_SECONDS", 0.05)
    out = tmp_path / "run"
    with ExitStack() as other:

        def build_while_another_begins(*given: Any, **named: Any) -> TrainingState:
            begin_run(out, tiny_config(), coloured)
            other.enter_context(hold_run(out))
            return build_state(*given, **named)

        monkeypatch.setattr(loop, "build_state", build_while_another_begins)
        with pytest.raises(ConfigError, match="is being trained by another process"):
            fit(tiny_config(), coloured, out)
    assert [path.name for path in out.iterdir()] == ["config.toml"]


def test_beginning_again_changes_nothing(coloured: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    begin_run(out, tiny_config(), coloured)
    before = (out / "config.toml").read_bytes()
    begin_run(out, tiny_config(epochs=9), coloured)
    assert (out / "config.toml").read_bytes() == before


def test_a_folder_that_exists_is_never_written_over(coloured: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    with pytest.raises(ConfigError, match=r"exists already.*continue it with --resume"):
        find_checkpoint(out, tiny_config(), coloured, resume=False)


def test_a_folder_that_does_not_exist_is_begun_with_or_without_resume(
    coloured: Dataset, tmp_path: Path
) -> None:
    for resume in (False, True):
        assert find_checkpoint(tmp_path / "run", tiny_config(), coloured, resume=resume) is None
    assert not (tmp_path / "run").exists()


def test_a_folder_of_something_else_is_not_resumed(coloured: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "letters"
    out.mkdir()
    (out / "letter.txt").write_text("Dear")
    with pytest.raises(ConfigError, match="is not a run folder"):
        find_checkpoint(out, tiny_config(), coloured, resume=True)
    with pytest.raises(ConfigError, match="is not a run folder"):
        find_checkpoint(out / "letter.txt", tiny_config(), coloured, resume=True)


def test_a_run_killed_before_its_settings_were_written_is_begun_anew(
    coloured: Dataset, tmp_path: Path
) -> None:
    (tmp_path / ".config.toml.partial").write_text("half")
    assert find_checkpoint(tmp_path, tiny_config(), coloured, resume=True) is None


def test_a_run_killed_before_its_first_checkpoint_is_begun_anew(coloured: Dataset, tmp_path: Path) -> None:
    begin_run(tmp_path, tiny_config(), coloured)
    assert find_checkpoint(tmp_path, tiny_config(), coloured, resume=True) is None
    save_best(tmp_path, best_of(1))
    assert find_checkpoint(tmp_path, tiny_config(), coloured, resume=True) is None


def test_a_run_is_resumed_from_its_last_checkpoint(coloured: Dataset, tmp_path: Path) -> None:
    begin_run(tmp_path, tiny_config(), coloured)
    save_last(tmp_path, state_of(5))
    state = find_checkpoint(tmp_path, tiny_config(), coloured, resume=True)
    assert state is not None
    assert state["step"] == 5


def test_a_run_whose_only_checkpoint_is_damaged_is_not_begun_anew_unasked(
    coloured: Dataset, tmp_path: Path
) -> None:
    begin_run(tmp_path, tiny_config(), coloured)
    save_last(tmp_path, state_of(5))
    save_best(tmp_path, best_of(1))
    spoil(tmp_path / LAST, "altered")
    assert (tmp_path / BEST).exists()
    with pytest.raises(CheckpointError, match="no checkpoint to continue from"):
        find_checkpoint(tmp_path, tiny_config(), coloured, resume=True)


def test_other_settings_are_named_with_both_values(coloured: Dataset, tmp_path: Path) -> None:
    begin_run(tmp_path, tiny_config(), coloured)
    changed = tiny_config(epochs=3, augmentation={"flips": False})
    with pytest.raises(ConfigError) as raised:
        find_checkpoint(tmp_path, changed, coloured, resume=True)
    message = str(raised.value)
    assert "training.epochs was 2 and is now 3" in message
    assert "training.augmentation.flips was True and is now False" in message
    assert "data.task" not in message


def test_other_data_is_refused(coloured: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    begin_run(out, tiny_config(), coloured)
    other = coloured_dataset(tmp_path / "other", train=21, valid=9)
    with pytest.raises(ConfigError, match=r"was trained on other data than .*other"):
        find_checkpoint(out, tiny_config(), other, resume=True)


def test_the_same_data_in_another_place_is_accepted(coloured: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    begin_run(out, tiny_config(), coloured)
    shutil.copytree(coloured.folder, tmp_path / "moved")
    moved = replace(coloured, folder=tmp_path / "moved")
    assert find_checkpoint(out, tiny_config(), moved, resume=True) is None


@pytest.mark.parametrize("content", ["", "epochs = [", "name = 'x'\n"])
def test_settings_that_cannot_be_read_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.toml").write_text(content)
    with pytest.raises(ConfigError, match=r"config\.toml is not a run's settings"):
        read_run_config(tmp_path)


def test_a_folder_without_settings_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no config\.toml"):
        read_run_config(tmp_path)
