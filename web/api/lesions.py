"""Lesions through the API: the list, and making, changing and ending one."""

from __future__ import annotations

from collections.abc import Callable, Collection

from flask import Blueprint, url_for
from flask_login import current_user
from sqlalchemy import func, select

from web.answering import delete_predictions
from web.api import inputs, schemas, values
from web.api.keyset import page_of
from web.api.operations import Operation
from web.audit import record
from web.database import db
from web.models import Lesion, Prediction
from web.visits import own_lesion

lesions = Blueprint("lesions", __name__)


def _shown(row: Lesion, photographs: int) -> schemas.Lesion:
    place = None
    if row.body_view and row.body_x is not None and row.body_y is not None:
        place = values.Place(view=row.body_view, x=row.body_x, y=row.body_y)  # type: ignore[arg-type]
    return schemas.Lesion(
        id=row.key,
        url=url_for("api.lesions.show", lesion=row.key),
        created_at=row.created_at,
        name=row.name,
        site=row.site or None,
        place=place,
        notes=row.notes,
        photographs=photographs,
        predictions=url_for("api.predictions.index", lesion=row.key),
    )


def _shown_one(row: Lesion) -> schemas.Lesion:
    return _shown(row, _count([row.id]).get(row.id, 0))


def _count(lesions: Collection[int]) -> dict[int, int]:
    """Returns how many photographs each lesion has; those without any are left out."""
    query = select(Prediction.lesion_id, func.count().label("photographs")).where(
        Prediction.lesion_id.in_(lesions)
    )
    rows = db.session.execute(query.group_by(Prediction.lesion_id)).all()
    return {row.lesion_id: row.photographs for row in rows}


def _again(key: str) -> schemas.Lesion:
    return _shown_one(own_lesion(key))


@lesions.get("/lesions")
@Operation("List lesions", scope="read", query=inputs.PageOf, gives=schemas.LesionPage)
def index(query: inputs.PageOf) -> schemas.LesionPage:
    """Returns lesions, the newest first."""
    rows = select(Lesion).where(Lesion.user_id == current_user.id)
    found, following = page_of(rows, Lesion, limit=query.limit, cursor=query.cursor)
    numbers = _count([row.id for row in found])
    return schemas.LesionPage(items=[_shown(row, numbers.get(row.id, 0)) for row in found], next=following)


@lesions.post("/lesions")
@Operation(
    "Make a lesion", scope="write", status=201, body=inputs.LesionNew, gives=schemas.Lesion, again=_again
)
def create(body: inputs.LesionNew, finish: Callable[[str], None]) -> schemas.Lesion:
    """Makes a lesion, to which photographs can then be sent."""
    row = Lesion(user_id=current_user.id, name=body.name, site=body.site or "", notes=body.notes)
    _put(row, body.place)
    db.session.add(row)
    db.session.flush()
    finish(url_for("api.lesions.show", lesion=row.key))
    db.session.commit()
    return _shown(row, 0)


@lesions.get("/lesions/<lesion>")
@Operation("Get a lesion", scope="read", gives=schemas.Lesion)
def show(lesion: str) -> schemas.Lesion:
    """Returns one lesion; its photographs are at the address in `predictions`."""
    return _shown_one(own_lesion(lesion))


@lesions.patch("/lesions/<lesion>")
@Operation("Change a lesion", scope="write", body=inputs.LesionChange, gives=schemas.Lesion)
def change(lesion: str, body: inputs.LesionChange) -> schemas.Lesion:
    """Changes what is sent, and leaves the rest."""
    row = own_lesion(lesion)
    if "name" in body.model_fields_set:
        row.name = body.name
    if "site" in body.model_fields_set:
        row.site = body.site or ""
    if "place" in body.model_fields_set:
        _put(row, body.place)
    if "notes" in body.model_fields_set:
        row.notes = body.notes
    db.session.commit()
    return _shown_one(row)


@lesions.delete("/lesions/<lesion>")
@Operation("Delete a lesion", scope="write", status=204, query=inputs.WithPhotographs)
def delete(lesion: str, query: inputs.WithPhotographs) -> None:
    """Removes a lesion for good. Its photographs stay without a lesion, or go too (`photographs=delete`)."""
    row, removed = own_lesion(lesion), 0
    if query.photographs == "delete":
        keys = db.session.scalars(select(Prediction.key).where(Prediction.lesion_id == row.id)).all()
        removed = delete_predictions(current_user, keys)
    record("lesion.deleted", "lesion", row.key, photographs=removed)
    db.session.delete(row)
    db.session.commit()


def _put(row: Lesion, place: values.Place | None) -> None:
    row.body_view = place.view if place else ""
    row.body_x = place.x if place else None
    row.body_y = place.y if place else None
