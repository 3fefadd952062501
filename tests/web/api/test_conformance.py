"""What the API answers is what its document says, whatever it is sent: property-based, by schemathesis."""

from __future__ import annotations

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.generation import GenerationMode

from tests.web.api.conftest import API, Program
from tests.web.conftest import Kept, Person
from tests.web.fakes import picture
from tests.web.owned import OWNED

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]
FEW = settings(
    max_examples=8,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def schema(app: Flask) -> schemathesis.BaseSchema:
    """The document of an API that nobody is too fast for; files in its requests are often pictures."""
    app.config["DERM_API_REQUESTS"] = app.config["DERM_API_PHOTOGRAPHS"] = 1_000_000
    app.config["BATCHES_AT_ONCE"] = 1_000_000
    schemathesis.openapi.format(
        "binary", st.sampled_from([picture(), picture(form="PNG"), b"no picture", b""])
    )
    return schemathesis.openapi.from_wsgi(f"{API}/openapi.json", app)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_answer_is_outside_of_the_document(
    schema: schemathesis.BaseSchema, program: Program, mira: Person, kept: Kept, mode: GenerationMode
) -> None:
    own = {name: OWNED[name](mira) for name in ("key", "lesion", "batch")} | {"code": "mel"}
    headers = {"Authorization": f"Bearer {program.token}"}
    statuses: dict[str, set[int]] = {}
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in sorted(operations, key=lambda operation: operation.method == "delete"):
        names = {parameter.name for parameter in operation.path_parameters}
        places = {name: value for name, value in own.items() if name in names}

        @FEW
        @given(case=operation.as_strategy(mode, path_parameters=places if mode.is_positive else None))
        def conforms(case: schemathesis.Case) -> None:
            response = case.call(headers=headers)
            # In a form everything is text: null there is a batch called “null”, and not to be refused.
            skipped = [checks.negative_data_rejection] if case.media_type == "multipart/form-data" else []
            wanted = [check for check in CHECKS if check not in skipped]
            case.validate_response(response, checks=wanted, headers=headers)
            statuses.setdefault(case.operation.label, set()).add(response.status_code)

        conforms()
    assert len(statuses) == len(operations)
    if mode.is_positive:
        done = {label for label, seen in statuses.items() if seen & {200, 201, 202, 204}}
        assert done == statuses.keys()
