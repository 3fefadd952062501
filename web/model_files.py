"""Models as files: one is taken in from another machine, and one that nobody was answered with is removed."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from typing import cast

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import Forbidden, RequestEntityTooLarge

from derm_core import BundleError
from web.admin_models import models_page
from web.audit import record
from web.batch_uploads import waiting_uploads
from web.database import db
from web.errors import drain_request
from web.known_models import find_model
from web.model_forms import ModelFileForm
from web.multipart import Request, size_of
from web.roles import requires_role
from web.security import login_manager
from web.serving_model import reference, serving_model

model_files = Blueprint("model_files", __name__)

_MEGABYTE = 1_000_000
_OVERHEAD_BYTES = 100_000


@model_files.url_value_preprocessor
def _accept_model(endpoint: str | None, values: object) -> None:
    # The first thing that is asked of a request, before its token is looked for in the form.
    if endpoint == "model_files.add" and current_user.is_authenticated and current_user.has_role("admin"):
        size = current_app.config["DERM_MODEL_MB"] * _MEGABYTE + _OVERHEAD_BYTES
        cast(Request, request).accept_files(
            current_app.config["MAX_FORM_PARTS"], size, waiting_uploads().root
        )


@model_files.post("/admin/models/add")
@requires_role("admin")
def add() -> ResponseReturnValue:
    """Registers the model of a file, as the next version of its name; it answers once it is served."""
    form = ModelFileForm()
    if not form.validate():
        return models_page(form, status=400)
    file = form.file.data
    if not isinstance(file, FileStorage) or not file.filename:
        return models_page(form, "Choose the file of a model first: it ends in .dermbundle.", status=400)
    try:
        added, sha256 = _take_in(file, form)
    except BundleError as err:
        return models_page(form, str(err), status=400)
    record("model.added", "model", added, file_sha256=sha256)
    db.session.commit()
    name, _, version = added.partition("@")
    flash(f"{name}, version {version}, is here. It answers once you serve it.")
    return redirect(url_for("admin_models.models"), 303)


@model_files.errorhandler(413)
def _too_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
    drain_request()
    if not current_user.is_authenticated:
        return login_manager.unauthorized()
    if not current_user.has_role("admin"):
        return current_app.handle_http_exception(Forbidden())
    megabytes = current_app.config["DERM_MODEL_MB"]
    problem = (
        f"This file is larger than the {megabytes:,} MB that a model's file may have here. "
        "Raise DERM_MODEL_MB on the server, or register the model there."
    )
    # The form itself was not read, so the page is built without it.
    return models_page(ModelFileForm(formdata=None), problem, status=413)


@model_files.route("/admin/models/<model>/remove", methods=["GET", "POST"])
@requires_role("admin")
def remove(model: str) -> ResponseReturnValue:
    """Asks once more, then deletes a registered model that no answer was made with."""
    found = find_model(model)
    problem = found.kept_because
    if request.method == "POST" and not problem:
        try:
            serving_model().registry.remove(found.reference)
        except BundleError as err:
            problem = str(err)
        else:
            record("model.removed", "model", found.reference)
            db.session.commit()
            flash(f"{found.name}, version {found.version}, is removed.")
            return redirect(url_for("admin_models.models"), 303)
    status = 200 if request.method == "GET" else 409
    return render_template("admin_model_remove.html", model=found, problem=problem), status


def _take_in(file: FileStorage, form: ModelFileForm) -> tuple[str, str]:
    """Returns the reference of the model that was registered, and the file's SHA-256.

    Raises BundleError where the file is not the one that was meant, holds no model, or holds one that is here.
    """
    from derm_core import unpack_bundle  # here, because it brings PyTorch

    size = size_of(file)
    sha256 = hashlib.file_digest(file.stream, "sha256").hexdigest()  # type: ignore[arg-type]
    if form.sha256.data and form.sha256.data != sha256:
        raise BundleError(
            f"The file has the SHA-256 {sha256}, not the one that you entered. Copy the file again from its source."
        )
    registry = serving_model().registry
    # Unpacked beside, then copied in.
    if 2 * size > shutil.disk_usage(current_app.config["DERM_HOME"]).free:
        raise BundleError(
            "There is too little room on the server's disk. Remove models that nobody needs first."
        )
    before = registry.entries()
    file.stream.seek(0)
    entry = unpack_bundle(file.stream, form.name.data or None, registry)  # type: ignore[arg-type]
    hashes = (entry.description_sha256, entry.weights_sha256)
    for other in before:
        if (other.description_sha256, other.weights_sha256) == hashes:
            with suppress(BundleError):
                registry.remove(reference(entry))
            raise BundleError(f"This model is here already: {other.name}, version {other.version}.")
    return reference(entry), sha256
