"""Takes a case file in: lesions, photographs and answers that were given elsewhere. Runs no model, shows no page.

Photographs are decoded and written anew, as those that are uploaded; each waits for its turn and needs its room. What
comes from elsewhere keeps its name in `origin`, so that the same file adds nothing a second time. Its sender waits
meanwhile, so a file has so many seconds at once; the same file again adds the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO

from flask import current_app
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from derm_core import (
    CaseCounts,
    CaseFileError,
    CaseLesion,
    CasePhotograph,
    CaseReview,
    InvalidImageError,
    lesion_share,
    open_case_file,
    pack_heatmap,
    unpack_heatmap,
)
from web.answering import keep_answer
from web.audit import record
from web.case_rows import newest_review
from web.database import db, now
from web.inference import inference
from web.models import NOTE_LENGTH, Lesion, Prediction, Review, User, new_key
from web.models.lesions import LESION_NAME_LENGTH
from web.pictures import PHOTO, THUMBNAIL, heatmap_name, photo_jpeg, read_photograph, thumbnail_jpeg
from web.presentation import date_text
from web.quota import QuotaFullError, require_room, room_left
from web.turns import ModelBusyError

MOST_PHOTOGRAPHS = 300
"""In one file: they are taken in while its sender waits."""
NOT_A_PICTURE = "The picture or one of its heatmaps cannot be read."
NOT_A_CLINICIAN = "Only clinicians confirm diagnoses and mark pictures here. The photograph itself is there."
BUSY = "The server has much to do. Send the same file again in a while: it adds the rest."
TIME_IS_UP = (
    "The {seconds} seconds that a file is given were over. Send the same file again: it adds the rest."
)


def import_case_file(user: User, file: IO[bytes]) -> CaseCounts:
    """Takes in what of a case file is not there yet, and tells what came of it.

    What was taken in stays where it breaks off; the same file again adds the rest. Reviews are taken from clinicians
    alone, in whose name they then stand.

    Raises CaseFileError where it is none that can be read here.
    """
    counts = CaseCounts()
    until = time.monotonic() + current_app.config["CASE_FILE_SECONDS"]
    with open_case_file(file, most_bytes=current_app.config["DERM_BATCH_MB"] * 1_000_000) as opened:
        if opened.photographs > MOST_PHOTOGRAPHS:
            raise CaseFileError(
                f"This case file has {opened.photographs:,} photographs; wanted: at most {MOST_PHOTOGRAPHS}. Export "
                "the lesions in parts."
            )
        for lesion in opened.lesions:
            lesion_id = _lesion_id(user, lesion, counts)
            for photograph in lesion.photographs:
                _take(user, lesion_id, photograph, counts, until)
    record(
        "lesions.imported",
        lesions=counts.lesions,
        answers=counts.photographs,
        reviews=counts.reviews,
        refused=counts.refused.total(),
    )
    db.session.commit()
    return counts


def _lesion_id(user: User, lesion: CaseLesion, counts: CaseCounts) -> int:
    query = select(Lesion.id).where(
        Lesion.user_id == user.id, or_(Lesion.key == lesion.id, Lesion.origin == lesion.id)
    )
    if (found := db.session.scalar(query)) is not None:
        return found
    view, x, y = lesion.body or ("", None, None)
    name = ", ".join(part for part in (lesion.patient.strip(), lesion.name.strip()) if part)
    row = Lesion(
        user_id=user.id,
        key=new_key(),
        origin=lesion.id,
        name=name[:LESION_NAME_LENGTH],
        site=lesion.site,
        body_view=view,
        body_x=x,
        body_y=y,
        notes=lesion.notes,
        created_at=min(lesion.created_at, now()),
    )
    db.session.add(row)
    try:
        db.session.commit()
    except IntegrityError:
        # The same file came twice at the same moment.
        db.session.rollback()
        return db.session.scalars(query).one()
    counts.lesions += 1
    return row.id


def _take(user: User, lesion_id: int, photograph: CasePhotograph, counts: CaseCounts, until: float) -> None:
    query = select(Prediction).where(
        Prediction.user_id == user.id,
        or_(Prediction.key == photograph.id, Prediction.origin == photograph.id),
    )
    row = db.session.scalar(query)
    if row is not None:
        counts.there_already += 1
    elif counts.photographs and time.monotonic() >= until:
        # One at least was taken in: however slow the server is, sending the file again comes to an end.
        counts.refuse(TIME_IS_UP.format(seconds=current_app.config["CASE_FILE_SECONDS"]))
        return
    else:
        try:
            row = _keep(user, lesion_id, photograph)
        except IntegrityError:
            counts.there_already += 1
            row = db.session.scalars(query).one()
        except (CaseFileError, InvalidImageError, QuotaFullError, ModelBusyError) as err:
            counts.refuse(_reason(err))
            return
        else:
            counts.photographs += 1
    if photograph.review is not None:
        _take_review(user, row, photograph.review, counts)


def _reason(err: Exception) -> str:
    if isinstance(err, InvalidImageError):
        return NOT_A_PICTURE
    return BUSY if isinstance(err, ModelBusyError) else str(err)


def _keep(user: User, lesion_id: int, photograph: CasePhotograph) -> Prediction:
    answer, patient = photograph.prediction, photograph.patient
    db.session.rollback()
    with inference().turns.request():
        left = room_left(user)
        require_room(left, 1)
        image = read_photograph(photograph.picture())
        files = {PHOTO: photo_jpeg(image), THUMBNAIL: thumbnail_jpeg(image)}
        files |= {heatmap_name(code): _heatmap(read) for code, read in photograph.heatmaps.items()}
        share = lesion_share(image) if answer.advice != "unsure" else None
    size = sum(len(content) for content in files.values())
    require_room(left, size)
    moment = now()
    row = Prediction(
        user_id=user.id,
        lesion_id=lesion_id,
        key=new_key(),
        origin=photograph.id,
        imported_at=moment,
        created_at=min(photograph.answered_at, moment),
        taken_on=photograph.taken_on,
        note=photograph.note,
        age=patient.age,
        sex=patient.sex,
        site=patient.site,
        context=" ".join(answer.context),
        width=image.width,
        height=image.height,
        bytes=size,
        lesion_share=share,
        probabilities=dict(answer.probabilities),
        top=answer.top,
        plausible=list(answer.plausible) or None,
        plausible_level=photograph.plausible_level if answer.plausible else None,
        malignant_probability=answer.malignant_probability,
        operating_point=answer.operating_point,
        operating_point_measured=dict(photograph.measured),
        advice=answer.advice,
        quality=[
            {"name": flag.name, "reason": flag.reason, "severity": flag.severity} for flag in answer.quality
        ],
        model_name=answer.model_name,
        model_version=answer.model_version,
        model_sha256=answer.model_sha256,
        seconds=answer.seconds,
    )
    keep_answer(row, files)
    return row


def _heatmap(read: Callable[[], bytes]) -> bytes:
    return pack_heatmap(unpack_heatmap(read()))


def _take_review(user: User, row: Prediction, review: CaseReview, counts: CaseCounts) -> None:
    newest = newest_review(row)
    moment = min(review.reviewed_at, now())
    if newest is not None and newest.created_at >= moment:
        return
    if not user.has_role("clinician"):
        counts.refuse(NOT_A_CLINICIAN)
        return
    who = f" by {review.reviewer}" if review.reviewer else ""
    told = f"Imported; reviewed{who} on {date_text(review.reviewed_at)}."
    db.session.add(
        Review(
            prediction_id=row.id,
            reviewer_id=user.id,
            reviewer_name=user.name,
            verdict=review.verdict,
            diagnosis=review.diagnosis,
            confirmed_by=review.confirmed_by,
            comment=f"{review.comment}\n{told}".strip()[:NOTE_LENGTH],
            created_at=moment,
        )
    )
    row.review, row.confirmed = review.verdict, review.diagnosis
    record("review.added", "answer", row.key, verdict=review.verdict, diagnosis=review.diagnosis or None)
    db.session.commit()
    counts.reviews += 1
