"""For whoever runs the server: whether it is ready, and figures for Prometheus. Names no user, record or address."""

from __future__ import annotations

import hmac
import ipaddress
import time

from flask import Blueprint, Flask, Response, abort, current_app, g, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from web.batch_progress import items_by_state
from web.database import db
from web.inference import inference
from web.security import public

operations = Blueprint("operations", __name__)

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip")


class Figures:
    """What Prometheus is told, of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "derm_requests",
            "Requests that were answered.",
            ("endpoint", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "derm_request_seconds",
            "How long requests took.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.busy = self._gauge("derm_model_busy", "Photographs that the model is answering.")
        self.waiting = self._gauge("derm_model_waiting", "Requests that wait for the model.")
        self.refused = self._gauge(
            "derm_model_refused", "Requests that were refused since the start: too many waited."
        )
        self.ready = self._gauge("derm_model_ready", "1 where the model is loaded.")
        self.items = Gauge(
            "derm_batch_items",
            "Files of batches by their state; a file that waits in a paused batch is paused.",
            ("state",),
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """Returns all figures as Prometheus reads them, those of the moment looked up."""
        model = inference()
        self.busy.set(model.turns.busy)
        self.waiting.set(model.turns.waiting)
        self.refused.set(model.turns.refused)
        self.ready.set(model.state == "ready")
        for state, count in items_by_state().items():
            self.items.labels(state).set(count)
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)


def init_operations(app: Flask) -> None:
    """Has every request counted and timed."""
    app.extensions["figures"] = Figures()
    app.before_request(_start_clock)
    app.after_request(_count)


@operations.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    """Says whether photographs would be answered now: 200, or 503 with what is missing."""
    try:
        db.session.execute(text("SELECT 1"))
        database = "ready"
    except SQLAlchemyError:
        db.session.rollback()
        database = "failed"
    found = {"database": database, "model": inference().state}
    is_ready = all(state == "ready" for state in found.values())
    return {"status": "ready" if is_ready else "not ready", **found}, 200 if is_ready else 503


@operations.get("/metrics")
@public
def metrics() -> ResponseReturnValue:
    """Returns figures for Prometheus: to whoever has the token; where none is set, to this machine alone."""
    if not _may_read_metrics():
        abort(404)
    figures: Figures = current_app.extensions["figures"]
    return Response(figures.exposition(), content_type=CONTENT_TYPE_LATEST)


def _may_read_metrics() -> bool:
    token = current_app.config["DERM_METRICS_TOKEN"]
    if token:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    # A proxy on this machine asks for others: it says so in a header.
    return _is_loopback(request.remote_addr) and not any(name in request.headers for name in _FORWARDED)


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _start_clock() -> None:
    g.started = time.perf_counter()


def _count(response: Response) -> Response:
    figures: Figures = current_app.extensions["figures"]
    endpoint = request.endpoint or "none"
    figures.requests.labels(endpoint, _method(), response.status_code).inc()
    if "started" in g:
        figures.seconds.labels(endpoint).observe(time.perf_counter() - g.started)
    return response


def _method() -> str:
    """Returns the request's method, or `other`: whoever asks may write there what they like."""
    return (
        request.method
        if request.method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        else "other"
    )
