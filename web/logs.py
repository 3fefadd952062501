"""What the server writes down: one JSON object a line, each request with a number of its own.

Nobody's name, address or picture is in it: a request is named by its endpoint, never by its path, which may hold a key
or the token of an invitation.
"""

from __future__ import annotations

import json
import logging
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, has_request_context, request

log = logging.getLogger("web.requests")

FORMATS = ("json", "plain")
REQUEST_ID = "X-Request-ID"
_QUIET = ("static", "pages.health", "operations.ready", "operations.metrics")


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: time (UTC), level, logger, message, request, and what the record adds."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if number := request_number():
            line["request"] = number
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class PlainFormatter(logging.Formatter):
    """Writes a record for somebody at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in getattr(record, "fields", {}).items())
        line = f"{moment} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logs(form: str) -> None:
    """Sends what this process logs to stderr; for the process that serves, not for tests.

    Args:
        form: one of FORMATS, or empty for `plain` on a terminal and `json` elsewhere.
    """
    handler = logging.StreamHandler(sys.stderr)
    form = form or ("plain" if sys.stderr.isatty() else "json")
    handler.setFormatter(JsonFormatter() if form == "json" else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("web").setLevel(logging.INFO)


def init_logs(app: Flask) -> None:
    """Gives every request its number, and one line when it is answered."""
    app.before_request(_begin)
    app.after_request(_end)
    app.log_exception = _log_exception  # type: ignore[method-assign]


def request_number() -> str:
    """Returns the number of the request that is being answered; empty outside of one."""
    return g.get("request_number", "") if has_request_context() else ""


def _begin() -> None:
    # Made here and never taken from the client, who could write there what is not theirs to log.
    g.request_number = secrets.token_hex(8)
    g.begun = time.perf_counter()


def _end(response: Response) -> Response:
    if number := request_number():
        response.headers[REQUEST_ID] = number
        level = logging.DEBUG if request.endpoint in _QUIET else logging.INFO
        log.log(level, "answered", extra={"fields": _fields(response)})
    return response


def _fields(response: Response) -> dict[str, Any]:
    return {
        "endpoint": request.endpoint or "none",
        "method": request.method if request.method.isalpha() else "other",
        "status": response.status_code,
        "seconds": round(time.perf_counter() - g.begun, 4),
    }


def _log_exception(exc_info: Any) -> None:
    logging.getLogger("web").error(
        "A request failed", exc_info=exc_info, extra={"fields": {"endpoint": request.endpoint or "none"}}
    )
