"""The desk: which folders it takes up, which model answers, and which cases belong to it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from derm_core import BundleError, ConfigError
from desktop.desk import Desk
from tests.desktop.conftest import FakePredictor


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path, tiny_pictures: list[Path]) -> Path:
    folder = tmp_path / "my pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(tiny_pictures[0].read_bytes())
    return folder


def test_one_folder_is_answered_at_a_time(folder: Path, tmp_path: Path) -> None:
    desk = Desk(FakePredictor())  # type: ignore[arg-type]
    assert not desk.is_busy
    run = desk.open_folder(str(folder), start=False)
    run._state = "running"
    assert desk.is_busy
    assert desk.open_folder(str(folder)) is run
    with pytest.raises(ConfigError, match=r"is being answered\. Stop it first"):
        desk.open_folder(str(tmp_path))
    assert not desk.forget_folder()


def test_what_was_answered_is_listed_again_and_can_be_forgotten(folder: Path) -> None:
    desk = Desk(FakePredictor())  # type: ignore[arg-type]
    assert desk.earlier_folders() == []
    desk.open_folder(str(folder), recursive=False).wait(60)
    assert Desk(FakePredictor()).earlier_folders() == [(str(folder), False)]  # type: ignore[arg-type]
    assert Desk(FakePredictor(sha256="ab" * 32)).earlier_folders() == []  # type: ignore[arg-type]
    again = Desk(FakePredictor())  # type: ignore[arg-type]
    assert again.open_folder(str(folder), recursive=False, start=False).progress().done == 1
    assert again.forget_folder()
    assert again.run is None
    assert again.earlier_folders() == []
    assert (folder / "a.jpg").exists()


def test_a_model_is_loaded_once_and_remembered() -> None:
    loaded, kept = [], []

    def load(reference: str) -> FakePredictor:
        if reference == "gone":
            raise BundleError("There is no 'gone'.")
        loaded.append(reference)
        return FakePredictor(sha256=reference * 16)

    desk = Desk(FakePredictor(), load=load, remember=kept.append)  # type: ignore[arg-type]
    desk.choose("a")
    assert desk.predictor is desk.predictor_of("a")
    for reference in ("b", "c", "d"):
        desk.predictor_of(reference)
    desk.predictor_of("a")
    assert loaded == ["a", "b", "c", "d", "a"]
    with pytest.raises(BundleError, match="gone"):
        desk.choose("gone")
    assert kept == ["a"]
    with pytest.raises(ConfigError, match="started with one model alone"):
        Desk(FakePredictor()).choose("a")  # type: ignore[arg-type]


def test_cases_are_those_of_the_model_that_answers() -> None:
    index = SimpleNamespace(model={"sha256": FakePredictor().sha256})
    desk = Desk(FakePredictor(), cases=index)  # type: ignore[arg-type]
    assert desk.similar_cases is index
    desk.predictor = FakePredictor(sha256="ab" * 32)  # type: ignore[assignment]
    assert desk.similar_cases is None
