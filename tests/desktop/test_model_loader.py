"""Models are loaded by the runtime that scripts/predict.py takes, which is found out elsewhere and can be stopped."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from derm_core import Predictor, find_bundle, usual_runtime
from desktop import model_loader
from desktop.desk import Desk
from desktop.model_loader import ModelLoader
from tests.desktop.conftest import FakePredictor


class Machine:
    """What the loader sees of this machine: whether the quickest runtime is known, and a process that finds it out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, script: str = "pass") -> None:
        self.known, self.script = False, script
        self.loaded: list[tuple[str | None, str]] = []
        self.asked: list[tuple[str, ...]] = []
        monkeypatch.setattr(model_loader, "usual_runtime", self.usual_runtime)
        monkeypatch.setattr(model_loader, "load_predictor", self.load_predictor)
        monkeypatch.setattr(model_loader, "start_module", self.start_module)

    def usual_runtime(self, model: str | None, *, pictures: int, threads: int) -> str:
        assert threads == 1
        return "auto" if self.known or pictures >= 1000 else "eager"

    def load_predictor(self, model: str | None, *, threads: int, runtime: str) -> Any:
        assert threads == 1
        self.loaded.append((model, runtime))
        return ByRuntime(runtime)

    def start_module(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        self.asked.append(words)
        self.known = "pass" in self.script
        return subprocess.Popen([sys.executable, "-c", self.script], **options)


class ByRuntime(FakePredictor):
    """A predictor that was loaded."""

    __hash__ = object.__hash__
    folder = Path("/models/ham7-3")

    def __init__(self, runtime: str) -> None:
        super().__init__()
        self.runtime = SimpleNamespace(name=runtime, reason="")


def test_a_large_folder_is_answered_by_what_is_found_out_for_it_and_a_small_one_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine, stop = Machine(monkeypatch), threading.Event()
    loader = ModelLoader()
    first = loader.load(None)
    assert loader.for_many(first, 999, stop) is first
    quick = loader.for_many(first, 1000, stop)
    assert machine.asked == [("desktop.model_loader", "/models/ham7-3", "1")]
    assert machine.loaded == [(None, "eager"), ("/models/ham7-3", "auto")]
    # From then on it is known, also at the next start and for a single picture.
    assert loader.for_many(quick, 5000, stop) is quick
    assert loader.for_many(quick, 1, stop) is quick
    loader.load("ham7@3")
    assert machine.loaded[2:] == [("ham7@3", "auto")]
    assert len(machine.asked) == 1


def test_who_stops_while_it_is_found_out_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, stop = Machine(monkeypatch, "import time; time.sleep(600)"), threading.Event()
    first = ModelLoader().load(None)
    threading.Timer(0.3, stop.set).start()
    assert ModelLoader().for_many(first, 1000, stop) is first
    assert machine.loaded == [(None, "eager")]


def test_where_none_can_be_found_out_the_folder_is_answered_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Machine(monkeypatch, "raise SystemExit('no room')")
    loader = ModelLoader()
    first = loader.load(None)
    with caplog.at_level(logging.WARNING):
        assert loader.for_many(first, 1000, threading.Event()) is first
    assert "No quicker runtime could be found: no room" in caplog.text


def test_the_folder_and_the_desk_change_to_the_quick_one_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_pictures: list[Path]
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    slow, quick = ByRuntime("eager"), ByRuntime("onnxruntime")
    asked: list[int] = []

    def quicken(predictor: Predictor, pictures: int, stop: threading.Event) -> Any:
        asked.append(pictures)
        return quick

    desk = Desk(slow, quicken=quicken, load=lambda reference: slow)  # type: ignore[arg-type,return-value]
    desk.choose("ham7")
    run = desk.open_folder(str(tiny_pictures[0].parent))
    assert run.wait(60)
    progress = run.progress()
    assert (progress.state, progress.runtime) == ("done", "onnxruntime")
    assert len(quick.seen) == progress.done == asked[0]
    assert slow.seen == []
    assert desk.predictor is quick
    assert desk.predictor_of("ham7") is quick


@pytest.mark.parametrize("runtime", ["openvino", "eager"])
def test_a_runtime_that_was_asked_for_is_taken_for_any_number(
    monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    monkeypatch.setenv("DERM_RUNTIME", runtime)
    for pictures in (1, 1_000_000):
        assert usual_runtime(find_bundle("bundled"), pictures=pictures, threads=1) == runtime
