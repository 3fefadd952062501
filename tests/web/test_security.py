"""Cookies, headers and what is written into pages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

import web
from tests.web.conftest import PASSWORD, Person
from web.security import CONTENT_SECURITY_POLICY, same_site

ROOT = Path(web.__file__).parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STYLES = sorted((ROOT / "static").rglob("*.css"))
SCRIPTS = sorted((ROOT / "static").rglob("*.js"))


def session_cookie(person: Person) -> str:
    headers = person.login().headers.getlist("Set-Cookie")
    return next(header for header in headers if "dermatrace=" in header)


def test_the_session_cookie_is_closed_to_scripts_and_to_other_sites(mira: Person, app: Flask) -> None:
    cookie = session_cookie(Person(app))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires=" not in cookie


def test_the_cookie_travels_over_plain_http_where_the_site_does(mira: Person, app: Flask) -> None:
    assert "Secure" not in session_cookie(Person(app))


def test_with_https_demanded_the_cookie_is_secure(mira: Person, make_app: Callable[..., Flask]) -> None:
    person = Person(make_app(DERM_HTTPS="1"))
    person.client.environ_base = {"wsgi.url_scheme": "https", "HTTP_REFERER": "https://localhost/login"}
    cookie = session_cookie(person)
    assert cookie.startswith("__Host-dermatrace=")
    assert all(part in cookie for part in ("Secure", "Path=/", "HttpOnly", "SameSite=Lax"))
    assert "Domain=" not in cookie


def test_a_trusted_proxy_says_whether_it_is_https(mira: Person, make_app: Callable[..., Flask]) -> None:
    forwarded = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_REFERER": "https://localhost/login"}
    behind = Person(make_app(DERM_PROXIES="1"))
    behind.client.environ_base = forwarded
    assert "Secure" in session_cookie(behind)
    assert behind.get("/about").headers["Strict-Transport-Security"].startswith("max-age=")
    alone = Person(make_app())
    alone.client.environ_base = forwarded
    assert "Secure" not in session_cookie(alone)


def test_a_session_moved_to_another_browser_is_ended(mira: Person) -> None:
    assert mira.get("/history", headers={"User-Agent": "another browser"}).status_code == 302


def test_a_session_ends_after_a_working_day(mira: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mira.get("/history").status_code == 200
    tomorrow = time.time() + 13 * 3600
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: tomorrow)
    assert mira.get("/history").status_code == 302


def test_a_forged_cookie_opens_nothing(app: Flask) -> None:
    person = Person(app)
    person.client.set_cookie("dermatrace", "eyJfdXNlcl9pZCI6IjE6YSJ9.aaaa.bbbb")
    assert person.get("/history").status_code == 302


def test_the_policy_allows_no_inline_script_and_no_other_host() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert not re.search(r"https?:|\*|data:", CONTENT_SECURITY_POLICY)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_an_inline_style_or_script(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"\sstyle\s*=|<style|javascript:|\son[a-z]+\s*=", text)
    assert all(re.match(r"<script src=", tag) for tag in re.findall(r"<script[^>]*>", text))
    assert "| safe" not in text
    assert "autoescape false" not in text


@pytest.mark.parametrize("path", [*TEMPLATES, *STYLES, *SCRIPTS], ids=lambda path: path.name)
def test_no_file_names_another_host(path: Path) -> None:
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(
        r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    )


@pytest.mark.parametrize(
    "path", [path for path in STYLES if path.name != "tokens.css"], ids=lambda path: path.name
)
def test_only_the_tokens_name_colours(path: Path) -> None:
    without_comments = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
    named = set(re.findall(r"#[0-9a-f]{3,8}\b", without_comments)) - {"#fff", "#000"}
    assert {name for name in named if not re.search(rf"{name}\s*[{{,.:]", without_comments)} == set()


def test_the_two_dark_blocks_of_the_tokens_are_equal() -> None:
    text = (ROOT / "static" / "css" / "tokens.css").read_text("utf-8")
    blocks = re.findall(r"\{\s*color-scheme: dark;(.*?)\}", text, re.DOTALL)
    assert len(blocks) == 2
    assert [line.strip() for line in blocks[0].splitlines()] == [
        line.strip() for line in blocks[1].splitlines()
    ]


def test_what_a_user_writes_is_written_as_text(app: Flask) -> None:
    person = Person(app, name="<script>alert(1)</script>")
    person.register()
    key = person.answered(note='"><img src=x onerror=alert(1)>')
    for path in (f"/answers/{key}", "/history", "/account"):
        text = person.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


@pytest.mark.parametrize("target", ["/", "/history?before=1-a", "/answers/00ff?class=mel"])
def test_a_path_of_this_site_is_kept(target: str) -> None:
    assert same_site(target) == target


def test_the_door_names_no_password(visitor: Person) -> None:
    response = visitor.register("short")
    assert "short" not in re.sub(r"<[^>]*class=[^>]*>", "", response.text)
    assert PASSWORD not in visitor.register(PASSWORD + "x" * 200).text


def test_no_other_origin_is_let_in(mira: Person) -> None:
    for path in ("/history", "/login", "/api/v1/predictions", "/static/icons.svg"):
        response = mira.get(path, headers={"Origin": "https://evil.example"})
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_listens_to_messages_of_other_windows(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "postMessage" not in text
    assert not re.search(r"addEventListener\(\s*['\"]message", text)


def test_every_password_field_hides_what_is_typed_and_helps_password_managers(
    visitor: Person, mira: Person
) -> None:
    pages = [
        visitor.get("/login"),
        visitor.get("/register"),
        mira.get("/account"),
        mira.get("/account/delete"),
    ]
    for page in pages:
        fields = re.findall(r"<input[^>]*(?:id|name)=\"(?:password|current|new)\"[^>]*>", page.text)
        assert fields
        for field in fields:
            assert 'type="password"' in field
            assert re.search(r'autocomplete="(current|new)-password"', field)


@pytest.mark.parametrize("path", ["/new", "/history", "/account", "/about", "/nothing"])
def test_every_page_of_a_user_has_the_way_out(mira: Person, path: str) -> None:
    assert re.search(r'method="post" action="/logout"', mira.get(path).text)
