"""Who may do what: every route of the URL map, as a visitor, as a stranger and without a CSRF token."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask
from werkzeug.test import TestResponse

from tests.web.conftest import Kept, Person
from web.security import HEADERS

PUBLIC = {
    "accounts.login",
    "accounts.logout",
    "accounts.register",
    "pages.about",
    "pages.health",
    "pages.home",
    "static",
}
"""What may be seen without an account. A new public page is added here, on purpose."""


@dataclass(frozen=True)
class Route:
    """One endpoint and one method, with the arguments of its address."""

    endpoint: str
    method: str
    arguments: frozenset[str]

    def ask(self, person: Person, values: dict[str, str], *, with_token: bool = True) -> TestResponse:
        """Sends the request as this person would; `values` fills the address."""
        unknown = self.arguments - values.keys()
        assert not unknown, f"{self.endpoint} has the arguments {unknown}: say what they are in VALUES"
        with person.app.test_request_context():
            path = person.app.url_for(self.endpoint, **{name: values[name] for name in self.arguments})
        data = {"csrf_token": person.token()} if with_token and self.method != "GET" else None
        return person.client.open(path, method=self.method, data=data, buffered=True)


VALUES = {"code": "mel", "filename": "icons.svg"}
PRIVATE = {"note": "private", "age": "97.125", "sex": "female", "site": "genital"}
"""What only its owner may read of an answer."""


def tells_of_private(page: str) -> bool:
    """Says whether a page shows any of it."""
    return any(word in page for word in ("private", "97.125", "genital"))


def routes(app: Flask) -> list[Route]:
    """Every endpoint with each of its methods."""
    return [
        Route(rule.endpoint, method, frozenset(rule.arguments))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def test_what_is_public_is_what_the_list_says(app: Flask, visitor: Person) -> None:
    open_to_all = {
        route.endpoint
        for route in routes(app)
        if "key" not in route.arguments
        and not (route.ask(visitor, VALUES).location or "").startswith("/login?next=")
    }
    assert open_to_all == PUBLIC


def test_a_visitor_is_led_to_the_door_from_every_other_route(
    app: Flask, visitor: Person, mira: Person, kept: Kept
) -> None:
    values = VALUES | {"key": mira.answered(**PRIVATE)}
    closed = [route for route in routes(app) if route.endpoint not in PUBLIC]
    assert len(closed) >= 14
    for route in closed:
        response = route.ask(visitor, values)
        assert response.status_code == 302, route
        assert response.location.startswith("/login"), route
        assert not tells_of_private(response.text)
    assert kept.rows() == 1


def test_a_stranger_finds_nothing_at_any_address_of_another_user(
    app: Flask, mira: Person, stranger: Person, kept: Kept
) -> None:
    values = VALUES | {"key": mira.answered(**PRIVATE)}
    assert tells_of_private(mira.get(f"/answers/{values['key']}").text)
    owned = [route for route in routes(app) if "key" in route.arguments]
    assert len(owned) >= 7
    for route in owned:
        response = route.ask(stranger, values)
        assert response.status_code == 404, route
        assert not tells_of_private(response.text)
    assert kept.rows() == 1
    row = kept.row(values["key"])
    assert (row.note, row.age, row.site) == ("private", 97.125, "genital")


def test_what_is_not_there_looks_like_what_belongs_to_somebody_else(
    app: Flask, mira: Person, stranger: Person
) -> None:
    theirs, nobodys = mira.answered(), "0" * 32
    for route in routes(app):
        if "key" in route.arguments:
            pages = [
                route.ask(stranger, VALUES | {"key": key}).text.replace(key, "") for key in (theirs, nobodys)
            ]
            assert pages[0] == pages[1], route


def test_the_owner_finds_every_address(app: Flask, mira: Person) -> None:
    values = VALUES | {"key": mira.answered()}
    for route in routes(app):
        if "key" in route.arguments and route.method == "GET":
            assert route.ask(mira, values).status_code == 200, route


def test_no_page_of_one_user_names_another(app: Flask, mira: Person, stranger: Person) -> None:
    theirs = mira.answered(**PRIVATE | {"note": "private note"})
    own = stranger.answered()
    for route in routes(app):
        if route.method == "GET":
            page = route.ask(stranger, VALUES | {"key": own}).data
            assert not any(
                word.encode() in page
                for word in ("private note", "97.125", "female, genital", theirs, mira.email, mira.name)
            ), route


def test_every_post_without_a_token_is_refused(app: Flask, mira: Person, visitor: Person, kept: Kept) -> None:
    values = VALUES | {"key": mira.answered(note="kept")}
    posts = [route for route in routes(app) if route.method != "GET"]
    assert len(posts) >= 8
    for route in posts:
        for person in (mira, visitor):
            response = route.ask(person, values, with_token=False)
            assert response.status_code == 400, route
            assert "The form had expired" in response.text
    assert kept.rows() == 1
    assert kept.row(values["key"]).note == "kept"
    assert mira.get("/history").status_code == 200


def test_a_token_of_another_session_is_refused(mira: Person, stranger: Person) -> None:
    response = mira.client.post("/new/sample", data={"csrf_token": stranger.token()})
    assert response.status_code == 400


def test_every_response_has_every_security_header(app: Flask, mira: Person, visitor: Person) -> None:
    values = VALUES | {"key": mira.answered()}
    answers = [
        (route, person, route.ask(person, values))
        for route in routes(app)
        if route.endpoint not in ("predictions.delete", "accounts.logout")
        for person in (mira, visitor)
    ]
    answers += [
        ("missing", mira, mira.get("/nothing")),
        ("wrong method", mira, mira.client.put("/new", buffered=True)),
    ]
    for route, _person, response in answers:
        for name, value in HEADERS.items():
            assert response.headers.get(name) == value, (route, name)
        if getattr(route, "endpoint", "") != "static":
            assert response.headers["Cache-Control"] == "private, no-store", route
        assert "Server" not in response.headers or "Python" not in response.headers["Server"]
