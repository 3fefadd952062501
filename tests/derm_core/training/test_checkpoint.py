"""Checkpoints: whole or not there, whatever goes wrong and whenever."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from derm_core.errors import CheckpointError
from derm_core.training.checkpoint import (
    BEST,
    CHECKSUMS,
    KEYS,
    LAST,
    PREVIOUS,
    load_best,
    load_last,
    save_best,
    save_last,
)


def state_of(step: int) -> dict[str, Any]:
    """A checkpoint that can be told from that of any other step."""
    values: dict[str, Any] = {key: {} for key in KEYS}
    weights = torch.full((3, 2), float(step))
    return values | {"model": {"weight": weights}, "ema": None, "epoch": 0, "step": step}


def best_of(epoch: int) -> dict[str, Any]:
    return {"model": {"weight": torch.full((2,), float(epoch))}, "epoch": epoch, "best": {"metric": 0.5}}


class Harmful:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code of a checkpoint was run')",)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def spoil(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "cut short":
        del content[len(content) // 2 :]
    elif how == "altered":
        content[len(content) // 3] ^= 1
    elif how == "emptied":
        content.clear()
    path.write_bytes(content)


DAMAGES = ("cut short", "altered", "emptied")


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    state = state_of(1) | {
        "best": {"epoch": 3, "metric": 0.25},
        "rng": {"torch": torch.get_rng_state(), "cuda": []},
    }
    save_last(tmp_path, state)
    loaded = load_last(tmp_path)
    assert set(loaded) == set(KEYS)
    assert torch.equal(loaded["model"]["weight"], torch.full((3, 2), 1.0))
    assert loaded["best"] == {"epoch": 3, "metric": 0.25}
    assert torch.equal(loaded["rng"]["torch"], torch.get_rng_state())
    assert loaded["ema"] is None
    assert names(tmp_path) == [CHECKSUMS, LAST]


def test_the_one_before_is_kept_and_no_more(tmp_path: Path) -> None:
    for step in range(5):
        save_last(tmp_path, state_of(step))
    assert load_last(tmp_path)["step"] == 4
    assert names(tmp_path) == [CHECKSUMS, LAST, PREVIOUS]
    (tmp_path / LAST).unlink()
    assert load_last(tmp_path)["step"] == 3


def test_a_checkpoint_holds_tensors_and_plain_values_only(tmp_path: Path) -> None:
    save_last(tmp_path, state_of(1))
    save_best(tmp_path, best_of(1))
    for name in (LAST, BEST):
        torch.load(tmp_path / name, weights_only=True)


def test_code_inside_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    save_last(tmp_path, state_of(1) | {"best": Harmful()})
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        load_last(tmp_path)


@pytest.mark.parametrize("wrong", [{"extra": 1}, {"model": None}])
def test_a_state_with_other_keys_is_not_saved(tmp_path: Path, wrong: dict[str, Any]) -> None:
    state = state_of(1)
    state = state | wrong if "extra" in wrong else {k: v for k, v in state.items() if k not in wrong}
    with pytest.raises(ValueError, match="A checkpoint needs the keys model, ema"):
        save_last(tmp_path, state)
    assert names(tmp_path) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_last_checkpoint_is_noticed_and_the_one_before_is_used(tmp_path: Path, damage: str) -> None:
    save_last(tmp_path, state_of(1))
    save_last(tmp_path, state_of(2))
    spoil(tmp_path / LAST, damage)
    with pytest.warns(UserWarning, match=r"last\.pt was cut short or altered.*Continuing from previous\.pt"):
        assert load_last(tmp_path)["step"] == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_with_both_damaged_there_is_nothing_to_continue_from(tmp_path: Path, damage: str) -> None:
    save_last(tmp_path, state_of(1))
    save_last(tmp_path, state_of(2))
    spoil(tmp_path / LAST, damage)
    spoil(tmp_path / PREVIOUS, damage)
    with pytest.raises(
        CheckpointError, match=r"no checkpoint to continue from.*last\.pt.*previous\.pt.*anew"
    ):
        load_last(tmp_path)


def test_a_damaged_last_checkpoint_never_takes_the_place_of_a_good_one(tmp_path: Path) -> None:
    for step in (1, 2):
        save_last(tmp_path, state_of(step))
    spoil(tmp_path / LAST, "cut short")
    save_last(tmp_path, state_of(3))
    assert load_last(tmp_path)["step"] == 3
    (tmp_path / LAST).unlink()
    assert load_last(tmp_path)["step"] == 1


def test_a_checkpoint_of_another_run_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    save_last(tmp_path / "one", state_of(1))
    save_last(tmp_path / "other", state_of(2))
    (tmp_path / "one" / LAST).write_bytes((tmp_path / "other" / LAST).read_bytes())
    with pytest.raises(CheckpointError, match="cut short or altered"):
        load_last(tmp_path / "one")


def test_an_empty_folder_holds_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt is missing.*previous\.pt is missing"):
        load_last(tmp_path)


def test_damaged_checksums_are_named(tmp_path: Path) -> None:
    save_last(tmp_path, state_of(1))
    spoil(tmp_path / CHECKSUMS, "cut short")
    with pytest.raises(CheckpointError, match=r"checksums\.json is not what was saved"):
        load_last(tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_best_weights_come_back_and_damage_to_them_is_noticed(tmp_path: Path, damage: str) -> None:
    with pytest.raises(CheckpointError, match=r"best\.pt is missing"):
        load_best(tmp_path)
    save_best(tmp_path, best_of(1))
    save_best(tmp_path, best_of(4))
    assert load_best(tmp_path)["epoch"] == 4
    spoil(tmp_path / BEST, damage)
    with pytest.raises(CheckpointError, match=r"best\.pt was cut short or altered"):
        load_best(tmp_path)


def test_the_list_of_checksums_does_not_grow_without_end(tmp_path: Path) -> None:
    for step in range(70):
        save_last(tmp_path, state_of(step))
    assert (tmp_path / CHECKSUMS).read_text().count('"') // 2 <= 1 + 64


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is done."""


