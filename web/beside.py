"""What is shown beside an answer when it is asked for: other explanations, similar confirmed cases."""

from __future__ import annotations

import logging
from pathlib import Path

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from itsdangerous import BadSignature, URLSafeSerializer

from derm_core import DermError, explained_code, pack_heatmap
from web.answering import store
from web.cases import LikeCase
from web.inference import inference
from web.models import Prediction
from web.pictures import HEATMAP_SIDE, PHOTO, overlay_webp
from web.seeing import note_seen, seen_prediction

beside = Blueprint("beside", __name__)
log = logging.getLogger(__name__)

FAILED = "This cannot be shown now: the files of the model have changed. Tell whoever runs this server."


@beside.get("/answers/<key>/explanations")
def explanations(key: str) -> ResponseReturnValue:
    """Lists the other explanations of an answer; `?method=` shows one, of the class that `?class=` names."""
    prediction = seen_prediction(key)
    note_seen(prediction)
    if not can_be_explained(prediction):
        return redirect(url_for("predictions.answer", key=key))
    try:
        methods, problem = inference().methods(), ""
    except DermError:
        log.exception("Other explanations cannot be made")
        methods, problem = (), FAILED
    wanted = request.args.get("method")
    code = request.args.get("class", "")
    return render_template(
        "answer_explanations.html",
        prediction=prediction,
        methods=methods,
        shown=next((method for method in methods if method.name == wanted), None),
        code=code if code in prediction.probabilities else explained_code(prediction),
        problem=problem,
    )


@beside.get("/answers/<key>/explanations/<method>/<code>")
def explanation(key: str, method: str, code: str) -> ResponseReturnValue:
    """Returns the heatmap of a class by another method, made now, to be laid over the photograph."""
    prediction = seen_prediction(key)
    if code not in prediction.probabilities or not can_be_explained(prediction):
        abort(404)
    try:
        # Only what was measured to be quick: no address may keep the model busy for minutes.
        if method not in [known.name for known in inference().methods()]:
            abort(404)
        with inference().turns.request():
            shares = inference().heatmap(_photograph(prediction), code, method=method, max_side=HEATMAP_SIDE)
    except DermError:
        log.exception("An answer cannot be explained by %s", method)
        abort(404)
    overlay = overlay_webp(pack_heatmap(shares), prediction.width, prediction.height)
    return current_app.response_class(overlay, mimetype="image/webp")


@beside.get("/answers/<key>/similar")
def similar(key: str) -> ResponseReturnValue:
    """Shows the confirmed cases that the model sees as most like a photograph."""
    prediction, cases = seen_prediction(key), inference().cases
    note_seen(prediction)
    if prediction.advice == "unsure" or cases is None:
        return redirect(url_for("predictions.answer", key=key))
    with inference().turns.request():
        found = inference().similar(_photograph(prediction))
    pictures = [(like.case, _address(like)) for like in found]
    return render_template("answer_similar.html", prediction=prediction, cases=cases, found=pictures)


@beside.get("/cases/<secret>")
def case(secret: str) -> ResponseReturnValue:
    """Returns the picture of a confirmed case to the one to whom it was shown; the address cannot be guessed."""
    cases = inference().cases
    try:
        user, mark, number = _signer().loads(secret)
    except BadSignature:
        abort(404)
    if cases is None or (user, mark) != (current_user.id, cases.mark):
        abort(404)
    return current_app.response_class(cases.thumbnail(number), mimetype="image/jpeg")


@beside.app_template_global()
def can_be_explained(prediction: Prediction) -> bool:
    """Says whether the model that gave an answer is at hand to explain it otherwise."""
    return prediction.advice != "unsure" and prediction.model_sha256 == inference().weights


@beside.app_template_global()
def can_be_compared(prediction: Prediction) -> bool:
    """Says whether similar cases can be shown beside an answer."""
    return prediction.advice != "unsure" and inference().cases is not None


def _photograph(prediction: Prediction) -> bytes:
    try:
        path: Path = store().path(prediction.key, PHOTO)
        return path.read_bytes()
    except FileNotFoundError:
        abort(404)


def _address(like: LikeCase) -> str | None:
    cases = inference().cases
    if cases is None or like.number is None:
        return None
    return url_for("beside.case", secret=_signer().dumps([current_user.id, cases.mark, like.number]))


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt="case")
