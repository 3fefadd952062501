"""Every page that the URL map knows, in a real browser: accessible in light and dark, and as wide as a small phone.

The pages are generated from the URL map, so that a new one cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page

from tests.web.browser import Watch, launched, overflow, served, sign_in
from tests.web.case_index import index_at
from tests.web.conftest import Person
from tests.web.fakes import DARK, FakePredictor
from tests.web.owned import PUBLIC
from tests.web.test_access import Route, routes, values_of

SERIOUS = ("serious", "critical")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 780}
UNFOCUSED = r"""() => {
  // What shows that an element has the focus: itself, what is drawn beside it, or what it lies in.
  const around = one => [one, one.parentElement, one.parentElement?.parentElement, one.nextElementSibling];
  const clear = style => style.outlineStyle === 'none' || / 0\)$/.test(style.outlineColor);
  const look = element => around(element)
    .filter(Boolean)
    .flatMap(one => [null, '::before', '::after'].map(part => getComputedStyle(one, part)))
    .map(style => `${style.boxShadow} ${clear(style) ? 'none' : style.outlineWidth}`)
    .join();
  const wanted = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
  const plain = [];
  for (const element of document.querySelectorAll(wanted)) {
    if (!element.checkVisibility({ visibilityProperty: true }) || element.disabled || element.tabIndex < 0) continue;
    document.activeElement.blur();
    const before = look(element);
    element.focus({ preventScroll: true, focusVisible: true });
    if (document.activeElement === element && look(element) === before) plain.push(element.outerHTML.slice(0, 120));
  }
  return plain;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture
def furnished(make_app: Callable[..., Flask], predictor: FakePredictor, tmp_path: Path) -> Flask:
    """A site on which every page has something to show."""
    return make_app(DERM_CASES=str(index_at(tmp_path / "cases", predictor)))


@pytest.fixture
def ada(furnished: Flask, predictor: FakePredictor) -> Person:
    """An admin, who may see every page, with an answer, and one that was withheld."""
    person = Person(furnished, "ada@hospital.org", "Ada Admin")
    assert person.register().status_code == 302
    person.becomes("admin")
    person.answered(note="Left calf, new since May.", age="54", sex="female", site="back")
    predictor.quality = (DARK,)
    person.answered()
    predictor.quality = ()
    return person


def pages_of(person: Person, values: dict[str, str], found: list[Route]) -> list[str]:
    """The addresses that answer with a page: not files, nor what leads on to another page."""
    paths = []
    with person.app.test_request_context():
        for route in found:
            path = person.app.url_for(route.endpoint, **{name: values[name] for name in route.arguments})
            response = person.get(path)
            assert response.status_code < 500, path
            if response.mimetype == "text/html" and not 300 <= response.status_code < 400:
                paths.append(path)
    return paths


def faults(page: Page) -> list[str]:
    """What keeps people who cannot see or point from using a page, in light and, for what colours decide, in dark."""
    page.set_viewport_size(DESK)
    found = []
    for scheme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        options = {"resultTypes": ["violations"], **rules}
        for fault in Axe().run(page, options=options).response["violations"]:
            if fault["impact"] in SERIOUS:
                found.append(f"{scheme}: {fault['id']}: {fault['nodes'][0]['html']}")
    # A key was pressed last, so the browser shows where the focus goes from here.
    page.keyboard.press("Tab")
    found += [f"no focus to be seen: {element}" for element in page.evaluate(UNFOCUSED)]
    page.set_viewport_size(PHONE)
    if too_wide := overflow(page):
        found.append(f"{too_wide} pixels wider than a phone")
    return found


def look_at(context: BrowserContext, address: str, paths: list[str]) -> dict[str, list[str]]:
    """The faults of pages, by address; those without any are left out."""
    page = context.pages[0]
    found = {}
    for path in paths:
        page.goto(address + path)
        found[path] = faults(page)
    return {path: several for path, several in found.items() if several}


def test_every_page_of_somebody_who_is_signed_in_is_accessible(
    browser: Browser, furnished: Flask, ada: Person
) -> None:
    with furnished.app_context():
        found = [route for route in routes(furnished) if route.method == "GET" and not route.is_api]
    paths = pages_of(ada, values_of(ada), found)
    assert len(paths) >= 35
    context = browser.new_context()
    context.set_default_timeout(60_000)
    watch = Watch(context)
    with served(furnished) as address:
        sign_in(context.new_page(), address, ada)
        assert look_at(context, address, [*paths, "/nothing"]) == {}
    context.close()
    missing = [words for words in watch.complaints if "404" not in words]
    assert missing == []
    assert watch.hosts == {"127.0.0.1"}


def test_every_page_of_a_visitor_is_accessible(browser: Browser, furnished: Flask, ada: Person) -> None:
    visitor = Person(furnished)
    public = [route for route in routes(furnished) if route.method == "GET" and route.endpoint in PUBLIC]
    paths = pages_of(visitor, values_of(ada), public)
    assert {"/login", "/register", "/about"} <= set(paths)
    context = browser.new_context()
    context.set_default_timeout(60_000)
    with served(furnished) as address:
        context.new_page()
        assert look_at(context, address, [*paths, "/nothing"]) == {}
    context.close()


def test_pages_with_nothing_on_them_are_accessible_too(browser: Browser, furnished: Flask) -> None:
    nora = Person(furnished, "nora@clinic.org", "Nora New")
    nora.register()
    nora.becomes("clinician")
    lists = [route for route in routes(furnished) if route.method == "GET" and not route.arguments]
    empty = [route for route in lists if route.role != "admin" and not route.is_public and not route.is_api]
    paths = pages_of(nora, {}, empty)
    assert {"/history", "/lesions", "/batches", "/inbox"} <= set(paths)
    context = browser.new_context()
    context.set_default_timeout(60_000)
    with served(furnished) as address:
        sign_in(context.new_page(), address, nora)
        assert look_at(context, address, paths) == {}
    context.close()


def test_the_keyboard_alone_skips_to_the_content_opens_the_menu_and_leaves_a_question(
    browser: Browser, furnished: Flask, ada: Person
) -> None:
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(60_000)
    with served(furnished) as address:
        page = context.new_page()
        sign_in(page, address, ada)
        page.goto(f"{address}/history")
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to content")
        assert skip.bounding_box()["y"] >= 0
        page.keyboard.press("Enter")
        assert page.url.endswith("#content")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")

        menu = page.locator("details.menu")
        menu.locator("summary").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Inbox"
        page.keyboard.press("Escape")
        assert menu.get_attribute("open") is None
        assert page.evaluate("document.activeElement.localName") == "summary"

        page.locator(".row-link").last.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/answers/*")
        opener = page.locator("[data-opens]")
        opener.focus()
        page.keyboard.press("Enter")
        page.locator("dialog[open]").wait_for()
        page.keyboard.press("Escape")
        page.locator("dialog[open]").wait_for(state="detached")
        assert page.evaluate("document.activeElement.dataset.opens") == "delete"
    context.close()
