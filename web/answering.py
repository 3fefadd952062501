"""One photograph in, one kept answer out: files first, then the row; and the way back. Shows no page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict

from flask import Flask, current_app
from PIL import Image
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from derm_core import Explanations, PatientContext, lesion_share, pack_heatmap
from web.database import db
from web.inference import Answered, inference
from web.models import Prediction, User, new_key
from web.pictures import (
    HEATMAP_SIDE,
    PHOTO,
    THUMBNAIL,
    heatmap_name,
    photo_jpeg,
    read_photograph,
    thumbnail_jpeg,
)
from web.quota import require_room, room_left
from web.storage import PictureStore

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 500  # a statement may name only so many


def init_store(app: Flask) -> None:
    """Gives the app its folder of photographs."""
    app.extensions["pictures"] = PictureStore(app.config["DERM_HOME"] / "images")


def store() -> PictureStore:
    """Returns the app's folder of photographs."""
    return current_app.extensions["pictures"]


def answer_photograph(
    user: User,
    data: bytes,
    *,
    patient: PatientContext | None = None,
    note: str = "",
    is_sample: bool = False,
    and_then: Callable[[Prediction], None] | None = None,
) -> Prediction:
    """Answers an uploaded photograph and keeps both, with what is known of the patient.

    When this returns, files and row are on the disk; when it raises, neither is. Nothing uncommitted may stand in the
    session: the connection is given back while the request waits for its turn.
    Raises InvalidImageError where the upload cannot be read, ModelUnavailableError where there is no model, and
    ModelBusyError where too many wait for it.
    """
    if not (db.session.new or db.session.dirty or db.session.deleted):
        db.session.rollback()
    return answer_in_turn(
        user,
        data,
        turn=inference().turns.request(),
        patient=patient,
        note=note,
        is_sample=is_sample,
        and_then=and_then,
    )


def answer_in_turn(
    user: User,
    data: bytes,
    *,
    turn: AbstractContextManager[object],
    patient: PatientContext | None = None,
    note: str = "",
    is_sample: bool = False,
    and_then: Callable[[Prediction], None] | None = None,
) -> Prediction:
    """Does what answer_photograph does, for a caller who knows which of the model's turns to take.

    Raises QuotaFullError where the user's files take all the room that they may.

    Args:
        turn: held while the photograph is in memory and the model is asked, not while the disk is waited for.
        and_then: called with the new row before it is committed: what it changes is kept with the row, or not at all.
    """
    patient = patient or PatientContext()
    with turn:
        left = room_left(user)
        require_room(left, 1)
        image = read_photograph(data)
        answered = inference().answer(data, context=patient, max_side=HEATMAP_SIDE)
        files = _files(image, answered.explanations)
    row = _row(user, image, answered, patient, note=note, is_sample=is_sample)
    row.bytes = sum(len(content) for content in files.values())
    require_room(left, row.bytes)
    keep_answer(row, files, and_then=and_then)
    return row


def keep_answer(
    row: Prediction, files: Mapping[str, bytes], *, and_then: Callable[[Prediction], None] | None = None
) -> None:
    """Keeps a new row with its files: both are on the disk when this returns, and neither when it raises.

    `and_then` is called as by answer_in_turn.
    """
    key = row.key
    store().save(key, files)
    try:
        db.session.add(row)
        if and_then is not None:
            db.session.flush()
            and_then(row)
        db.session.commit()
    except BaseException:
        _withdraw(key)
        raise


def delete_prediction(prediction: Prediction) -> None:
    """Removes an answer for good: its row, then its files."""
    key = prediction.key
    db.session.delete(prediction)
    db.session.commit()
    store().delete(key)


def delete_predictions(user: User, keys: Collection[str]) -> int:
    """Removes those of a user's answers that have these keys, all of them or none, and returns how many that were."""
    wanted, found = list(keys), list[str]()
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        some = (Prediction.user_id == user.id, Prediction.key.in_(wanted[start : start + _ROWS_AT_ONCE]))
        found += db.session.scalars(select(Prediction.key).where(*some)).all()
        db.session.execute(delete(Prediction).where(*some))
    db.session.commit()
    for key in found:
        store().delete(key)
    return len(found)


def sweep_pictures(app: Flask) -> int:
    """Removes photographs that a killed server left without a row, and returns how many."""

    def known(keys: Collection[str]) -> Collection[str]:
        found = db.session.scalars(select(Prediction.key).where(Prediction.key.in_(keys))).all()
        db.session.rollback()
        return found

    with app.app_context():
        age = app.config["SWEEP_OLDER_THAN"].total_seconds()
        removed = store().sweep(known, older_than_seconds=age)
    if removed:
        log.warning("Removed %d pictures that had no row", removed)
    return removed


def _withdraw(key: str) -> None:
    """Removes the files of a picture whose row was not committed.

    A connection may break after the database has committed. So the row is looked for; where even that cannot be done,
    the files stay: a file without its row is swept away later, a row without its files is never left.
    """
    try:
        db.session.rollback()
        committed = db.session.scalar(select(Prediction.id).where(Prediction.key == key)) is not None
    except SQLAlchemyError:
        log.exception("Cannot tell whether a picture has its row; its files are left to the sweep")
        return
    if not committed:
        store().delete(key)


def _row(
    user: User,
    image: Image.Image,
    answered: Answered,
    patient: PatientContext,
    *,
    note: str,
    is_sample: bool,
) -> Prediction:
    answer = answered.explanations.prediction
    return Prediction(
        user_id=user.id,
        key=new_key(),
        note=note,
        age=patient.age,
        sex=patient.sex,
        site=patient.site,
        context=" ".join(answer.context),
        is_sample=is_sample,
        width=image.width,
        height=image.height,
        lesion_share=lesion_share(image) if answer.advice != "unsure" else None,
        probabilities=dict(answer.probabilities),
        top=answer.top,
        plausible=list(answer.plausible) or None,
        plausible_level=answered.plausible_level if answer.plausible else None,
        malignant_probability=answer.malignant_probability,
        operating_point=answer.operating_point,
        operating_point_measured=answered.operating_point,
        advice=answer.advice,
        quality=[asdict(flag) for flag in answer.quality],
        model_name=answer.model_name,
        model_version=answer.model_version,
        model_sha256=answer.model_sha256,
        seconds=answer.seconds,
    )


def _files(image: Image.Image, explanations: Explanations) -> dict[str, bytes]:
    files = {PHOTO: photo_jpeg(image), THUMBNAIL: thumbnail_jpeg(image)}
    if explanations.prediction.advice != "unsure":
        # Where there is no answer, there is nothing to explain: the heatmaps are withheld like the figures.
        files |= {heatmap_name(code): pack_heatmap(heatmap) for code, heatmap in explanations.items()}
    return files
