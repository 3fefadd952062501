"""The page about the API, made of its OpenAPI document, for people. Says nothing that the document does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from web.api.openapi import described
from web.api.problems import KINDS
from web.api.tokens import SCOPES
from web.security import API, public

reference = Blueprint("reference", __name__)

_FORM = "multipart/form-data"
_JSON = "application/json"
_OR_NULL = " or null"  # what a form leaves out
_EXAMPLES = {
    "lesions.create": '{"name": "Left forearm", "site": "upper extremity"}',
    "lesions.change": '{"notes": "Darker than in May"}',
    "predictions.change": '{"note": "Seen again in May"}',
}
_FILES = {"image": "lesion.jpg", "files": "photographs.zip"}


@dataclass(frozen=True)
class Row:
    """A parameter or a field: its name, what it may be, and what it means."""

    name: str
    kind: str
    text: str
    required: bool


@dataclass(frozen=True)
class Described:
    """One operation, as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    scope: str
    parameters: list[Row]
    sends: list[Row]
    sent_as: list[str]
    gives: str
    statuses: list[str]
    curl: str


@reference.get("/api")
@public
def page() -> ResponseReturnValue:
    """Explains the API: how to begin, what each operation takes and gives, and every kind of problem."""
    document = described(current_app)
    operations = [
        _described(document, method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    groups = {
        tag["name"]: [one for one in operations if one.id.startswith(f"{tag['name']}.")]
        for tag in document["tags"]
    }
    shapes = {
        name: _rows(document, {"$ref": f"#/components/schemas/{name}"})
        for name, shape in document["components"]["schemas"].items()
        if not name.endswith(("Upload", "New", "Change"))
    }
    return render_template(
        "api.html",
        groups=groups,
        shapes=shapes,
        problems=KINDS,
        scopes=SCOPES,
        base=_base(),
        config=current_app.config,
    )


@reference.app_template_filter("ticks")
def marked(text: str) -> Markup:
    """Returns a text as HTML, what stands between backticks as code."""
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(text.split("`"))
    )


def _base() -> str:
    return request.url_root.rstrip("/") + API.rstrip("/")


def _described(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> Described:
    sent = operation.get("requestBody", {}).get("content", {})
    shape: dict[str, Any] = next((media["schema"] for media in sent.values()), {})
    done = next(iter(operation["responses"].values()))
    content: dict[str, Any] = done.get("content", {})
    media = next(iter(content), "")
    return Described(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        text=operation["description"].partition(" Scope: ")[0],
        scope=operation.get("x-scope", ""),
        parameters=[
            Row(one["name"], kind_text(one["schema"]), one["description"], one["required"])
            for one in operation["parameters"]
        ],
        sends=_rows(document, shape, is_form=_FORM in sent) if shape else [],
        sent_as=list(sent),
        gives=kind_text(content[media]["schema"]) if media == _JSON else media,
        statuses=list(operation["responses"]),
        curl=_curl(method, path, operation, list(sent)),
    )


def kind_text(schema: dict[str, Any]) -> str:
    """Says in words what a JSON schema allows."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(kind_text(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {kind_text(schema['items'])}"
    if schema.get("type") == "object":
        return f"object of {kind_text(schema['additionalProperties'])}"
    known = {"date-time": "time with its zone", "date": "day", "binary": "file"}
    kind = known.get(
        schema.get("format", ""), {"string": "text", "boolean": "true or false"}.get(schema["type"])
    )
    return (kind or schema["type"]) + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f", {schema['minimum']:,} to {schema['maximum']:,}"
    return f", up to {schema['maxLength']:,} characters" if "maxLength" in schema else ""


def _rows(document: dict[str, Any], shape: dict[str, Any], *, is_form: bool = False) -> list[Row]:
    if "$ref" in shape:
        shape = document["components"]["schemas"][shape["$ref"].rpartition("/")[2]]
    required = shape.get("required", [])
    rows = []
    for name, field in shape.get("properties", {}).items():
        kind = kind_text(field).removesuffix(_OR_NULL if is_form else "")
        rows.append(Row(name, kind, field.get("description", ""), name in required))
    return rows


def _curl(method: str, path: str, operation: dict[str, Any], sent_as: list[str]) -> str:
    """Returns the operation as somebody would type it; ids stand there as shell variables."""
    parts = ["curl" if method == "GET" else f"curl -X {method}", '-H "Authorization: Bearer $TOKEN"']
    if any(one["name"] == "Idempotency-Key" for one in operation["parameters"]):
        parts.append('-H "Idempotency-Key: $(uuidgen)"')
    if _FORM in sent_as:
        parts[0] = "curl"
        field = "files" if operation["operationId"].startswith("batches") else "image"
        parts.append(f"-F {field}=@{_FILES[field]}")
    elif _JSON in sent_as:
        parts.append(f"--json '{_EXAMPLES[operation['operationId']]}'")
    if "image/" in str(next(iter(operation["responses"].values())).get("content")):
        parts.append("-O")
    address = _base() + path.replace("{code}", "mel").replace("{", "$").replace("}", "")
    return " \\\n  ".join([*parts, f'"{address}"'])
