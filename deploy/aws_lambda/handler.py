"""AWS Lambda behind API Gateway or a function URL: a picture in, the answer as JSON. Runs without PyTorch.

Takes events of HTTP APIs and function URLs (payload format 2.0) and of REST APIs and load balancers (1.0). What a
request may say, and what goes back, stands in derm_core/serving/wire.py.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm_core.serving.exported import load_exported
from derm_core.serving.wire import Reply, reply_to

MAX_BYTES = 4_500_000
"""Lambda takes events of 6 MB, and a picture grows by a third in base64."""
_JSON = "application/json"
# Once a container, while it starts and before the first request is counted.
_predictor = load_exported(Path(__file__).parent / "model")


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Answers one request; every error is JSON with a status of its own, and none tells more than the asker knows."""
    try:
        reply = _reply(event)
    except Exception:
        logging.exception("The request could not be answered.")
        reply = Reply(500, {"error": "The request could not be answered. The function's log says why."})
    return {
        "statusCode": reply.status,
        "headers": {"content-type": f"{_JSON}; charset=utf-8", "cache-control": "no-store"},
        "body": reply.to_json(),
        "isBase64Encoded": False,
    }


def _reply(event: Mapping[str, Any]) -> Reply:
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    asked_over_http = event.get("requestContext", {}).get("http", {})
    try:
        body = _body(event)
    except (ValueError, binascii.Error):
        return Reply(400, {"error": "The event's body is said to be base64, and is not."})
    return reply_to(
        _predictor,
        method=event.get("httpMethod") or asked_over_http.get("method") or "POST",
        body=body,
        content_type=headers.get("content-type", ""),
        query=event.get("queryStringParameters") or {},
        max_bytes=MAX_BYTES,
    )


def _body(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    return base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
