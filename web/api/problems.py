"""Errors of the API as problem documents (RFC 9457). Decides nothing: it writes down what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from flask import Response, g, json
from werkzeug.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its title, and what to do, for the page about the API."""

    status: int
    title: str
    text: str


KINDS: Mapping[str, Kind] = {
    "bad-request": Kind(
        400, "The request cannot be read", "Part of it was missing or garbled. Send it anew."
    ),
    "no-token": Kind(
        401,
        "A valid token is wanted",
        "Send “Authorization: Bearer” and a token that has neither expired nor been revoked.",
    ),
    "wrong-scope": Kind(
        403, "The token may not do this", "Make a token with the scope that the operation asks for."
    ),
    "quota-full": Kind(
        403,
        "The account's space is used up",
        "Delete what is no longer needed, or ask whoever runs the server.",
    ),
    "not-found": Kind(
        404,
        "There is nothing here",
        "It was deleted, never was, or is somebody else's: the three look the same.",
    ),
    "wrong-method": Kind(405, "This address does not do that", "The header “Allow” says what it does."),
    "still-running": Kind(
        409,
        "The same request is being answered",
        "The first request with this Idempotency-Key is not done. Send it again after “Retry-After”.",
    ),
    "conflict": Kind(
        409, "This does not fit the present state", "Ask for the present state, then decide anew."
    ),
    "too-large": Kind(413, "Too much was sent", "Send a smaller picture, or fewer at once."),
    "wrong-type": Kind(
        415, "This content type is not read here", "The operation's list says which ones are."
    ),
    "invalid": Kind(422, "What was sent does not fit", "“errors” says what is wrong with which part."),
    "unreadable-picture": Kind(
        422, "The picture cannot be read", "“detail” says why. Nothing was kept; send another copy of it."
    ),
    "batch-refused": Kind(422, "The batch was not taken", "“detail” says why. Nothing was kept."),
    "key-reused": Kind(
        422,
        "This Idempotency-Key was used for something else",
        "One key names one request. Make a new key for each new request.",
    ),
    "too-many-requests": Kind(
        429, "Too many requests", "Wait for “Retry-After” seconds; “RateLimit” says how many are left."
    ),
    "fault": Kind(
        500,
        "Something broke on the server's side",
        "Send it again with the same Idempotency-Key. If it happens twice, tell whoever runs the server.",
    ),
    "model-unavailable": Kind(503, "The model is not available", "Tell whoever runs the server."),
    "busy": Kind(
        503, "Many pictures are being answered", "Nothing was kept. Send it again after “Retry-After”."
    ),
    "disk-full": Kind(507, "The server's disk is full", "Nothing was kept. Tell whoever runs the server."),
}
"""What a problem's `type` may name; each has its place on the page about the API."""

_KIND_OF = {
    400: "bad-request",
    401: "no-token",
    403: "wrong-scope",
    404: "not-found",
    405: "wrong-method",
    409: "conflict",
    413: "too-large",
    415: "wrong-type",
    422: "invalid",
    429: "too-many-requests",
    500: "fault",
    503: "busy",
    507: "disk-full",
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with one part of a request; `part` is a JSON pointer (#/site), or names a parameter or header."""

    part: str
    detail: str


class Problem(HTTPException):
    """An error with all that its document says.

    Args:
        status: of the response.
        kind: one of KINDS.
        detail: a sentence about this very request; empty for the kind's own.
        faults: the parts that are wrong.
        headers: of the response.
        retry_after: in seconds.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str = "",
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail or KINDS[kind].text)
        self.code = status
        self.kind = kind
        self.faults = faults
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)


def problem_response(error: HTTPException) -> Response:
    """Returns the document of an error; one that is no Problem says what its status says."""
    status = error.code or 500
    if isinstance(error, Problem):
        kind, detail, headers = error.kind, error.description or "", error.headers
    else:
        kind = _KIND_OF.get(status, "fault" if status >= 500 else "bad-request")
        detail = g.get("api_refusal", KINDS[kind].text) if status == 401 else KINDS[kind].text
        sent = error.get_response().headers
        headers = {name: sent[name] for name in ("Allow", "Retry-After") if name in sent}
    document: dict[str, object] = {
        "type": f"/api#{kind}",
        "title": KINDS[kind].title,
        "status": status,
        "detail": detail,
    }
    if isinstance(error, Problem) and error.faults:
        document["errors"] = [asdict(fault) for fault in error.faults]
    response = Response(json.dumps(document), status, mimetype=MEDIA_TYPE)
    response.headers.update(headers)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="Dermatrace"'
    return response
