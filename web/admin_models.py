"""The pages of the models: their list, their cards, and the switch of the one that answers."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from derm_core import BundleError
from web.audit import record
from web.database import db
from web.documents import read_document
from web.inference import ModelUnavailableError
from web.known_models import find_model, known_models
from web.model_forms import ModelFileForm
from web.roles import requires_role
from web.serving_model import serving_model

admin_models = Blueprint("admin_models", __name__)

_CARD = "MODEL_CARD.md"


@admin_models.get("/admin/models")
@requires_role("admin")
def models() -> ResponseReturnValue:
    """Lists the models, the one that answers first."""
    return models_page(ModelFileForm())


@admin_models.get("/admin/models/<model>")
@requires_role("admin")
def card(model: str) -> ResponseReturnValue:
    """Shows a model's card."""
    found = find_model(model)
    try:
        text = (found.folder / _CARD).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    return render_template("admin_model.html", model=found, card=read_document(text))


@admin_models.route("/admin/models/<model>/serve", methods=["GET", "POST"])
@requires_role("admin")
def serve(model: str) -> ResponseReturnValue:
    """Asks once more, then switches the model that answers."""
    found = find_model(model)
    pinned = serving_model().pinned
    problem = (
        f"DERM_MODEL names {pinned!r} on this server. Unset it to choose here." if pinned else found.fault
    )
    if request.method == "GET" or problem:
        now_serving = next((other for other in known_models() if other.serves), None)
        page = render_template(
            "admin_model_serve.html", model=found, now_serving=now_serving, problem=problem
        )
        return page, 200 if request.method == "GET" else 409
    try:
        serving_model().serve(found.reference)
    except (BundleError, ModelUnavailableError) as err:
        return render_template("admin_model_serve.html", model=found, now_serving=None, problem=str(err)), 409
    record("model.served", "model", found.reference)
    db.session.commit()
    flash(f"{found.name}, version {found.version}, answers from now on.")
    return redirect(url_for("admin_models.models"))


def models_page(form: ModelFileForm, problem: str = "", *, status: int = 200) -> ResponseReturnValue:
    """Returns the page of all models, the one that answers first, with the form that takes another one in."""
    found = known_models()
    found.sort(key=lambda model: not model.serves)
    page = render_template(
        "admin_models.html",
        models=found,
        pinned=serving_model().pinned,
        form=form,
        problem=problem,
        most_megabytes=current_app.config["DERM_MODEL_MB"],
    )
    return page, status
