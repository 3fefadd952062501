"""A training run, how far it is, and the list of runs as HTML, with the classes of the website. Knows no Gradio.

A button says in `data-do` what it does, as a word and, after a colon, a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from desktop.markup import badge, button, card, message, problem
from desktop.texts import duration, say
from desktop.training_curves import curves
from desktop.training_deleting import can_delete, lost_with
from desktop.training_job import JobState
from desktop.training_results import figure, metric_name
from desktop.training_runs import RunState, TrainingRun

_STATES: dict[RunState, tuple[str, str]] = {
    "running": ("training-running", "play"),
    "stopping": ("training-stopping", "pause"),
    "stopped": ("training-stopped", "pause"),
    "cut off": ("training-cut-off", "bad"),
    "failed": ("training-broken", "bad"),
    "trained": ("training-trained", "ok"),
}
_STEPS = ("start", "decode", "train", "check", "read", "compare", "answer", "draw")
_OF_PICTURES = ("decode", "train", "read", "answer")


def run_head(run: TrainingRun) -> str:
    """Returns what a run is and what became of its training, with what can be done about it."""
    state, about = run.state, run.about
    action = ""
    if state in ("running", "stopping"):
        action = button("stop", say("training-stop"), symbol="pause", disabled=state == "stopping")
    elif state != "trained" and run.active is None:
        action = button("resume", say("training-go-on"), symbol="play", primary=True)
    if can_delete(run):
        action = button(f"delete:{run.name}", say("training-delete"), sure=lost_with(run)) + action
    words = [run.plan.recipe, *about["overrides"]]
    if about["dataset"]:
        words.append(say("training-of-data", dataset=about["dataset"]))
    said = ""
    if state == "failed":
        said = problem(run.training.state().problem)
    elif state == "cut off":
        said = message(say("training-why-cut-off"))
    return (
        f'<section class="card"><div class="card-head"><h2>{escape(run.name)}</h2>{_badge(state)}{action}</div>'
        f'<p class="small muted folder-name">{escape(" · ".join(filter(None, words)))}</p>{said}</section>'
    )


def job_progress(title: str, job: JobState, *, stop: str = "") -> str:
    """Returns how far a piece of work is: a bar, and in words what it does, how fast, and how long it still takes.

    Args:
        title: what is being done.
        job: how far it is.
        stop: what a button asks for that ends it; empty for no button.
    """
    told = job.progress
    step = told.get("step") if told.get("step") in _STEPS else "start"
    words = say(f"training-step-{step}", epoch=told.get("epoch", ""), epochs=told.get("epochs", ""))
    done, total = int(told.get("done", 0)), max(int(told.get("total", 1)), 1)
    beside = []
    if told.get("left") is not None:
        beside.append(say("folder-left", time=duration(told["left"])))
    if told.get("rate") is not None and step in _OF_PICTURES:
        speed = told["rate"]
        beside.append(say("folder-speed", speed=f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}"))
    if told.get("loss") is not None:
        beside.append(say("training-loss-now", loss=f"{told['loss']:.3f}"))
    bar = (
        f'<progress class="progress" max="{total}" value="{min(done, total)}" aria-label="{escape(title)}">'
        f"{escape(words)}</progress>"
    )
    ending = job.state == "stopping"
    action = button(stop, say("training-stop"), symbol="pause", disabled=ending) if stop else ""
    return (
        f'<section class="card" aria-label="{escape(title)}"><div class="card-head">'
        f"<h2>{escape(say('training-stopping') if ending else words)}</h2>"
        f'<span class="muted">{escape(" · ".join(beside))}</span>{action}</div>{bar}</section>'
    )


def epochs_card(run: TrainingRun) -> str:
    """Returns the curves of a run and its best epoch; nothing before the first epoch ended."""
    epochs, plan = run.epochs(), run.plan
    best = run.best
    if not epochs:
        return ""
    sentence = ""
    if best is not None:
        name = "training-best-of" if run.state == "trained" else "training-best"
        value = figure(plan.metric, best.metrics[plan.metric])
        words = say(name, epoch=best.number, metric=metric_name(plan.metric), value=value)
        sentence = f'<p class="small muted">{escape(words)}</p>'
    return card(say("training-curves-title"), curves(epochs, plan) + sentence)


def runs_table(runs: Sequence[TrainingRun], shown: str) -> str:
    """Returns a row for each run, `shown` being the one that is looked at; nothing where there is none."""
    if not runs:
        return ""
    heads = "".join(
        f'<th scope="col">{say(f"training-column-{name}")}</th>'
        for name in ("run", "epochs", "metric", "state")
    )
    body = "".join(_row(run, shown=run.name == shown) for run in runs)
    return (
        f'<div class="page-head"><h2>{say("training-runs-title")}</h2></div>'
        '<div class="card card-flush"><div class="table-wrap"><table class="table table-cards table-models">'
        f'<caption class="visually-hidden">{say("training-runs-title")}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></div>"
    )


def _badge(state: RunState) -> str:
    name, symbol = _STATES[state]
    return badge("plain", say(name), symbol)


def _row(run: TrainingRun, *, shown: bool) -> str:
    epochs, plan = run.epochs(), run.plan
    best = run.best
    value = f"{metric_name(plan.metric)} {figure(plan.metric, best.metrics[plan.metric])}" if best else "–"
    about = " · ".join(filter(None, (plan.recipe, Path(run.about["dataset"]).name)))
    done = say("training-epochs-of", done=len(epochs), planned=plan.epochs or "–")
    return (
        f'<tr{" aria-current=true" if shown else ""}><th scope="row" data-cell="title">'
        f'<button class="row-link" type="button" data-do="show:{escape(run.name)}">{escape(run.name)}</button>'
        f"<small>{escape(about)}</small></th>"
        f'<td data-cell="wide" data-label="{say("training-column-epochs")}">{done}</td>'
        f'<td data-cell="wide" data-label="{say("training-column-metric")}">{escape(value)}</td>'
        f'<td data-cell="wide">{_badge(run.state)}</td></tr>'
    )
