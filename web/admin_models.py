"""The registered models, their cards and figures, and the switch of the one that answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from derm_core import BundleError, percent
from web.audit import record
from web.database import db
from web.documents import read_document
from web.inference import ModelUnavailableError
from web.models import Prediction
from web.roles import requires_role
from web.serving_model import BUNDLED, reference, serving_model

if TYPE_CHECKING:
    from derm_core import BundleDescription

admin_models = Blueprint("admin_models", __name__)

_CARD = "MODEL_CARD.md"
_DRAWN = (
    ("Macro F1", "macro_f1", False),
    ("Sensitivity", "sensitivity_at_operating_point", True),
    ("Specificity", "specificity_at_operating_point", True),
)


@dataclass(frozen=True)
class Figure:
    """A figure of a model on its test set, written out, with its place on a scale from 0 to 1."""

    name: str
    text: str
    interval: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Model:
    """A model as the page shows it. `fault` says why it cannot be used; then there is no description."""

    reference: str
    name: str
    version: str
    folder: Path
    registered: str
    serves: bool
    description: BundleDescription | None
    fault: str
    answers: int

    @property
    def figures(self) -> list[Figure]:
        """What was measured of it, each with its 95% interval where there is one."""
        metrics = self.description.metrics if self.description else {}
        return [
            figure
            for name, key, share in _DRAWN
            if (figure := _figure(metrics, name, key, share)) is not None
        ]

    @property
    def point(self) -> str:
        """The operating point at which it was measured, written out; empty where that is not told."""
        metrics = self.description.metrics if self.description else {}
        threshold = (metrics.get("operating_point") or {}).get("threshold")
        return percent(threshold) if isinstance(threshold, float) else ""


@admin_models.get("/admin/models")
@requires_role("admin")
def models() -> ResponseReturnValue:
    """Lists the models, the one that answers first."""
    found = _models()
    found.sort(key=lambda model: not model.serves)
    return render_template("admin_models.html", models=found, pinned=serving_model().pinned)


@admin_models.get("/admin/models/<model>")
@requires_role("admin")
def card(model: str) -> ResponseReturnValue:
    """Shows a model's card."""
    found = _find(model)
    try:
        text = (found.folder / _CARD).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    return render_template("admin_model.html", model=found, card=read_document(text))


@admin_models.route("/admin/models/<model>/serve", methods=["GET", "POST"])
@requires_role("admin")
def serve(model: str) -> ResponseReturnValue:
    """Asks once more, then switches the model that answers."""
    found = _find(model)
    pinned = serving_model().pinned
    problem = (
        f"DERM_MODEL names {pinned!r} on this server. Unset it to choose here." if pinned else found.fault
    )
    if request.method == "GET" or problem:
        now_serving = next((other for other in _models() if other.serves), None)
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


def _models() -> list[Model]:
    """Returns the bundled model and all registered ones, the newest first."""
    serving = serving_model()
    try:
        wanted = serving.wanted()
    except BundleError:
        wanted = ""
    counts = _answers_by_weights()
    entries = reversed(serving.registry.entries())
    places = [
        (reference(entry), serving.registry.folder / entry.folder, entry.registered) for entry in entries
    ]
    return [
        _model(name, folder, registered, name == wanted, counts)
        for name, folder, registered in [*places, (BUNDLED, serving.folder_of(BUNDLED), "")]
    ]


def _find(name: str) -> Model:
    return next((model for model in _models() if model.reference == name), None) or abort(404)


def _model(name: str, folder: Path, registered: str, serves: bool, counts: Mapping[str, int]) -> Model:
    from derm_core import read_description  # here, because it brings PyTorch

    try:
        description, fault = read_description(folder), ""
    except BundleError as err:
        description, fault = None, str(err)
    return Model(
        reference=name,
        name=description.name if name == BUNDLED and description else name.partition("@")[0],
        version=description.version if name == BUNDLED and description else name.partition("@")[2],
        folder=folder,
        registered=registered[:10],
        serves=serves,
        description=description,
        fault=fault,
        answers=counts.get(description.weights_sha256, 0) if description else 0,
    )


def _answers_by_weights() -> dict[str, int]:
    query = select(Prediction.model_sha256, func.count()).group_by(Prediction.model_sha256)
    return dict(db.session.execute(query).all())


def _figure(metrics: Mapping[str, Any], name: str, key: str, is_share: bool) -> Figure | None:
    value = metrics.get(key)
    if not isinstance(value, (int, float)):
        return None
    low, high = metrics.get("ci95", {}).get(key) or (value, value)
    text = percent(value) if is_share else f"{value:.2f}"
    interval = f"{100 * low:.0f}–{100 * high:.0f}" if is_share else f"{low:.2f}–{high:.2f}"
    return Figure(name, text, interval if low != high else "", value, low, high)
