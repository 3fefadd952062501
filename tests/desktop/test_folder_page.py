"""A folder's progress and table as they are shown: words, orders, pages, and nothing that was not escaped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from desktop.folder_index import KINDS
from desktop.folder_page import View, earlier, filters, pager, progress_card, table
from desktop.folder_run import FolderRun, Progress
from tests.desktop.conftest import DARK, FakePredictor


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path, tiny_pictures: list[Path]) -> Path:
    folder = tmp_path / "No<i>vember"
    folder.mkdir()
    (folder / "<b>.jpg").write_bytes(tiny_pictures[0].read_bytes())
    (folder / "letter.jpg").write_text("letter")
    return folder


def ran(folder: Path, predictor: FakePredictor | None = None) -> FolderRun:
    run = FolderRun(predictor or FakePredictor(), folder)  # type: ignore[arg-type]
    run.start()
    assert run.wait(60)
    return run


def progress(state: str, done: int = 3, total: int = 10, speed: float = 0.0) -> Progress:
    left = (total - done) / speed if speed else None
    reason = "the fastest that agrees (eager 90.0 ms)" if state in ("running", "done") else ""
    return Progress(
        state, done, total, 0, dict.fromkeys(KINDS, 0), speed, left, reason and "onnxruntime", reason, ""
    )


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (progress("looking", 0, 0), "Looking for pictures"),
        (progress("running", speed=0.5), "about 15 seconds left · 0.5 pictures a second"),
        (progress("preparing", 0), "Finding the quickest way to answer"),
        (progress("done"), "Runtime: ONNX Runtime, the fastest that agrees</span>"),
        (progress("stopped"), "Stopped. 7 pictures wait."),
        (progress("stopped", 9), "Stopped. 1 picture waits."),
        (progress("stopped", 3, 0), "<h2>Stopped.</h2>"),
        (progress("done", 10), "10 of 10 done"),
    ],
)
def test_a_state_is_told_in_words(folder: Path, state: Progress, words: str) -> None:
    page = progress_card(FolderRun(FakePredictor(), folder), state)  # type: ignore[arg-type]
    assert words in page
    assert "No&lt;i&gt;vember" in page
    assert ('data-do="stop"' in page) is (state.state in ("looking", "preparing", "running"))
    assert ('data-do="continue"' in page) is (state.state == "stopped")
    assert ('data-do="forget"' in page) is not state.is_active


def test_rows_show_what_was_answered_and_why_not(folder: Path) -> None:
    run = ran(folder)
    page = table(run, View(), run.places())
    assert "&lt;b&gt;.jpg" in page
    assert "<b>.jpg" not in page
    assert "<b>67%</b>" in page
    assert 'data-advice="refer"' in page
    assert page.count('src="data:image/jpeg;base64,') == 1
    assert "Is not a picture that can be read (6 bytes)" in page
    assert f'data-do="open:{run.places()[0]}"' in page
    assert page.count('data-do="open:') == 1


def test_of_what_was_not_answered_no_risk_is_shown(folder: Path) -> None:
    run = ran(folder, FakePredictor(quality=(DARK,)))
    page = table(run, View("unsure"), run.places(show="unsure"))
    assert "withheld" in page
    assert "too dark" in page
    assert "67%" not in page


def test_the_head_says_how_the_rows_are_ordered(folder: Path) -> None:
    run = ran(folder)

    def sorted_by(view: View) -> str:
        page = table(run, view, run.places(order=view.order))
        (found,) = re.findall(r'aria-sort="(\w+)"><button type="button" data-do="order:(\w+)"', page)
        return " ".join(found)

    view = View()
    assert sorted_by(view) == "ascending file"
    assert sorted_by(view.ordered_by("file")) == "descending file"
    view = view.ordered_by("risk")
    assert sorted_by(view) == "descending risk"
    assert sorted_by(view.ordered_by("risk")) == "ascending risk"


def test_a_page_that_is_not_there_is_the_last_one(folder: Path, tiny_pictures: list[Path]) -> None:
    for number in range(60):
        (folder / f"{number:02d}.jpg").write_bytes(tiny_pictures[0].read_bytes())
    run = ran(folder)
    page = table(run, View(page=99), run.places())
    assert "Page 3 of 3" in pager(View(page=99), run.places())
    assert page.count("<tr") == 1 + 62 - 50
    assert "No picture of this kind." in table(run, View("unsure"), [])


def test_what_can_be_asked_for_is_counted(folder: Path) -> None:
    page = filters(View("unread", "-risk"), ran(folder).progress())
    shown = re.findall(r'data-do="(\w+:\w*)" aria-pressed="(\w+)">[^<]+(?:<span class="code">(\d))?', page)
    assert shown == [
        ("show:", "false", "2"),
        ("show:refer", "false", "1"),
        ("show:routine", "false", "0"),
        ("show:unsure", "false", "0"),
        ("show:unread", "true", "1"),
        ("order:file", "false", ""),
        ("order:risk", "true", ""),
        ("order:advice", "false", ""),
    ]


def test_earlier_folders_are_named_by_their_ends() -> None:
    assert earlier([]) == ""
    page = earlier(["/home/mira/<b>", "/"])
    assert 'data-do="earlier:0" title="/home/mira/&lt;b&gt;"' in page
    assert "<span>&lt;b&gt;</span>" in page
    assert "<span>/</span>" in page
