"""Batches through the API: many photographs at once, how far they are, what became of each; paused, ended, deleted."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from web.api import inputs, schemas
from web.api.keyset import page_of
from web.api.operations import Operation, read_fields
from web.api.predictions import FORM, shown
from web.api.problems import Fault, Problem
from web.batch_changes import cancel_batch, continue_batch, delete_batch, pause_batch
from web.batch_progress import Progress, progress_of, progress_of_each
from web.batch_uploads import BatchRefusedError, receive_batch
from web.batch_worker import worker
from web.batches import accept_batch, own_batch
from web.database import db
from web.models import Batch, BatchItem, Prediction

batches = Blueprint("batches", __name__)

FIELD = "files"


class BatchUpload(inputs.BatchFields):
    """Photographs, or a zip of them, and a name."""

    files: list[bytes]


def _shown(row: Batch, known: Progress | None = None) -> schemas.Batch:
    known = known or progress_of(row)
    return schemas.Batch(
        id=row.key,
        url=url_for("api.batches.show", batch=row.key),
        created_at=row.created_at,
        name=row.name,
        state=row.state,
        total=known.total,
        waiting=known.waiting,
        answered=known.done - known.failed,
        failed=known.failed,
        finished_at=row.finished_at,
        items=url_for("api.batches.items", batch=row.key),
    )


def _again(key: str) -> schemas.Batch:
    return _shown(own_batch(key))


@batches.get("/batches")
@Operation("List batches", scope="read", query=inputs.PageOf, gives=schemas.BatchPage)
def index(query: inputs.PageOf) -> schemas.BatchPage:
    """Returns batches, the newest first."""
    rows = select(Batch).where(Batch.user_id == current_user.id)
    found, following = page_of(rows, Batch, limit=query.limit, cursor=query.cursor)
    shown_each = [_shown(row, known) for row, known in zip(found, progress_of_each(found), strict=True)]
    return schemas.BatchPage(items=shown_each, next=following)


@batches.post("/batches")
@Operation(
    "Send a batch",
    scope="predict",
    status=202,
    gives=schemas.Batch,
    uploads={FORM: BatchUpload},
    again=_again,
    prepare=accept_batch,
)
def create(finish: Callable[[str], None]) -> schemas.Batch:
    """Takes up to 500 photographs, and answers them in the background.

    Send a form with a file for each photograph in the field `files`, or with a zip of them there.
    A file that cannot be read is an item with its reason, not the end of the batch. Ask the batch for how far it is.
    """
    fields = read_fields(inputs.BatchFields, request.form.to_dict())
    files = request.files.getlist(FIELD)
    if not files or len(request.files) != 1:
        fault = Fault(FIELD, f"Wanted: one file or more, in the field “{FIELD}”.")
        raise Problem(422, "invalid", fault.detail, faults=[fault])

    def keep(row: Batch) -> None:
        finish(url_for("api.batches.show", batch=row.key))

    try:
        row = receive_batch(current_user, files, fields.name, and_then=keep)
    except BatchRefusedError as err:
        raise Problem(422, "batch-refused", str(err)) from err
    worker().wake()
    return _shown(row)


@batches.get("/batches/<batch>")
@Operation("Get a batch", scope="read", gives=schemas.Batch)
def show(batch: str) -> schemas.Batch:
    """Returns how far a batch is."""
    return _shown(own_batch(batch))


@batches.get("/batches/<batch>/items")
@Operation("List the files of a batch", scope="read", query=inputs.ItemsAfter, gives=schemas.ItemPage)
def items(batch: str, query: inputs.ItemsAfter) -> schemas.ItemPage:
    """Returns the files of a batch in the order that they were sent in, each with its prediction or its reason."""
    rows = (
        select(BatchItem, Prediction)
        .join(Prediction, Prediction.id == BatchItem.prediction_id, isouter=True)
        .where(BatchItem.batch_id == own_batch(batch).id)
        .options(joinedload(Prediction.lesion))
        .order_by(BatchItem.position)
        .limit(query.limit + 1)
    )
    if query.after is not None:
        rows = rows.where(BatchItem.position > query.after)
    found = db.session.execute(rows).all()
    page = found[: query.limit]
    return schemas.ItemPage(
        items=[_shown_item(item, prediction) for item, prediction in page],
        next=page[-1][0].position if len(found) > len(page) else None,
    )


@batches.post("/batches/<batch>/pause")
@Operation("Pause a batch", scope="write", gives=schemas.Batch)
def pause(batch: str) -> schemas.Batch:
    """Begins no further file of a batch, until it is continued; a file that is being answered still is.

    A batch that is paused or has ended already stays as it is. A restart of the server continues nothing.
    """
    row = own_batch(batch)
    pause_batch(row)
    return _shown(row)


@batches.post("/batches/<batch>/continue")
@Operation("Continue a batch", scope="write", gives=schemas.Batch)
def resume(batch: str) -> schemas.Batch:
    """Goes on with a batch that is paused. Any other stays as it is."""
    row = own_batch(batch)
    continue_batch(row)
    worker().wake()
    return _shown(row)


@batches.post("/batches/<batch>/cancel")
@Operation("Cancel a batch", scope="write", gives=schemas.Batch)
def cancel(batch: str) -> schemas.Batch:
    """Ends a batch early; what has been answered stays. A batch that has ended already stays as it is."""
    row = own_batch(batch)
    if row.finished_at is None:
        cancel_batch(row)
    return _shown(row)


@batches.delete("/batches/<batch>")
@Operation("Delete a batch", scope="write", status=204, query=inputs.WithPredictions)
def delete(batch: str, query: inputs.WithPredictions) -> None:
    """Removes a batch for good. Its predictions stay, or go too (`predictions=delete`)."""
    delete_batch(own_batch(batch), with_answers=query.predictions == "delete")


def _shown_item(item: BatchItem, prediction: Prediction | None) -> schemas.BatchItem:
    return schemas.BatchItem(
        position=item.position,
        name=item.name,
        state=item.state,  # type: ignore[arg-type]
        error=item.error or None,
        prediction=shown(prediction) if prediction else None,
    )
