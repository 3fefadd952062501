"""A folder's run: every file a row, stopped and killed runs go on, and the table's orders."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from derm_core import journal_rows
from desktop.folder_page import View, table
from desktop.folder_run import FolderRun, earlier_runs
from tests.desktop.conftest import DARK, REFER, ROUTINE, FakePredictor

PATIENCE = 60.0

CHILD = """
import sys, time
from pathlib import Path
from tests.desktop.conftest import FakePredictor
from desktop.folder_page import View, table
from desktop.folder_run import FolderRun

class Slow(FakePredictor):
    def predict(self, image, context=None):
        time.sleep(0.05)
        return super().predict(image, context)

run = FolderRun(Slow(), Path(sys.argv[1]))
run.start()
print("started", flush=True)
run.wait(60)
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path, tiny_pictures: list[Path]) -> Path:
    """Eight pictures, one in a folder of its own; the fourth cannot be read; and a file of another kind."""
    folder = tmp_path / "November"
    (folder / "back").mkdir(parents=True)
    for number in range(7):
        (folder / f"{number}.jpg").write_bytes(tiny_pictures[number % 4].read_bytes())
    (folder / "3.jpg").write_text("This is a letter.")
    (folder / "back" / "7.jpg").write_bytes(tiny_pictures[0].read_bytes())
    (folder / "notes.docx").write_text("notes")
    return folder


class ByName(FakePredictor):
    """Refers even numbers, the higher the riskier; answers odd ones as routine, and number 5 not at all."""

    def predict(self, image: Path, context: Any = None) -> Any:
        number = int(Path(image).stem)
        self.probabilities = dict(ROUTINE if number % 2 else REFER)
        self.probabilities["mel"] += number / 100
        self.quality = (DARK,) if number == 5 else ()
        return super().predict(image, context)


def ran(predictor: FakePredictor, folder: Path) -> FolderRun:
    run = FolderRun(predictor, folder)  # type: ignore[arg-type]
    run.start()
    assert run.wait(PATIENCE)
    return run


def names(run: FolderRun, **wanted: str) -> list[str]:
    return [Path(row["file"]).stem for row in run.rows(run.places(**wanted))]


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a predictor that remembers its last answer is asked by one thread alone."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


@pytest.mark.usefixtures("one_at_a_time")
def test_every_picture_has_its_row_and_a_bad_file_its_reason(folder: Path) -> None:
    run = ran(ByName(), folder)
    progress = run.progress()
    assert (progress.state, progress.done, progress.total, progress.ignored) == ("done", 8, 8, 1)
    assert progress.kinds == {"refer": 4, "routine": 2, "unsure": 1, "unread": 1}
    (unread,) = run.rows(run.places(show="unread"))
    assert "is not a picture that can be read (17 bytes)" in unread["error"]
    assert names(run) == [*"0123456", "7"]


@pytest.mark.usefixtures("one_at_a_time")
def test_the_rows_come_in_the_order_wanted(folder: Path) -> None:
    run = ran(ByName(), folder)
    assert names(run, order="-file") == ["7", *"6543210"]
    # What was not answered has no risk to be ordered by, and stands at the end either way.
    assert names(run, order="risk") == ["6", "4", "2", "0", "7", "1", "3", "5"]
    assert names(run, order="-risk") == ["1", "7", "0", "2", "4", "6", "3", "5"]
    assert names(run, order="advice") == ["6", "4", "2", "0", "7", "1", "5", "3"]
    assert names(run, show="refer", order="risk") == ["6", "4", "2", "0"]


@pytest.mark.usefixtures("one_at_a_time")
def test_the_rows_are_taken_along(folder: Path, tmp_path: Path) -> None:
    run = ran(ByName(), folder)
    run.export(tmp_path / "rows.csv", run.places(show="refer", order="risk"))
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [Path(row["file"]).stem for row in rows] == ["6", "4", "2", "0"]
    assert list(rows[0])[:4] == ["file", "top", "malignant_probability", "advice"]
    run.export(tmp_path / "rows.jsonl", run.places())
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(lines) == 8
    assert lines[5]["quality"] == ["too-dark"]


class Held(FakePredictor):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.go = threading.Semaphore(0)

    def predict(self, image: Path, context: Any = None) -> Any:
        self.go.acquire(timeout=PATIENCE)
        self.asked.append(Path(image).name)
        return super().predict(image, context)