class Disk:
    """Counts what is done to files, and kills in front of one of these things; a write that is killed is half done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.kill_at = -1
        for name in ("replace", "fsync"):
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))
        monkeypatch.setattr(Path, "open", self._counted_open(Path.open))

    def _step(self, name: str) -> None:
        if len(self.done) == self.kill_at:
            raise Killed(name)
        self.done.append(name)

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self._step(name)
            return call(*arguments)

        return counted

    def _counted_open(self, open_path: Callable[..., Any]) -> Callable[..., Any]:
        def counted(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if mode != "wb":
                return open_path(path, mode, *arguments, **options)
            self._step("open")
            stream = open_path(path, mode, buffering=0)
            return HalfWriter(self, stream)

        return counted


class HalfWriter:
    def __init__(self, disk: Disk, stream: Any) -> None:
        self._disk, self._stream = disk, stream

    def __enter__(self) -> HalfWriter:
        return self

    def __exit__(self, *reason: object) -> None:
        self._stream.close()

    def write(self, content: bytes) -> None:
        try:
            self._disk._step("write")
        except Killed:
            self._stream.write(content[: len(content) // 2])
            raise
        self._stream.write(content)

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        return int(self._stream.fileno())


def things_done(monkeypatch: pytest.MonkeyPatch, save: Callable[[], None]) -> list[str]:
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        save()
        return disk.done


def killed_before(monkeypatch: pytest.MonkeyPatch, number: int, save: Callable[[], None]) -> None:
    with monkeypatch.context() as patch:
        Disk(patch).kill_at = number
        with pytest.raises(Killed):
            save()


@pytest.mark.parametrize("saved_before", [1, 2, 3])
def test_a_kill_between_any_two_things_done_to_files_leaves_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved_before: int
) -> None:
    def folder_with(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for step in range(1, saved_before + 1):
            save_last(folder, state_of(step))
        return folder

    complete = folder_with("complete")
    done = things_done(monkeypatch, lambda: save_last(complete, state_of(9)))
    # Checksums and checkpoint are each opened, written, synced and renamed; the old one is renamed; the folder synced.
    assert sorted(done) == ["fsync"] * 3 + ["open"] * 2 + ["replace"] * 3 + ["write"] * 2
    found = set()
    for number in range(len(done)):
        folder = folder_with(f"killed-{number}")
        killed_before(monkeypatch, number, lambda folder=folder: save_last(folder, state_of(9)))  # type: ignore[misc]
        # No warning either: nothing is damaged.
        state = load_last(folder)
        assert torch.equal(state["model"]["weight"], torch.full((3, 2), float(state["step"])))
        found.add(state["step"])
        save_last(folder, state_of(10))
        assert load_last(folder)["step"] == 10
    assert found == {saved_before, 9}


def test_a_kill_leaves_a_checkpoint_where_the_last_was_damaged_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged_folder(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for step in (1, 2):
            save_last(folder, state_of(step))
        spoil(folder / LAST, "cut short")
        return folder

    complete = damaged_folder("complete")
    done = things_done(monkeypatch, lambda: save_last(complete, state_of(9)))
    for number in range(len(done)):
        folder = damaged_folder(f"killed-{number}")
        killed_before(monkeypatch, number, lambda folder=folder: save_last(folder, state_of(9)))  # type: ignore[misc]
        if number < len(done) - 1:
            with pytest.warns(UserWarning, match=r"Continuing from previous\.pt"):
                assert load_last(folder)["step"] == 1
        else:
            assert load_last(folder)["step"] == 9


def test_kills_in_a_row_leave_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_last(tmp_path, state_of(0))
    done = things_done(monkeypatch, lambda: save_last(tmp_path, state_of(1)))
    newest = 1
    for step in range(2, 100):
        killed_before(
            monkeypatch,
            # One less: where a kill left no last.pt, there is none to rename.
            step % (len(done) - 1),
            lambda step=step: save_last(tmp_path, state_of(step)),  # type: ignore[misc]
        )
        found = load_last(tmp_path)["step"]
        assert found in (newest, step)
        newest = found


def test_a_kill_while_the_best_is_saved_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_best(tmp_path, best_of(1))
    done = things_done(monkeypatch, lambda: save_best(tmp_path, best_of(2)))
    newest, found = 2, set()
    for number in range(len(done)):
        killed_before(
            monkeypatch,
            number,
            lambda number=number: save_best(tmp_path, best_of(3 + number)),  # type: ignore[misc]
        )
        epoch = load_best(tmp_path)["epoch"]
        assert epoch in (newest, 3 + number)
        found.add(epoch == newest)
        newest = epoch
    assert found == {True, False}


def test_a_disk_that_refuses_is_told_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_last(tmp_path, state_of(1))

    def refuse(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space left"):
            save_last(tmp_path, state_of(2))
    assert load_last(tmp_path)["step"] == 1
