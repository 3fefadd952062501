"""The pages of batches: sending many photographs, watching how far they are, the table, and what is done with them."""

from __future__ import annotations

from typing import cast

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from werkzeug.exceptions import RequestEntityTooLarge

from web.batch_changes import cancel_batch, continue_batch, delete_batch, pause_batch
from web.batch_forms import BatchForm, DeleteBatchForm
from web.batch_progress import Progress, progress_of, progress_of_each
from web.batch_records import GROUPS, SORTS, rows_csv, rows_of
from web.batch_uploads import BatchRefusedError, receive_batch, waiting_uploads
from web.batch_worker import worker
from web.database import db
from web.errors import drain_request
from web.models import Batch
from web.multipart import Request
from web.paging import batches_page
from web.security import login_manager

batches = Blueprint("batches", __name__)

_OVERHEAD_BYTES = 1_000_000
"""What a form may take beside its files: their names, and what stands between them."""
_PARTS_OVER = 2
"""A folder with more files than a batch takes still arrives, up to this many times as many, to be told so in words."""


def own_batch(key: str) -> Batch:
    """Returns the signed-in user's batch of that key; for anybody else's, as for one that never was, 404."""
    query = select(Batch).where(Batch.key == key, Batch.user_id == current_user.id)
    return db.session.scalar(query) or abort(404)


def accept_batch() -> None:
    """Raises the limits of this request, before its form is read, to what a batch may have."""
    config = current_app.config
    cast(Request, request).accept_files(
        _PARTS_OVER * config["BATCH_FILES"],
        config["DERM_BATCH_MB"] * 1_000_000 + _OVERHEAD_BYTES,
        waiting_uploads().root,
    )


@batches.url_value_preprocessor
def _accept_many(endpoint: str | None, values: object) -> None:
    # The first thing that is asked of a request, before its token is looked for in the form.
    if endpoint == "batches.create" and current_user.is_authenticated:
        accept_batch()


@batches.get("/batches")
def index() -> ResponseReturnValue:
    """Takes a folder, many pictures or a zip; lists the batches, newest first."""
    return _index_page(BatchForm())


@batches.post("/batches")
def create() -> ResponseReturnValue:
    """Keeps what was sent, and leads to its page; the answers come in the background."""
    form = BatchForm()
    if not form.validate():
        return _index_page(form, status=400)
    files = [*request.files.getlist("files"), *request.files.getlist("folder")]
    try:
        batch = receive_batch(current_user, files, form.name.data)
    except BatchRefusedError as err:
        return _index_page(form, str(err), status=400)
    worker().wake()
    return redirect(url_for("batches.batch", batch=batch.key), 303)


@batches.errorhandler(413)
def _too_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
    drain_request()
    if not current_user.is_authenticated:
        return login_manager.unauthorized()
    config = current_app.config
    problem = (
        f"This is more than a batch takes: {config['BATCH_FILES']} files with {config['DERM_BATCH_MB']:,} MB at most. "
        "Nothing was stored. Send them in parts."
    )
    # The form itself was not read, so the page is built without it.
    return _index_page(BatchForm(formdata=None), problem, status=413)


@batches.get("/batches/<batch>")
def batch(batch: str) -> ResponseReturnValue:
    """Shows how far a batch is, and its table; `?sort=risk&order=descending&show=refer` orders and narrows it."""
    found = own_batch(batch)
    known = progress_of(found)
    view = _view()
    return render_template(
        "batch.html",
        batch=found,
        progress=known,
        standing=_standing(found, known),
        rows=rows_of(found, sort=view["sort"], descending=view["order"] == "descending", group=view["show"]),
        view=view,
    )


@batches.get("/batches/<batch>/progress")
def progress(batch: str) -> ResponseReturnValue:
    """Says in JSON how far a batch is: counts, and that it is paused or about how long it will take."""
    found = own_batch(batch)
    known = progress_of(found)
    return {
        "state": found.state,
        "total": known.total,
        "done": known.done,
        "refer": known.refer,
        "routine": known.routine,
        "unsure": known.unsure,
        "failed": known.failed,
        "waiting": known.waiting,
        "standing": _standing(found, known),
    }


@batches.get("/batches/<batch>/table.csv")
def table_csv(batch: str) -> ResponseReturnValue:
    """Returns the table as it is by now."""
    found = own_batch(batch)
    response = make_response("\ufeff" + rows_csv(rows_of(found)))
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    response.headers["Content-Disposition"] = f'attachment; filename="batch-{found.created_at:%Y-%m-%d}.csv"'
    return response


@batches.post("/batches/<batch>/pause")
def pause(batch: str) -> ResponseReturnValue:
    """Begins no further file of a batch, until it is continued."""
    pause_batch(own_batch(batch))
    return redirect(url_for("batches.batch", batch=batch), 303)


@batches.post("/batches/<batch>/continue")
def resume(batch: str) -> ResponseReturnValue:
    """Goes on with a batch that is paused."""
    continue_batch(own_batch(batch))
    worker().wake()
    return redirect(url_for("batches.batch", batch=batch), 303)


@batches.post("/batches/<batch>/cancel")
def cancel(batch: str) -> ResponseReturnValue:
    """Ends a batch early; what has been answered stays."""
    found = own_batch(batch)
    if found.finished_at is None:
        cancel_batch(found)
        flash("The batch is cancelled. What was answered before stays.")
    return redirect(url_for("batches.batch", batch=batch), 303)


@batches.route("/batches/<batch>/delete", methods=["GET", "POST"])
def delete(batch: str) -> ResponseReturnValue:
    """Asks once more, and whether the answers stay; then removes the batch for good."""
    found = own_batch(batch)
    form = DeleteBatchForm()
    if not form.validate_on_submit():
        status = 400 if request.method == "POST" else 200
        return render_template(
            "batch_delete.html", batch=found, progress=progress_of(found), form=form
        ), status
    removed = delete_batch(found, with_answers=form.answers.data == "delete")
    answers = "1 answer" if removed == 1 else f"{removed:,} answers"
    kept = form.answers.data == "keep"
    flash(
        "The batch is deleted; its answers stay in the history."
        if kept
        else f"The batch and {answers} are deleted."
    )
    return redirect(url_for("batches.index"), 303)


def _standing(batch: Batch, known: Progress) -> str:
    """Writes how a batch stands: that it is paused, or about how long it will take; empty where that cannot be told."""
    return "Paused: no further file is begun." if batch.state == "paused" else known.left_text


def _view() -> dict[str, str]:
    """Reads how the table is to be shown; what cannot be read counts as the usual."""
    given = request.args
    return {
        "sort": given["sort"] if given.get("sort") in SORTS else "position",
        "order": "descending" if given.get("order") == "descending" else "ascending",
        "show": given["show"] if given.get("show") in GROUPS else "",
    }


def _index_page(form: BatchForm, problem: str = "", *, status: int = 200) -> ResponseReturnValue:
    config = current_app.config
    page = batches_page(
        current_user,
        config["HISTORY_PAGE_SIZE"],
        before=request.args.get("before"),
        after=request.args.get("after"),
    )
    return render_template(
        "batches.html",
        form=form,
        problem=problem,
        page=page,
        listed=list(zip(page.rows, progress_of_each(page.rows), strict=True)),
        most_files=config["BATCH_FILES"],
        most_megabytes=config["DERM_BATCH_MB"],
    ), status
