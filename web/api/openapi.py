"""The OpenAPI 3.1 document of the API, made from its routes and shapes: what it says is what is checked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, current_app, json
from pydantic import BaseModel
from werkzeug.routing import Rule

from derm_core import DIAGNOSES, NOTICE
from web.api import schemas
from web.api.operations import JSON, Operation, operation_of
from web.api.problems import KINDS, MEDIA_TYPE
from web.api.tokens import SCOPES
from web.security import API, public

openapi = Blueprint("openapi", __name__)

_REF = "#/components/schemas/{model}"
_METHODS = ("GET", "POST", "PATCH", "DELETE")
_PATH_PARAMETERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "key": ("The prediction's `id`.", {"type": "string", "pattern": "^[0-9a-f]{32}$"}),
    "lesion": ("The lesion's `id`.", {"type": "string", "pattern": "^[0-9a-f]{32}$"}),
    "batch": ("The batch's `id`.", {"type": "string", "pattern": "^[0-9a-f]{32}$"}),
    "code": ("The code of a class.", {"type": "string", "enum": list(DIAGNOSES)}),
}
_RATE_HEADERS = {
    "RateLimit-Policy": {
        "description": "What is allowed: q requests in w seconds.",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "What is left: r requests; more are free in t seconds.",
        "schema": {"type": "string"},
    },
}
STATUSES = {kind.status for kind in KINDS.values()}
_SECONDS = {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
_LOCATION = {"description": "The address of what was made.", "schema": {"type": "string"}}
_REPLAYED = {
    "description": "`true` where this repeats the answer to an earlier request with the same Idempotency-Key.",
    "schema": {"type": "string", "enum": ["true"]},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name for this request, such as a UUID, kept for 24 hours. Sent again with the same name and "
    "content, it is not done again: the answer says what the first one has made.",
    "schema": {"type": "string", "pattern": '^"?[!#-~]{1,200}"?$'},
}


@openapi.get("/openapi.json")
@public
def document() -> Response:
    """Returns this document."""
    return Response(json.dumps(described(current_app)), mimetype=JSON)


def described(app: Flask) -> dict[str, Any]:
    """Returns the document of an app's API, as plain values; written once, as its routes do not change."""
    if "openapi" not in app.extensions:
        app.extensions["openapi"] = _describe(app)
    return app.extensions["openapi"]


def _describe(app: Flask) -> dict[str, Any]:
    shapes = _Shapes()
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is None:
            continue
        path = "/" + re.sub(r"<([a-z]+)>", r"{\1}", rule.rule).removeprefix(API)
        for method in _METHODS:
            if method in (rule.methods or ()):
                view = app.view_functions[rule.endpoint]
                described = _operation(rule, method, operation, inspect.getdoc(view) or "", shapes)
                paths.setdefault(path, {})[method.lower()] = described
    shapes.of(schemas.Problem)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dermatrace",
            "version": "1",
            "summary": "Dermoscopic photographs in, calibrated answers with their reasons out.",
            "description": f"{NOTICE} Every error is a problem document (RFC 9457).",
        },
        "servers": [{"url": API.rstrip("/")}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in ("predictions", "lesions", "batches", "account")],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(shapes.found.items())),
            "responses": {str(status): _refusal(status) for status in sorted(STATUSES)},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token that you make on the page “API tokens”. "
                    + " ".join(f"`{scope}`: {what}." for scope, what in SCOPES.items()),
                }
            },
        },
    }


class _Shapes:
    """The schemas that the document names, collected while it is written."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}

    def of(self, shape: type[BaseModel]) -> dict[str, str]:
        """Returns a reference to a shape, and keeps its schema and those that it names."""
        schema = shape.model_json_schema(ref_template=_REF)
        for name, inner in schema.pop("$defs", {}).items():
            self.found.setdefault(name, inner)
        self.found[shape.__name__] = schema
        return {"$ref": _REF.format(model=shape.__name__)}


def _operation(rule: Rule, method: str, operation: Operation, text: str, shapes: _Shapes) -> dict[str, Any]:
    parameters = [_path_parameter(name) for name in sorted(rule.arguments, key=rule.rule.index)]
    if operation.query is not None:
        parameters += _query_parameters(operation.query)
    if operation.again is not None:
        parameters.append(_IDEMPOTENCY_KEY)
    _, tag, name = rule.endpoint.split(".")
    described: dict[str, Any] = {
        "tags": [tag],
        "operationId": f"{tag}.{name}",
        "summary": operation.summary,
        "description": " ".join(text.split()),
        "parameters": parameters,
        "responses": _responses(rule, operation, shapes),
    }
    if operation.scope:
        described["description"] += f" Scope: `{operation.scope}`."
        described["x-scope"] = operation.scope
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": shapes.of(operation.body)}},
        }
    elif operation.uploads:
        content = {media: _upload(shape, shapes) for media, shape in operation.uploads.items()}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameter(name: str) -> dict[str, Any]:
    description, schema = _PATH_PARAMETERS[name]
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _query_parameters(shape: type[BaseModel]) -> list[dict[str, Any]]:
    parameters = []
    for name, field in shape.model_json_schema()["properties"].items():
        # What may be null is left out of an address, which cannot say null.
        known = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
        schema = known[0] if known else field
        description = field.get("description") or schema.get("description", "")
        plain = {word: value for word, value in schema.items() if word not in ("title", "description")}
        parameters.append(
            {"name": name, "in": "query", "required": False, "description": description, "schema": plain}
        )
    return parameters


def _upload(shape: type[BaseModel] | None, shapes: _Shapes) -> dict[str, Any]:
    return {"schema": {"type": "string", "format": "binary"} if shape is None else shapes.of(shape)}


def _responses(rule: Rule, operation: Operation, shapes: _Shapes) -> dict[str, Any]:
    headers: dict[str, Any] = dict(_RATE_HEADERS)
    if operation.status in (201, 202):
        headers |= {"Location": _LOCATION, "Idempotency-Replayed": _REPLAYED}
    done: dict[str, Any] = {"description": operation.summary + ": done.", "headers": headers}
    if isinstance(operation.gives, str):
        done["content"] = {operation.gives: {"schema": {"type": "string", "format": "binary"}}}
    elif operation.gives is not None:
        done["content"] = {JSON: {"schema": shapes.of(operation.gives)}}
    refusals = {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in _refusals(rule, operation)
    }
    return {str(operation.status): done} | dict(sorted(refusals.items()))


def _refusals(rule: Rule, operation: Operation) -> set[int]:
    """Returns the statuses by which an operation may refuse."""
    statuses = {401, 429, 500}
    if operation.scope:
        statuses.add(403)
    if rule.arguments or operation.again is not None:
        statuses.add(404)
    if operation.query is not None:
        statuses.add(422)
    if operation.body is not None or operation.uploads:
        statuses |= {400, 413, 415, 422, 507}
    if operation.again is not None:
        statuses.add(409)
    if operation.may_be_busy:
        statuses.add(503)
    return statuses


def _refusal(status: int) -> dict[str, Any]:
    titles = [kind.title for kind in KINDS.values() if kind.status == status]
    headers: dict[str, Any] = {} if status == 401 else dict(_RATE_HEADERS)
    if status in (409, 429, 503):
        headers["Retry-After"] = _SECONDS
    if status in (401, 403):
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    return {
        "description": "; ".join(titles) + ".",
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