def test_a_run_that_is_stopped_goes_on_and_asks_about_nothing_twice(folder: Path) -> None:
    held = Held()
    run = FolderRun(held, folder)  # type: ignore[arg-type]
    run.start()
    held.go.release(3)
    until = time.monotonic() + PATIENCE
    while run.progress().done < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    run.stop()
    held.go.release(20)
    assert run.wait(PATIENCE)
    kept = run.progress()
    assert kept.state == "stopped"
    assert 2 <= kept.done < 8

    again = FakePredictor()
    later = FolderRun(again, folder)  # type: ignore[arg-type]
    later.read_back()
    assert later.progress().done == kept.done
    later.start()
    assert later.wait(PATIENCE)
    assert later.progress().state == "done"
    assert len(again.seen) == 8 - kept.done
    assert sorted(names(later)) == sorted("01234567")


def test_a_run_goes_on_by_itself_where_it_was_stopped(folder: Path) -> None:
    run = ran(FakePredictor(), folder)
    (folder / "8.jpg").write_bytes((folder / "0.jpg").read_bytes())
    run.start()
    assert run.wait(PATIENCE)
    assert run.progress().done == 9
    assert len(list(journal_rows(run.journal))) == 9


@pytest.mark.skipif(os.name == "nt", reason="Windows kills otherwise")
def test_a_run_that_is_killed_goes_on_after_a_restart(tmp_path: Path, folder: Path) -> None:
    for number in range(10, 60):
        (folder / f"{number}.jpg").write_bytes((folder / "0.jpg").read_bytes())
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(folder)], cwd=root, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        journal = FolderRun(FakePredictor(), folder).journal  # type: ignore[arg-type]
        until = time.monotonic() + PATIENCE
        while not journal.exists() or journal.read_bytes().count(b"\n") < 8:
            assert time.monotonic() < until
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    kept = [row["file"] for _, row in journal_rows(journal)]
    assert 7 <= len(kept) < 58
    assert [(about["folder"], about["recursive"]) for about in earlier_runs()] == [(str(folder), True)]
    predictor = FakePredictor()
    run = ran(predictor, folder)
    assert run.progress().done == 58
    assert not {str(path) for path in predictor.seen} & set(kept)


def test_another_model_starts_anew_and_both_keep_their_rows(folder: Path) -> None:
    first, second = ran(FakePredictor(), folder), ran(FakePredictor(sha256="ab" * 32), folder)
    assert first.journal != second.journal
    assert len(list(journal_rows(first.journal))) == len(list(journal_rows(second.journal))) == 8


def test_a_folder_without_pictures_and_a_fault_are_one_sentence(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = ran(FakePredictor(), tmp_path / "empty")
    assert run.progress().state == "failed"
    assert run.progress().problem.startswith(f"There is no picture in {tmp_path / 'empty'}.")

    class Broken(FakePredictor):
        def predict(self, image: Path, context: Any = None) -> Any:
            raise RuntimeError("out of memory")

    run = ran(Broken(sha256="cd" * 32), folder)
    assert run.progress().problem.startswith("The folder could not be answered to its end.")


def test_a_row_takes_a_few_bytes_in_memory(tmp_path: Path) -> None:
    run = FolderRun(FakePredictor(), tmp_path)  # type: ignore[arg-type]
    row = {"error": "", "advice": "refer", "malignant_probability": 0.5}
    for place in range(10_000):
        run._take(place, row)
    index = run._index
    assert sum(sys.getsizeof(part) for part in (index._places, index._risks, index._kinds)) < 20 * 10_000
    assert len(run._recent) < 100


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads its memory from /proc")
def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    # Decoded, each takes 3 MB.
    Image.new("RGB", (1200, 900), "pink").save(tmp_path / "one.jpg")
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(250):
        os.link(tmp_path / "one.jpg", folder / f"{number:03d}.jpg")
    run = FolderRun(FakePredictor(), folder)  # type: ignore[arg-type]
    held: dict[int, int] = {}
    take = run._take

    def taken(place: int, row: Any) -> None:
        take(place, row)
        if (done := len(run._index)) in (100, 250):
            # As a window does every second, the rows risen to the top among them.
            table(run, View(order="risk"), run.places(order="risk"))
            held[done] = resident_bytes()

    run._take = taken  # type: ignore[method-assign]
    run.start()
    assert run.wait(PATIENCE)
    assert held[250] - held[100] < 150e6


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
