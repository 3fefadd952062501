"""Pages for what goes wrong, in the words of somebody who wants to help. Catches nothing silently."""

from __future__ import annotations

import errno
import logging
import sqlite3
from dataclasses import dataclass

from flask import Flask, current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from web.api.problems import Problem, problem_response
from web.inference import ModelUnavailableError
from web.quota import QuotaFullError
from web.security import for_programs
from web.turns import ModelBusyError

log = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DRAINED_BYTES = 256_000_000
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Trouble:
    """What an error page says: what happened, and what to do."""

    title: str
    text: str


TROUBLES = {
    400: Trouble(
        "That did not arrive as it should", "Part of it was missing or garbled. Go back and try again."
    ),
    403: Trouble(
        "This is not open to you", "You are signed in, but this page belongs to somebody else's work."
    ),
    404: Trouble("There is nothing here", "It may have been deleted, or the address is mistyped."),
    405: Trouble("That cannot be done here", "Go back and use the buttons on the page."),
    413: Trouble(
        "The picture is too large to send",
        "It has more than {megabytes} MB. Save it as JPEG, or at half the size, and send it again. Nothing was stored.",
    ),
    429: Trouble("Too many attempts", "Wait a few minutes, then try again."),
    500: Trouble(
        "Something broke on our side",
        "What you sent may not have been kept. Try again; if it happens twice, tell whoever runs this server.",
    ),
    503: Trouble(
        "The model is not available",
        "The server runs, but its model could not be loaded, so no picture is answered. Tell whoever runs it.",
    ),
}
BUSY = Trouble(
    "Many pictures are being answered right now",
    "Yours was not read, and nothing was stored. Wait a few seconds, then send it again.",
)
DISK_FULL = Trouble(
    "The server's disk is full",
    "What you sent was not kept. Tell whoever runs this server; deleting what you no longer need makes room, too.",
)
FORM_EXPIRED = Trouble(
    "The form had expired",
    "You were signed out meanwhile, or the page was open for very long. Go back, reload it and send it again.",
)


def init_errors(app: Flask) -> None:
    """Gives every error its page."""
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ModelUnavailableError, _model_unavailable)
    app.register_error_handler(ModelBusyError, _model_busy)
    app.register_error_handler(QuotaFullError, _quota_full)
    app.register_error_handler(OSError, _perhaps_full)
    app.register_error_handler(OperationalError, _perhaps_full)


def _csrf_error(error: CSRFError) -> ResponseReturnValue:
    return _page(400, FORM_EXPIRED)


def _http_error(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error.get_response()
    if status == 413:
        drain_request()
    if for_programs():
        return problem_response(error)
    family = 500 if status >= 500 else 400
    response = make_response(_page(status, TROUBLES.get(status, TROUBLES[family])))
    for name in ("Allow", "Retry-After"):
        if name in (sent := error.get_response().headers):
            response.headers[name] = sent[name]
    return response


def _model_unavailable(error: ModelUnavailableError) -> ResponseReturnValue:
    if for_programs():
        return problem_response(Problem(503, "model-unavailable", TROUBLES[503].text, retry_after=60))
    response = make_response(_page(503, TROUBLES[503]))
    response.headers["Retry-After"] = "60"
    return response


def _model_busy(error: ModelBusyError) -> ResponseReturnValue:
    if for_programs():
        return problem_response(Problem(503, "busy", BUSY.text, retry_after=error.seconds))
    response = make_response(_page(503, BUSY))
    response.headers["Retry-After"] = str(error.seconds)
    return response


def _quota_full(error: QuotaFullError) -> ResponseReturnValue:
    if for_programs():
        return problem_response(Problem(403, "quota-full", str(error)))
    return _page(403, Trouble("There is no room left", str(error)))


def _perhaps_full(error: OSError | OperationalError) -> ResponseReturnValue:
    """Tells of a full disk; whatever else the disk or the database reports is a fault as any other."""
    number = error.errno if isinstance(error, OSError) else getattr(error.orig, "sqlite_errorcode", None)
    if number not in (_FULL if isinstance(error, OSError) else (sqlite3.SQLITE_FULL,)):
        raise error
    log.error("The disk is full: %s could not be kept", request.endpoint)
    if for_programs():
        return problem_response(Problem(507, "disk-full"))
    return _page(507, DISK_FULL)


def _page(status: int, trouble: Trouble) -> ResponseReturnValue:
    text = trouble.text.format(megabytes=current_app.config["MAX_CONTENT_LENGTH"] // 1_000_000)
    values = {"status": status, "title": trouble.title, "text": text}
    if status < 500:
        return render_template("error.html", **values), status
    # After a fault of the server the database may not answer. render_template would ask it who is signed in.
    return current_app.jinja_env.get_template("error.html").render(plain=True, **values), status


def drain_request() -> None:
    """Reads an upload that was refused to its end: a browser that cannot finish sending never shows the page."""
    left = min(request.content_length or 0, _DRAINED_BYTES)
    stream = request.environ["wsgi.input"]
    while left > 0 and (chunk := stream.read(min(left, _CHUNK_BYTES))):
        left -= len(chunk)
