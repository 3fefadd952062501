"""A run, its curves, its figures and an audit as they are shown: in words, and nothing that was not escaped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from desktop.training_curves import curves
from desktop.training_job import Job, JobProcess, JobState, write_values
from desktop.training_page import epochs_card, job_progress, run_head, runs_table
from desktop.training_records import Epoch, Plan
from desktop.training_results import audit_card, registered, results_card
from desktop.training_runs import TrainingRun

EPOCHS = tuple(
    Epoch(number, 1e-3 / number, 1.5 / number, 2.0 / number, {"macro_f1": 0.1 * number, "accuracy": 0.4})
    for number in (1, 2, 3)
)
PLAN = Plan("ham7-mobilenet_v2", "ham7", 9, "macro_f1")
FIGURES = {
    "accuracy": 0.8,
    "balanced_accuracy": 0.714,
    "macro_f1": 0.68,
    "macro_auc": 0.9,
    "malignant_auc": None,
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """A run of three epochs, whose training was begun from the dataset <b>."""
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    monkeypatch.setattr(TrainingRun, "plan", PLAN)
    monkeypatch.setattr(TrainingRun, "epochs", lambda self: EPOCHS)
    run = TrainingRun("one")
    run.training.folder.mkdir(parents=True)
    about = {"dataset": "/data/<b>", "recipe": "ham7-mobilenet_v2", "overrides": ["training.epochs=9"]}
    write_values(run.training.folder.parent / "run.json", about)
    return run


def told(job: Job, state: str, **values: Any) -> None:
    """Lets a job have ended so."""
    job.folder.mkdir(parents=True, exist_ok=True)
    write_values(job.folder / "task.json", values.pop("task", {"do": "train"}))
    if state != "cut off":
        JobProcess(job.folder).end(state, **values)  # type: ignore[arg-type]


def buttons(page: str) -> list[str]:
    return re.findall(r'data-do="([^"]+)"', page)


@pytest.mark.parametrize(
    ("state", "word", "offered"),
    [
        ("stopped", "Stopped", ["delete:one", "resume"]),
        ("failed", "Failed", ["delete:one", "resume"]),
        ("cut off", "Cut off", ["delete:one", "resume"]),
        ("done", "Trained", ["delete:one"]),
    ],
)
def test_a_run_says_what_became_of_it_and_what_can_be_done(
    state: str, word: str, offered: list[str], run: TrainingRun
) -> None:
    told(run.training, state, problem="The disk is <full>." if state == "failed" else "")
    page = run_head(run)
    assert f"{word}</span>" in page
    assert buttons(page) == offered
    assert "Its 3 epochs, checkpoints, curves and reports are lost" in page
    assert "/data/&lt;b&gt;" in page
    assert "training.epochs=9" in page
    assert ("The disk is &lt;full&gt;." in page) is (state == "failed")
    assert ("goes on from its last checkpoint" in page) is (state == "cut off")


def test_progress_is_told_in_pictures_and_minutes() -> None:
    values = {"step": "train", "epoch": 3, "epochs": 9, "done": 640, "total": 1000}
    page = job_progress("Training", JobState("running", {}, values))
    assert "<h2>Epoch 3 of 9</h2>" in page
    assert 'max="1000" value="640"' in page
    assert "left" not in page
    values |= {"rate": 31.6, "left": 600.0, "loss": 0.51234}
    page = job_progress("Training", JobState("running", {}, values), stop="end")
    assert "about 10 minutes left · 32 pictures a second · loss 0.512" in page
    assert buttons(page) == ["end"]
    assert "<h2>Starting</h2>" in job_progress("Training", JobState("running"))
    assert "<h2>Stopping …</h2>" in job_progress("Training", JobState("stopping", {}, values))


def test_curves_are_to_scale_and_said_in_a_sentence() -> None:
    page = curves(EPOCHS, PLAN)
    assert 'aria-label="Loss after epoch 3: training 0.5, validation 0.667"' in page
    assert 'aria-label="Macro F1 after epoch 3: validation 0.30"' in page
    assert 'aria-label="Learning rate after epoch 3: Learning rate 0.00033"' in page
    loss, metric, _ = re.findall(r"<figure.*?</figure>", page)
    # Three of nine epochs: the last point stands at a quarter of the width.
    (points,) = re.findall(r'data-kind="valid" points="([^"]+)"', metric)
    assert points.split()[0] == "46.0,147.0"
    assert points.split()[-1].startswith("117.0,")
    assert loss.count("<polyline") == 2
    assert "style=" not in page


def test_an_epoch_without_a_figure_leaves_it_out_of_its_curve() -> None:
    gap = (
        Epoch(1, 1e-3, None, 2.0, {"macro_f1": None}),
        Epoch(2, 1e-3, 1.0, float("inf"), {"macro_f1": 0.2}),
    )
    page = curves(gap, PLAN)
    assert "Loss after epoch 2: training 1, validation 2" in page
    assert "nan" not in page.lower()
    assert curves((), PLAN) == ""


def test_the_best_epoch_is_named(run: TrainingRun) -> None:
    told(run.training, "stopped")
    assert "Best so far: epoch 3, Macro F1 0.30 on the validation pictures." in epochs_card(run)
    told(run.training, "done")
    assert "Best: epoch 3, Macro F1 0.30" in epochs_card(run)


def test_figures_stand_with_their_intervals_and_on_what_they_were_measured(run: TrainingRun) -> None:
    told(run.training, "done")
    assert buttons(results_card(run)) == ["evaluate:val", "evaluate:test"]
    result = {
        "photographs": 1500,
        "lesions": 1200,
        "figures": FIGURES,
        "ci95": {key: [0.661, 0.76] for key in FIGURES},
    }
    told(run.evaluation("val"), "done", task={"do": "evaluate", "epoch": 3}, result=result)
    page = results_card(run)
    assert '71% <span class="interval">(66–76)</span>' in page
    assert '0.68 <span class="interval">(0.66–0.76)</span>' in page
    assert "AUC for malignancy" not in page
    assert "Epoch 3, on 1,500 photographs of 1,200 lesions; 95% CI in brackets" in page
    assert buttons(page) == ["see-report:val", "report:val", "evaluate:val", "evaluate:test"]
    # The test pictures are asked for twice, and it is said why.
    assert 'data-sure="Read the test pictures once, when nothing will be changed any more' in page
    told(run.evaluation("test"), "stopped", task={"do": "evaluate", "epoch": 3})
    assert "The evaluation was stopped." in results_card(run)


def test_a_model_that_was_made_is_named(run: TrainingRun) -> None:
    assert registered(run) == ""
    told(run.registering, "done", task={"do": "register"}, result={"model": "clinic@2", "sha256": "ab" * 32})
    assert "Registered as clinic@2 (weights abababababab…). Choose it under Models." in registered(run)
    told(run.registering, "failed", task={"do": "register"}, problem="No <malignant> picture.")
    assert "No &lt;malignant&gt; picture." in registered(run)


def test_the_runs_are_listed_with_their_states(run: TrainingRun) -> None:
    told(run.training, "stopped")
    page = runs_table([run], "one")
    assert "3 of 9" in page
    assert "Macro F1 0.30" in page
    assert "ham7-mobilenet_v2 · &lt;b&gt;" in page
    assert "aria-current=true" in page
    assert buttons(page) == ["show:one"]
    assert runs_table([], "") == ""


def test_an_audit_says_what_it_found_the_grave_first() -> None:
    found = {
        "headline": "84 pictures in 1 dataset: 1 fault and 0 warnings.",
        "findings": [["fault", "1 lesion is in <more> than one split."], ["note", "Fewer than 10 lesions."]],
        "pictures": 84,
        "lesions": 83,
        "splits": {"train": 60, "val": 24},
        "classes": {"mel": 42, "nv": 42},
    }
    page = audit_card(JobState("done", {"do": "audit"}, result=found))
    assert "1 lesion is in &lt;more&gt; than one split." in page
    assert "Mend the dataset before you rely on anything trained on it." in page
    assert buttons(page) == ["see-page", "page"]
    sound = found | {"findings": [["note", "Fewer than 10 lesions."]]}
    assert "Mend the dataset" not in audit_card(JobState("done", {"do": "audit"}, result=sound))
    assert "The audit was stopped." in audit_card(JobState("stopped", {"do": "audit"}))
    assert audit_card(JobState()) == ""
