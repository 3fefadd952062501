"""One photograph in, one kept answer out: files first, then the row; and the way back. Shows no page."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection
from dataclasses import asdict

from flask import Flask, current_app
from PIL import Image
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from derm_core import Explanations, PatientContext
from web.database import db
from web.inference import inference
from web.models import Prediction, User, new_key
from web.pictures import (
    HEATMAP_SIDE,
    PHOTO,
    THUMBNAIL,
    heatmap_name,
    heatmap_png,
    photo_jpeg,
    read_photograph,
    thumbnail_jpeg,
)
from web.storage import PictureStore

log = logging.getLogger(__name__)

_PIXELS = threading.BoundedSemaphore(max(2, (os.cpu_count() or 2) // 2))
"""Held while a photograph is in memory: one of 64 megapixels takes a few hundred megabytes."""


def init_store(app: Flask) -> None:
    """Gives the app its folder of photographs."""
    app.extensions["pictures"] = PictureStore(app.config["DERM_HOME"] / "images")


def store() -> PictureStore:
    """Returns the app's folder of photographs."""
    return current_app.extensions["pictures"]


def answer_photograph(
    user: User, data: bytes, *, patient: PatientContext | None = None, note: str = "", is_sample: bool = False
) -> Prediction:
    """Answers an uploaded photograph and keeps both, with what is known of the patient.

    When this returns, files and row are on the disk; when it raises, neither is.
    Raises InvalidImageError where the upload cannot be read, ModelUnavailableError where there is no model.
    """
    patient = patient or PatientContext()
    with _PIXELS:
        image = read_photograph(data)
        explanations = inference().explain_all(data, context=patient, max_side=HEATMAP_SIDE)
        files = _files(image, explanations)
    row = _row(user, image, explanations, patient, note=note, is_sample=is_sample)
    key = row.key
    store().save(key, files)
    try:
        db.session.add(row)
        db.session.commit()
    except BaseException:
        _withdraw(key)
        raise
    return row


def delete_prediction(prediction: Prediction) -> None:
    """Removes an answer for good: its row, then its files."""
    key = prediction.key
    db.session.delete(prediction)
    db.session.commit()
    store().delete(key)


def delete_user(user: User) -> int:
    """Removes an account with everything it holds, and returns how many answers that were."""
    keys = db.session.scalars(select(Prediction.key).where(Prediction.user_id == user.id)).all()
    db.session.execute(delete(User).where(User.id == user.id))
    db.session.commit()
    for key in keys:
        store().delete(key)
    return len(keys)


def sweep_pictures(app: Flask) -> int:
    """Removes photographs that a killed server left without a row, and returns how many."""

    def known(keys: Collection[str]) -> Collection[str]:
        found = db.session.scalars(select(Prediction.key).where(Prediction.key.in_(keys))).all()
        db.session.rollback()
        return found

    with app.app_context():
        removed = store().sweep(known)
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
    explanations: Explanations,
    patient: PatientContext,
    *,
    note: str,
    is_sample: bool,
) -> Prediction:
    answer = explanations.prediction
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
        probabilities=dict(answer.probabilities),
        top=answer.top,
        malignant_probability=answer.malignant_probability,
        operating_point=answer.operating_point,
        operating_point_measured=inference().operating_point(with_context=bool(answer.context)),
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
        files |= {heatmap_name(code): heatmap_png(heatmap) for code, heatmap in explanations.items()}
    return files
