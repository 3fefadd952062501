"""What one operation of the API is: its scope, what it reads, what it gives. Checks that before the view is called."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Response, request
from pydantic import BaseModel, ValidationError

from web.api.idempotency import Attempt
from web.api.limits import REQUESTS, count
from web.api.problems import Fault, Problem
from web.api.tokens import require_scope

View = Callable[..., Any]
Given = TypeVar("Given", bound=BaseModel)

JSON = "application/json"
LARGEST_JSON = 100_000
_SENTENCES = {"extra_forbidden": "There is no such field or parameter.", "missing": "It is missing."}


@dataclass(frozen=True)
class Operation:
    """What the document says of a view, and what is checked before it is called.

    Attributes:
        summary: in a few words; the view's docstring is the description.
        scope: what the token must allow; empty where every token may.
        status: of the answer where all goes well.
        gives: what the answer is, None for an empty one; or a media type, for a file.
        query: what the address may carry; given to the view as `query`.
        body: what is sent as JSON; given to the view as `body`.
        uploads: the media types that the view reads itself, each with the shape of its fields.
        policies: what the request counts against.
        again: makes a POST repeatable: returns what an earlier one has made, by its key. The view is given `finish`, to
            be called with the address of what it makes before that is committed.
        may_be_busy: whether the model is asked, which may have no time.
        prepare: changes how much this request may send, before any of it is read.
    """

    summary: str
    scope: str = ""
    status: int = 200
    gives: type[BaseModel] | str | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    uploads: Mapping[str, type[BaseModel] | None] = field(default_factory=dict)
    policies: tuple[str, ...] = (REQUESTS,)
    again: Callable[[str], BaseModel] | None = None
    may_be_busy: bool = False
    prepare: Callable[[], None] | None = None

    def __call__(self, view: View) -> View:
        """Wraps a view; what it returns becomes the answer."""

        @functools.wraps(view)
        def checked(**arguments: Any) -> Response:
            for policy in self.policies:
                count(policy)
            require_scope(self.scope)
            if self.query is not None:
                arguments["query"] = _read_query(self.query)
            self._check_body()
            if self.again is None:
                if self.body is not None:
                    arguments["body"] = read_json(self.body)
                return self._response(view(**arguments))
            return self._once(view, arguments, self.again)

        checked.operation = self  # type: ignore[attr-defined]
        return checked

    def _check_body(self) -> None:
        if self.prepare is not None:
            self.prepare()
        if self.body is not None:
            request.max_content_length = LARGEST_JSON
        wanted = [JSON] if self.body is not None else list(self.uploads)
        if wanted and request.mimetype not in wanted:
            came = f"“{request.mimetype}”" if request.mimetype else "nothing that says what it is"
            raise Problem(415, "wrong-type", f"The body came as {came}. Wanted: {', '.join(wanted)}.")

    def _once(self, view: View, arguments: dict[str, Any], again: Callable[[str], BaseModel]) -> Response:
        """Does what a POST asks for, unless the same request has done it already."""
        attempt = Attempt.begin()
        if attempt.location:
            response = self._response(again(attempt.location.rpartition("/")[2]))
            response.headers["Idempotency-Replayed"] = "true"
            return response
        try:
            if self.body is not None:
                arguments["body"] = read_json(self.body)
            return self._response(view(finish=attempt.finish, **arguments))
        except BaseException:
            attempt.forget()
            raise

    def _response(self, result: Any) -> Response:
        if isinstance(result, Response):
            return result
        if result is None:
            return Response(status=204)
        response = Response(result.model_dump_json(), self.status, mimetype=JSON)
        if self.status in (201, 202):
            response.headers["Location"] = result.url
        return response


def operation_of(view: View) -> Operation | None:
    """Returns what is known of a view, or None where it is no operation."""
    return getattr(view, "operation", None)


def read_json(shape: type[Given]) -> Given:
    """Reads the body; raises Problem 400 where it is no JSON, 422 where it is of another shape."""
    try:
        return shape.model_validate_json(request.get_data())
    except ValidationError as err:
        if any(fault["type"] == "json_invalid" for fault in err.errors()):
            raise Problem(400, "bad-request", "The body is no JSON that can be read.") from err
        raise _invalid(err, "#/") from err


def read_fields(shape: type[Given], fields: Mapping[str, str]) -> Given:
    """Reads the fields of a form, of which empty ones count as left out; raises Problem 422."""
    given = {name: text for name, text in fields.items() if text}
    try:
        return shape.model_validate_strings(given)
    except ValidationError as err:
        raise _invalid(err) from err


def _read_query(shape: type[Given]) -> Given:
    twice = [
        Fault(name, "It is given more than once.") for name, all_ in request.args.lists() if len(all_) > 1
    ]
    if twice:
        raise Problem(422, "invalid", "A parameter is given more than once.", faults=twice)
    try:
        return shape.model_validate_strings(request.args.to_dict())
    except ValidationError as err:
        raise _invalid(err) from err


def _invalid(err: ValidationError, before: str = "") -> Problem:
    faults = [
        Fault(
            before + "/".join(map(str, fault["loc"])),
            _SENTENCES.get(fault["type"]) or _sentence(fault["msg"]),
        )
        for fault in err.errors(include_input=False, include_url=False, include_context=False)
    ]
    return Problem(422, "invalid", f"{faults[0].part}: {faults[0].detail}", faults=faults)


def _sentence(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
