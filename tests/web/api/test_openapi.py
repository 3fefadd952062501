"""The document and the page about the API: true to the routes, valid, and readable by people."""

from __future__ import annotations

import re

import schemathesis
from flask import Flask

from tests.web.api.conftest import API
from tests.web.conftest import Person
from web.api.operations import operation_of
from web.api.tokens import SCOPES


def test_the_document_is_valid_openapi(visitor: Person) -> None:
    document = visitor.get(f"{API}/openapi.json").json
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()


def test_the_document_holds_every_operation_and_no_other(app: Flask, visitor: Person) -> None:
    paths = visitor.get(f"{API}/openapi.json").json["paths"]
    written = {(API + path, method.upper()) for path, operations in paths.items() for method in operations}
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        if operation_of(app.view_functions[rule.endpoint]) is not None
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert written == routes
    assert len(written) >= 19


def test_each_operation_says_what_it_needs(visitor: Person) -> None:
    paths = visitor.get(f"{API}/openapi.json").json["paths"]
    for operations in paths.values():
        for method, operation in operations.items():
            assert operation["description"]
            assert {"401", "429", "500"} <= operation["responses"].keys()
            if operation["operationId"] != "account.token":
                assert operation["x-scope"] in SCOPES
                assert "403" in operation["responses"]
            has_key = any(one["name"] == "Idempotency-Key" for one in operation["parameters"])
            changes_only = operation["operationId"] in {"batches.cancel", "batches.pause", "batches.resume"}
            assert has_key == (method == "post" and not changes_only)


def test_everything_that_the_document_names_is_in_it(visitor: Person) -> None:
    document = visitor.get(f"{API}/openapi.json").json
    text = visitor.get(f"{API}/openapi.json").text
    named = set(re.findall(r'"\$ref":\s*"#/components/(\w+)/(\w+)"', text))
    there = {(kind, name) for kind in ("schemas", "responses") for name in document["components"][kind]}
    assert named <= there
    assert there - named <= {("responses", "405")}


def test_the_page_shows_every_operation_with_its_curl(visitor: Person, mira: Person) -> None:
    document = visitor.get(f"{API}/openapi.json").json
    page = visitor.get("/api").text
    for operations in document["paths"].values():
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in page
    assert page.count("curl ") >= 19
    assert "http://localhost/api/v1/predictions/$key/heatmaps/mel" in page
    for link in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{link}"' in page, link
    assert "API tokens" in mira.get("/api").text
