"""Lesions carried as a file between this website and the desktop app: taking some along, and taking some in."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from typing import cast

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy import func, select
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.utils import secure_filename

from derm_core import CaseCounts, CaseFileError, write_case_file
from web.audit import record
from web.batch_uploads import waiting_uploads
from web.case_import import MOST_PHOTOGRAPHS, import_case_file
from web.case_rows import case_lesions
from web.database import db, now
from web.errors import drain_request
from web.models import Lesion, Prediction
from web.multipart import Request
from web.visits import own_lesion

interchange = Blueprint("interchange", __name__)

MOST_LISTED = 500
"""So many lesions can be chosen one by one, the newest; all of them can always be taken along."""
_OVERHEAD_BYTES = 1_000_000
_KEY = re.compile(r"[0-9a-f]{32}")


@interchange.url_value_preprocessor
def _accept_large(endpoint: str | None, values: object) -> None:
    # Before the form's token is looked for, as for batches.
    if endpoint == "interchange.take_in" and current_user.is_authenticated:
        most = current_app.config["DERM_BATCH_MB"] * 1_000_000 + _OVERHEAD_BYTES
        cast(Request, request).accept_files(8, most, waiting_uploads().root)


@interchange.get("/interchange")
def index() -> ResponseReturnValue:
    """Lets the user choose lesions to take along, and a file to take in."""
    return _page()


@interchange.post("/interchange/export")
def take_along() -> ResponseReturnValue:
    """Returns the lesions that the form names by `keys` as a case file; all where `all` is sent.

    A key that is not the user's own counts as one that never was: it is left out, and where none is left there is 404.
    """
    if "all" in request.form:
        return _download(None, "lesions")
    sent = {key for key in request.form.getlist("keys")[:MOST_LISTED] if _KEY.fullmatch(key)}
    query = select(Lesion.key).where(Lesion.user_id == current_user.id, Lesion.key.in_(sent))
    keys = db.session.scalars(query).all()
    if not keys:
        if sent:
            abort(404)
        return _page("Choose lesions first.", status=400)
    return _download(keys, "lesions")


@interchange.get("/lesions/<lesion>/file")
def one(lesion: str) -> ResponseReturnValue:
    """Returns one lesion as a case file."""
    found = own_lesion(lesion)
    return _download([found.key], found.name)


@interchange.post("/interchange/import")
def take_in() -> ResponseReturnValue:
    """Takes a case file in, and shows what came of it."""
    if not FlaskForm().validate():
        return _page("The form had expired. Choose the file again.", status=400)
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return _page("Choose a case file first; its name ends in .dermcases.", status=400)
    try:
        counts = import_case_file(current_user, upload.stream)
    except CaseFileError as err:
        db.session.rollback()
        return _page(str(err), status=400)
    if counts.refused:
        return _page(counts=counts)
    flash(" ".join(counts.sentences))
    return redirect(url_for("lesions.index"), 303)


@interchange.errorhandler(RequestEntityTooLarge)
def _too_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
    drain_request()
    megabytes = current_app.config["DERM_BATCH_MB"]
    return _page(f"This file has more than {megabytes:,} MB. Export the lesions in parts.", status=413)


def _page(problem: str = "", counts: CaseCounts | None = None, status: int = 200) -> ResponseReturnValue:
    photographs = func.count(Prediction.id)
    query = (
        select(Lesion.key, Lesion.name, photographs)
        .outerjoin(Prediction, Prediction.lesion_id == Lesion.id)
        .where(Lesion.user_id == current_user.id)
        .group_by(Lesion.id)
        .order_by(Lesion.created_at.desc(), Lesion.id.desc())
        .limit(MOST_LISTED)
    )
    total = db.session.scalar(select(func.count()).where(Lesion.user_id == current_user.id)) or 0
    page = render_template(
        "interchange.html",
        listed=db.session.execute(query).all(),
        total=total,
        problem=problem,
        counts=counts,
        most_photographs=MOST_PHOTOGRAPHS,
        most_megabytes=current_app.config["DERM_BATCH_MB"],
    )
    return page, status


def _download(keys: Sequence[str] | None, name: str) -> ResponseReturnValue:
    # Without a name, so that a killed server leaves nothing behind.
    file = tempfile.TemporaryFile(dir=waiting_uploads().root)  # noqa: SIM115 - closed with the response
    try:
        photographs = write_case_file(file, case_lesions(current_user.id, keys), made_by="website")
        record("lesions.exported", photographs=photographs)
        db.session.commit()
        file.seek(0)
        plain = secure_filename(name).lower()[:40] or "lesion"
        return send_file(
            file,
            mimetype="application/octet-stream",
            as_attachment=True,
            download_name=f"dermatrace-{plain}-{now():%Y-%m-%d}.dermcases",
        )
    except BaseException:
        file.close()
        raise
