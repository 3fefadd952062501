"""What the tab of training shows now: its parts, those alone that are not as they were drawn last. Starts nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gradio as gr

from derm_core import ConfigError, DermError
from desktop.blocks import link_to, link_to_page
from desktop.markup import problem
from desktop.texts import say
from desktop.training_audits import audit_job
from desktop.training_job import AUDIT_PAGE, REPORT
from desktop.training_page import epochs_card, job_progress, run_head, runs_table
from desktop.training_results import audit_card, registered, results_card
from desktop.training_runs import TEST, VALIDATION, TrainingRun, find_run, known_runs
from desktop.uploads import download_folder

PARTS = ("head", "progress", "curves", "results", "registered", "audit", "found", "runs")
"""What is drawn anew where it changed; each is a part of the page with the name before it: training-head, ..."""
_TITLES = {
    "train": "training-running",
    "evaluate": "training-measuring",
    "register": "training-registering",
}


def drawn_anew(name: str, folder: str, last: dict[str, str]) -> list[Any]:
    """Returns the parts of the page that are not as they were drawn last, and the state to draw from next."""
    runs = known_runs()
    busy = next((run for run in runs if run.active), None)
    # Whoever opens the app finds what goes on, and what was cut off meanwhile.
    cut_off = next((run for run in runs if run.state == "cut off"), None)
    run = next((run for run in runs if run.name == name), None) or busy or cut_off
    audited = audit_job(Path(folder)).state() if folder else None
    looking = audited is not None and audited.is_active
    texts = dict.fromkeys(PARTS, "") | {"runs": runs_table(runs, run.name if run else "")}
    if run is not None:
        texts |= _run_texts(run)
    if audited is not None and looking:
        texts["audit"] = job_progress(say("training-audit-running"), audited, stop="end-audit")
    elif audited is not None:
        texts["found"] = audit_card(audited)
    idle = run is not None and run.active is None
    return [
        *(
            gr.skip()
            if texts[part] == last.get(part)
            else gr.update(value=texts[part], visible=bool(texts[part]))
            for part in PARTS
        ),
        gr.update(visible=run is not None and idle and bool(run.epochs())),
        gr.update(visible=audited is not None and audited.state == "done"),
        texts,
        gr.Timer(active=looking or busy is not None),
        run.name if run else "",
    ]


def _run_texts(run: TrainingRun) -> dict[str, str]:
    job, progress = run.active, ""
    if job is not None:
        state = job.state()
        # The training's own button stands in its head.
        stop = "" if state.task["do"] == "train" else "end"
        progress = job_progress(say(_TITLES[state.task["do"]]), state, stop=stop)
    return {
        "head": run_head(run),
        "progress": progress,
        "curves": epochs_card(run),
        "results": results_card(run),
        "registered": registered(run),
    }


def complained(err: Exception) -> list[Any]:
    """Returns the page as it is, with what went wrong at its top."""
    sentence = str(err)
    if isinstance(err, OSError) and not isinstance(err, DermError):
        sentence = say("training-disk", reason=err.strerror or str(err))
    return [*[gr.skip()] * (len(PARTS) + 5), gr.update(value=problem(sentence), visible=True)]


def page_link(word: str, value: str, name: str, folder: str) -> str:
    """Returns a link to the page of an audit or of a report: for "see-page" and "see-report" it is shown, not taken."""
    if word.endswith("page"):
        source, called = audit_job(Path(folder)).folder / AUDIT_PAGE, f"audit-{Path(folder).name}"
        title = say("training-audit-title", dataset=Path(folder).name)
    else:
        run = find_run(name)
        if run is None or value not in (VALIDATION, TEST):
            raise ConfigError(say("training-gone", name=name))
        source, called = run.evaluation(value).folder / REPORT / "report.html", f"report-{name}-{value}"
        title = say("training-report-title", run=name)
    # In the folder for uploads, which is emptied: where it goes to stay is the browser's business.
    out = download_folder() / f"{called}.html"
    shutil.copyfile(source, out)
    return link_to_page(out, title) if word.startswith("see-") else link_to(out)
