"""Who may do what: every route of the URL map, as a visitor, as a stranger of every role, and without a CSRF token."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.web.conftest import Kept, Person
from tests.web.owned import OWNED, PUBLIC, VALUES
from web.models import ROLES
from web.roles import required_role
from web.security import HEADERS

PRIVATE = {"note": "private", "age": "97.125", "sex": "female", "site": "genital"}
"""What only its owner may read of an answer."""
NOBODYS = "0" * 32
ENDS_THE_SESSION = "accounts.logout"


@dataclass(frozen=True)
class Route:
    """One endpoint and one method, with the arguments of its address and the least role that may ask."""

    endpoint: str
    method: str
    arguments: frozenset[str]
    path: str
    role: str

    @property
    def is_public(self) -> bool:
        return self.endpoint in PUBLIC

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")

    @property
    def is_owned(self) -> bool:
        """Whether it shows or changes what belongs to somebody; what admins manage belongs to the house."""
        return not self.is_public and self.role != "admin" and bool(self.arguments & OWNED.keys())

    def ask(self, person: Person, values: dict[str, str], *, token: str | None = None) -> TestResponse:
        """Sends the request as this person would; `values` fills the address."""
        with person.app.test_request_context():
            path = person.app.url_for(self.endpoint, **{name: values[name] for name in self.arguments})
        data = {"csrf_token": token} if token and self.method != "GET" else None
        return person.client.open(path, method=self.method, data=data, buffered=True)


def tells_of_private(page: str) -> bool:
    """Says whether a page shows anything that only its owner may read."""
    return any(word in page for word in ("private", "97.125", "genital"))


def routes(app: Flask) -> list[Route]:
    """Every endpoint with each of its methods; the session's end comes last."""
    found = [
        Route(
            rule.endpoint,
            method,
            frozenset(rule.arguments),
            rule.rule,
            required_role(app.view_functions[rule.endpoint]),
        )
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    return sorted(found, key=lambda route: (route.endpoint == ENDS_THE_SESSION, route.method != "GET"))


def values_of(person: Person) -> dict[str, str]:
    """What fills every address with the person's own things."""
    return VALUES | {name: make(person) for name, make in OWNED.items()}


@pytest.fixture
def owner(mira: Person) -> dict[str, str]:
    """Mira's own things: the answer first, with what only she may read."""
    mira.answered(**PRIVATE)
    return values_of(mira)


@pytest.fixture
def people(app: Flask) -> Callable[[str], Person]:
    """Strangers by their role."""
    known: dict[str, Person] = {}

    def person_of(role: str) -> Person:
        if role not in known:
            known[role] = Person(app, f"other-{role}@clinic.org", f"Olu {role.title()}")
            assert known[role].register().status_code == 302
            known[role].becomes(role)
        return known[role]

    return person_of


def test_every_argument_of_every_address_is_known(app: Flask) -> None:
    for route in routes(app):
        unknown = route.arguments - OWNED.keys() - VALUES.keys()
        assert not unknown, (
            f"{route.endpoint} has the arguments {sorted(unknown)}: enter in tests/web/owned.py how a person comes "
            "to own one (OWNED), or a value that belongs to nobody (VALUES)."
        )


def test_what_is_public_is_what_the_list_says(app: Flask, visitor: Person, owner: dict[str, str]) -> None:
    def is_open(response: TestResponse) -> bool:
        return response.status_code != 401 and not (response.location or "").startswith("/login?next=")

    token = visitor.token()
    open_to_all = {route.endpoint for route in routes(app) if is_open(route.ask(visitor, owner, token=token))}
    assert open_to_all == PUBLIC & {route.endpoint for route in routes(app)}
    assert open_to_all == PUBLIC


def test_a_visitor_is_led_to_the_door_from_every_other_route(
    app: Flask, visitor: Person, owner: dict[str, str], kept: Kept
) -> None:
    closed = [route for route in routes(app) if not route.is_public]
    assert len(closed) >= 14
    token = visitor.token()
    for route in closed:
        response = route.ask(visitor, owner, token=token)
        if route.is_api:
            assert response.status_code == 401, route
            assert response.is_json, route
        else:
            assert response.status_code == 302, route
            assert response.location.startswith("/login"), route
        assert not tells_of_private(response.text)
    assert kept.rows() == 1


@pytest.mark.parametrize("role", ROLES)
def test_a_stranger_finds_nothing_at_any_address_of_another_user(
    app: Flask, owner: dict[str, str], kept: Kept, people: Callable[[str], Person], role: str
) -> None:
    stranger = people(role)
    assert tells_of_private_to_its_owner(app, owner)
    token = stranger.token()
    owned = [route for route in routes(app) if route.is_owned]
    assert len(owned) >= 7
    for route in owned:
        response = route.ask(stranger, owner, token=token)
        if route.is_api:
            assert response.status_code == 401, (
                route
            )  # a cookie opens nothing there; tokens have tests of their own
        elif ROLES.index(role) < ROLES.index(route.role):
            assert response.status_code == 403, route
        else:
            assert response.status_code == 404, route
        assert not tells_of_private(response.text)
    assert kept.rows() == 1
    row = kept.row(owner["key"])
    assert (row.note, row.age, row.site, row.review) == ("private", 97.125, "genital", "")


def tells_of_private_to_its_owner(app: Flask, owner: dict[str, str]) -> bool:
    mira = Person(app)
    mira.login()
    return tells_of_private(mira.get(f"/answers/{owner['key']}").text)


@pytest.mark.parametrize("role", ROLES[:-1])
def test_a_wrong_role_is_refused_at_every_route_that_asks_for_more(
    app: Flask, owner: dict[str, str], people: Callable[[str], Person], role: str
) -> None:
    person = people(role)
    own = values_of(person)
    token = person.token()
    higher = [route for route in routes(app) if ROLES.index(route.role) > ROLES.index(role)]
    for route in higher:
        for values in (owner, own):
            response = route.ask(person, values, token=token)
            assert response.status_code == 403, route
            assert "This is not open to you" in response.text


def test_what_is_not_there_looks_like_what_belongs_to_somebody_else(
    app: Flask, owner: dict[str, str], people: Callable[[str], Person]
) -> None:
    stranger = people("clinician")
    token = stranger.token()
    for route in routes(app):
        if not route.is_owned or route.is_api:
            continue
        pages = []
        for values in (owner, owner | dict.fromkeys(OWNED, NOBODYS)):
            response = route.ask(stranger, values, token=token)
            # The token of the menu's form is signed anew each second.
            text = re.sub(r'name="csrf_token" value="[^"]*"', "", response.text)
            pages.append((response.status_code, text))
        assert pages[0] == pages[1], route


def test_the_owner_finds_every_address(app: Flask, people: Callable[[str], Person]) -> None:
    person = people("admin")
    values = values_of(person)
    for route in routes(app):
        if route.arguments & OWNED.keys() and route.method == "GET" and not route.is_api:
            assert route.ask(person, values).status_code < 400, route


def test_what_admins_manage_and_is_not_there_is_not_found(
    app: Flask, people: Callable[[str], Person]
) -> None:
    person = people("admin")
    token = person.token()
    nothing = dict.fromkeys(OWNED, "999999") | {"model": "nothing"}
    for route in routes(app):
        if route.role == "admin" and route.arguments:
            assert route.ask(person, VALUES | nothing, token=token).status_code == 404, route


def test_no_page_of_one_user_names_another(app: Flask, mira: Person, people: Callable[[str], Person]) -> None:
    mira.answered(**PRIVATE | {"note": "private note"})
    theirs = values_of(mira)
    del theirs["user"]  # a small number, which stands on many pages
    others = [value for name, value in theirs.items() if name not in VALUES]
    stranger = people("clinician")
    own = values_of(stranger)
    for route in routes(app):
        if route.method == "GET":
            page = route.ask(stranger, own).data
            words = ("private note", "97.125", "female, genital", *others, mira.email, mira.name)
            assert not any(word.encode() in page for word in words), route


def test_every_post_without_a_token_is_refused(
    app: Flask, mira: Person, visitor: Person, owner: dict[str, str], kept: Kept
) -> None:
    posts = [route for route in routes(app) if route.method != "GET" and not route.is_api]
    assert len(posts) >= 8
    for route in posts:
        for person in (mira, visitor):
            response = route.ask(person, owner)
            assert response.status_code == 400, route
            assert "The form had expired" in response.text
    assert kept.rows() == 1
    assert kept.row(owner["key"]).note == "private"
    assert mira.get("/history").status_code == 200


def test_a_token_of_another_session_is_refused(mira: Person, stranger: Person) -> None:
    response = mira.client.post("/new/sample", data={"csrf_token": stranger.token()})
    assert response.status_code == 400


def test_every_response_has_every_security_header(
    app: Flask, mira: Person, visitor: Person, owner: dict[str, str]
) -> None:
    tokens = {person: person.token() for person in (mira, visitor)}
    answers = [
        (route, route.ask(person, owner, token=token))
        for route in routes(app)
        for person, token in tokens.items()
    ]
    answers += [
        ("missing", mira.get("/nothing")),
        ("wrong method", mira.client.put("/new", buffered=True)),
    ]
    for route, response in answers:
        for name, value in HEADERS.items():
            assert response.headers.get(name) == value, (route, name)
        if getattr(route, "endpoint", "") != "static":
            assert response.headers["Cache-Control"] == "private, no-store", route
        assert "Server" not in response.headers or "Python" not in response.headers["Server"]
