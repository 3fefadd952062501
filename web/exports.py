"""What a user may take away: the history or a selection as CSV and JSON, and everything in one zip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, abort, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import ColumnElement

from web.answer_table import csv_chunks, json_chunks
from web.audit import record
from web.database import db, now
from web.history_filters import HistoryFilters
from web.holdings import holdings_of
from web.models import Prediction
from web.own_answers import OwnAnswers
from web.personal_archive import archive_chunks
from web.quota import megabytes_text

exports = Blueprint("exports", __name__)
exports.add_app_template_filter(megabytes_text)

MOST_SELECTED = 1000
"""How many answers can be named one by one; a whole history has addresses of its own."""
_KEY = re.compile(r"[0-9a-f]{32}")


@exports.get("/export")
def index() -> ResponseReturnValue:
    """Says what can be taken away, and how much that is."""
    return render_template("export.html", held=holdings_of(current_user))


@exports.get("/export/history.csv")
def history_csv() -> ResponseReturnValue:
    """Returns the history as a table; the arguments of the history's address choose the answers."""
    return _csv(OwnAnswers(current_user.id, _chosen()), "history")


@exports.get("/export/history.json")
def history_json() -> ResponseReturnValue:
    """Returns the history as JSON; the arguments of the history's address choose the answers."""
    return _json(OwnAnswers(current_user.id, _chosen()), "history")


@exports.post("/export/selected")
def selected() -> ResponseReturnValue:
    """Returns the answers that the form names by `keys`, as CSV, or as JSON where `format` says so.

    A key that is not the user's own counts as one that never was: it is left out, and where none is left there is 404.
    """
    keys = {key for key in request.form.getlist("keys")[:MOST_SELECTED] if _KEY.fullmatch(key)}
    answers = OwnAnswers(current_user.id, [Prediction.key.in_(keys)])
    if not answers:
        abort(404)
    make = _json if request.form.get("format") == "json" else _csv
    return make(answers, "selection")


@exports.get("/export/everything.zip")
def everything() -> ResponseReturnValue:
    """Returns all that the user owns as a zip, made while it is sent."""
    user_id = current_user.id
    record("account.exported", "user", current_user.email)
    db.session.commit()
    return _download(archive_chunks(user_id), "application/zip", "everything", "zip")


def _chosen() -> list[ColumnElement[bool]]:
    filters = HistoryFilters.from_arguments(request.args)
    conditions = filters.conditions(current_user)
    if filters.since:
        conditions.append(Prediction.created_at >= datetime.combine(filters.since, time(), UTC))
    if filters.until:
        conditions.append(
            Prediction.created_at < datetime.combine(filters.until, time(), UTC) + timedelta(days=1)
        )
    return conditions


def _csv(answers: OwnAnswers, name: str) -> Response:
    return _download(csv_chunks(answers, answers.codes()), "text/csv; charset=utf-8", name, "csv")


def _json(answers: OwnAnswers, name: str) -> Response:
    return _download(json_chunks(answers), "application/json", name, "json")


def _download(pieces: Iterator[Any], kind: str, name: str, ending: str) -> Response:
    response = Response(stream_with_context(pieces), content_type=kind)
    filename = f"dermatrace-{name}-{now():%Y-%m-%d}.{ending}"
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
