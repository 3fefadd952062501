"""How good a run is, the model made of it, and what an audit found, as HTML. Measures nothing, and knows no Gradio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from derm_core import percent
from desktop.markup import badge, button, card, message, problem
from desktop.texts import say
from desktop.training_job import JobState
from desktop.training_runs import TEST, VALIDATION, TrainingRun

_SHARES = ("accuracy", "balanced_accuracy")
"""Figures that are shares of pictures and written in percent; the others have no unit."""
_MEASURED = ("balanced_accuracy", "macro_f1", "malignant_auc", "accuracy")
_SYMBOLS = {"fault": "bad", "warning": "unsure", "note": "ok"}
_UNFINISHED = {
    "audit": {"stopped": "training-audit-stopped", "cut off": "training-audit-cut-off"},
    "evaluate": {"stopped": "training-measuring-stopped", "cut off": "training-measuring-cut-off"},
    "register": {"stopped": "training-registering-stopped", "cut off": "training-registering-cut-off"},
}


def results_card(run: TrainingRun) -> str:
    """Returns how good a run is on validation and test pictures, as far as it was measured; nothing before an epoch."""
    if not run.epochs() or run.state in ("running", "stopping"):
        return ""
    parts = [_measured(split, run.evaluation(split).state()) for split in (VALIDATION, TEST)]
    idle = run.active is None
    ask = (
        f'<div class="row-actions row-start">{button("evaluate:val", say("training-measure-val"), disabled=not idle)}'
        + button(
            "evaluate:test", say("training-measure-test"), disabled=not idle, sure=say("training-test-sure")
        )
        + "</div>"
    )
    note = f'<p class="small muted">{say("training-test-once")}</p>'
    return card(say("training-measured-title"), f"{''.join(parts)}{ask}{note}")


def registered(run: TrainingRun) -> str:
    """Returns what became of making a run a model; nothing where that was not tried."""
    job = run.registering.state()
    if job.state == "done":
        return message(say("training-registered", model=job.result["model"], sha=job.result["sha256"][:12]))
    return _unfinished(job)


def audit_card(job: JobState) -> str:
    """Returns what the audit of a dataset found, in words, with its page to take along."""
    if job.state != "done":
        return _unfinished(job)
    found: Mapping[str, Any] = job.result
    counts = [
        (say("training-pictures"), found["pictures"]),
        (say("training-lesions"), found["lesions"]),
        *found["splits"].items(),
        *found["classes"].items(),
    ]
    stats = "".join(
        f'<div class="stat stat-small"><dt>{escape(name or "–")}</dt><dd>{count:,}</dd></div>'
        for name, count in counts
    )
    lines = "".join(
        f'<li data-level="{level}">{badge("plain", say(f"training-level-{level}"), _SYMBOLS[level])}'
        f"<span>{escape(sentence)}</span></li>"
        for level, sentence in found["findings"]
    )
    faults = any(level == "fault" for level, _ in found["findings"])
    warned = problem(say("training-audit-faults")) if faults else ""
    page = button("see-page", say("training-audit-see"), symbol="file") + button(
        "page", say("training-audit-page"), symbol="down"
    )
    return (
        f'<section class="card"><div class="card-head"><h2>{escape(found["headline"])}</h2>'
        f'<div class="row-actions row-start">{page}</div></div>'
        f'<dl class="figure-row">{stats}</dl>{f"<ul class=findings>{lines}</ul>" if lines else ""}{warned}</section>'
    )


def metric_name(metric: str) -> str:
    """Returns what people call a figure."""
    return say(f"metric-{metric.replace('_', '-')}")


def figure(metric: str, value: float | None) -> str:
    """Writes a figure: shares of pictures in percent, others with two decimals."""
    if value is None:
        return "–"
    return percent(value) if metric in _SHARES else f"{value:.2f}"


def _measured(split: str, job: JobState) -> str:
    title = say("training-on-val" if split == VALIDATION else "training-on-test")
    if job.state != "done":
        return _unfinished(job)
    values, ends = job.result["figures"], job.result["ci95"]
    stats = "".join(
        f'<div class="stat"><dt>{escape(metric_name(name))}</dt>'
        f"<dd>{_with_interval(name, values[name], ends[name])}</dd>"
        f'<dd class="stat-more">{_means(name)}</dd></div>'
        for name in _MEASURED
        if values.get(name) is not None
    )
    on = say(
        "training-measured-on",
        epoch=job.task["epoch"],
        photographs=f"{job.result['photographs']:,}",
        lesions=f"{job.result['lesions']:,}",
    )
    report = button(f"see-report:{split}", say("training-report-see"), symbol="file") + button(
        f"report:{split}", say("training-report"), symbol="down"
    )
    return (
        f'<div class="measured"><div class="card-head"><h3>{title}</h3>'
        f'<div class="row-actions row-start">{report}</div></div>'
        f'<dl class="figure-row">{stats}</dl>'
        f'<p class="small muted">{escape(on)}</p></div>'
    )


def _with_interval(name: str, value: float, ends: Sequence[float] | None) -> str:
    if not ends:
        return escape(figure(name, value))
    scale = 100 if name in _SHARES else 1
    low, high = (f"{scale * end:.0f}" if scale > 1 else f"{end:.2f}" for end in ends)
    return f'{escape(figure(name, value))} <span class="interval">({low}–{high})</span>'


def _unfinished(job: JobState) -> str:
    if job.state == "failed":
        return problem(job.problem)
    if job.state in ("stopped", "cut off"):
        return message(say(_UNFINISHED[job.task["do"]][job.state]))
    return ""


def _means(name: str) -> str:
    return escape(say(f"training-means-{name.replace('_', '-')}"))
