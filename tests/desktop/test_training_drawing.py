"""What the tab shows when it is opened, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from desktop.training_drawing import PARTS, drawn_anew
from desktop.training_job import Job, JobProcess, write_values
from desktop.training_runs import TrainingRun

LINUX = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the start of a process is read in /proc"
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path))


def begun(name: str) -> Job:
    """A run that was begun, and at which no process is any more."""
    job = TrainingRun(name).training
    job.folder.mkdir(parents=True)
    write_values(job.folder.parent / "run.json", {"dataset": "/data", "recipe": "ham7-swin_t"})
    write_values(job.folder / "task.json", {"do": "train"})
    return job


def shown(name: str = "", last: dict[str, str] | None = None) -> tuple[dict[str, Any], list[Any]]:
    """What is drawn of each part, and what comes after them: columns, state, timer, run."""
    drawn = drawn_anew(name, "", last or {})
    return dict(zip(PARTS, drawn, strict=False)), drawn[len(PARTS) :]


def test_without_any_run_there_is_only_the_way_to_a_new_one() -> None:
    parts, (*_, timer, name) = shown()
    assert [part["visible"] for part in parts.values()] == [False] * len(PARTS)
    assert (timer.active, name) == (False, "")


def test_a_run_that_was_cut_off_is_offered_for_resuming_at_the_next_start() -> None:
    JobProcess(begun("done").folder).end("done")
    begun("broken")
    parts, (*_, timer, name) = shown()
    assert name == "broken"
    assert 'data-do="resume"' in parts["head"]["value"]
    assert not parts["progress"]["visible"]
    assert parts["runs"]["value"].count("<tr") == 3
    assert not timer.active


@LINUX
def test_a_run_that_goes_on_is_shown_and_followed() -> None:
    begun("broken")
    with JobProcess(begun("busy").folder) as process:
        process.tell({"step": "train", "epoch": 2, "epochs": 5, "done": 3, "total": 9})
        parts, (*_, timer, name) = shown()
        assert (name, timer.active) == ("busy", True)
        assert "Epoch 2 of 5" in parts["progress"]["value"]
        assert 'data-do="stop"' in parts["head"]["value"]
        # Whoever looks at another run goes on looking at it.
        assert shown("broken")[1][-1] == "broken"


def test_what_has_not_changed_is_not_drawn_again() -> None:
    begun("broken")
    _, (*_, last, _, _) = shown()
    parts, _ = shown("broken", last)
    assert all(part == gr.skip() for part in parts.values())
