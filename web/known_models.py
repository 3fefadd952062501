"""The models that this site may answer with: what was measured of each, and how many answers it gave. Shows no page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import abort
from sqlalchemy import func, select

from derm_core import BundleError, percent
from web.database import db
from web.models import Prediction
from web.presentation import date_text
from web.serving_model import BUNDLED, reference, serving_model

if TYPE_CHECKING:
    from derm_core import BundleDescription

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
    def kept_because(self) -> str:
        """Why it must not be removed, in a sentence; empty where it may be."""
        if self.reference == BUNDLED:
            return "This model ships with Dermatrace and stays."
        if self.serves:
            return "This model answers now. Serve another one first."
        if self.answers:
            count = "1 answer was" if self.answers == 1 else f"{self.answers:,} answers were"
            return f"{count} made with this model. It stays, so that they can be understood later."
        return ""

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


def known_models() -> list[Model]:
    """Returns the bundled model and all registered ones, the newest first."""
    serving = serving_model()
    try:
        wanted = serving.wanted()
    except BundleError:
        wanted = ""
    counts = _answers_by_weights()
    entries = serving.registry.entries()[::-1]
    places = [
        (reference(entry), serving.registry.folder / entry.folder, entry.registered) for entry in entries
    ]
    # Of a model whose files cannot be read, the registry still knows the weights.
    weights = {reference(entry): entry.weights_sha256 for entry in entries}
    return [
        _model(name, folder, registered, name == wanted, weights.get(name), counts)
        for name, folder, registered in [*places, (BUNDLED, serving.folder_of(BUNDLED), "")]
    ]


def find_model(name: str) -> Model:
    """Returns the model of a reference; 404 where there is none."""
    return next((model for model in known_models() if model.reference == name), None) or abort(404)


def _model(
    name: str, folder: Path, registered: str, serves: bool, weights: str | None, counts: Mapping[str, int]
) -> Model:
    from derm_core import read_description  # here, because it brings PyTorch

    try:
        description, fault = read_description(folder), ""
    except BundleError as err:
        description, fault = None, str(err)
    weights = weights or (description.weights_sha256 if description else "")
    return Model(
        reference=name,
        name=description.name if name == BUNDLED and description else name.partition("@")[0],
        version=description.version if name == BUNDLED and description else name.partition("@")[2],
        folder=folder,
        registered=date_text(date.fromisoformat(registered[:10])) if registered else "",
        serves=serves,
        description=description,
        fault=fault,
        answers=counts.get(weights, 0),
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
