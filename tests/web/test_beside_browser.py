"""What stands beside an answer in a real browser: brought into its page, or on a page of its own without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from tests.web.browser import Watch, launched, served, sign_in
from tests.web.case_index import index_at
from tests.web.conftest import Person
from tests.web.fakes import FakePredictor
from web.turns import Turns

PATIENCE = 60_000
"""Milliseconds that a page may take where the machine has other things to do."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture
def indexed(make_app: Callable[..., Flask], predictor: FakePredictor, tmp_path: Path) -> Flask:
    return make_app(DERM_CASES=str(index_at(tmp_path / "cases", predictor)))


def drawn(page: Page, selector: str) -> None:
    """Waits until every such picture has arrived and could be decoded."""
    page.wait_for_function(
        "selector => [...document.querySelectorAll(selector)].every(one => one.complete && one.naturalWidth > 0)",
        arg=selector,
    )


def test_other_explanations_and_similar_cases_come_into_the_page(browser: Browser, indexed: Flask) -> None:
    person = Person(indexed)
    person.register()
    key = person.answered()
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    watch = Watch(context)
    with served(indexed) as address:
        page = context.new_page()
        sign_in(page, address, person)
        page.goto(f"{address}/answers/{key}")
        page.locator("#classes").get_by_role("link", name="Melanocytic naevus").click()
        expect(page.locator("#explained")).to_have_text("What speaks for Melanocytic naevus")

        page.get_by_role("link", name="Show what there is").click()
        page.get_by_role("link", name="LayerCAM").click()
        expect(page.get_by_text("What speaks for Melanocytic naevus, by LayerCAM")).to_be_visible(
            timeout=PATIENCE
        )
        drawn(page, ".viewer-other img")
        assert page.evaluate("document.activeElement.textContent.trim()") == "LayerCAM"

        page.get_by_role("link", name="Show similar cases").click()
        expect(page.locator("#similar li")).to_have_count(4, timeout=PATIENCE)
        drawn(page, "#similar img")
        expect(page.locator("#similar li").first).to_contain_text("Melanoma")
        assert page.url.startswith(f"{address}/answers/{key}?")
    assert watch.complaints == []
    assert watch.hosts == {"127.0.0.1"}
    context.close()


def test_a_busy_model_is_said_to_be(browser: Browser, indexed: Flask) -> None:
    person = Person(indexed)
    person.register()
    key = person.answered()
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    with served(indexed) as address:
        page = context.new_page()
        sign_in(page, address, person)
        page.goto(f"{address}/answers/{key}")
        indexed.extensions["inference"].turns = turns = Turns(at_once=1, waiting_limit=0)
        with turns.request():
            page.get_by_role("link", name="Show similar cases").click()
            expect(page.get_by_role("heading", name="Many pictures are being answered")).to_be_visible(
                timeout=PATIENCE
            )
        page.go_back()
        page.get_by_role("link", name="Show what there is").click()
        expect(page.get_by_role("link", name="LayerCAM")).to_be_visible(timeout=PATIENCE)
        with turns.request():
            page.get_by_role("link", name="LayerCAM").click()
            expect(page.get_by_text("It could not be made just now.")).to_be_visible(timeout=PATIENCE)
        expect(page.locator(".viewer-other .map")).to_have_count(0)
    context.close()


def test_without_scripts_each_has_a_page_of_its_own(browser: Browser, indexed: Flask) -> None:
    person = Person(indexed)
    person.register()
    key = person.answered()
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    with served(indexed) as address:
        page = context.new_page()
        sign_in(page, address, person)
        page.goto(f"{address}/answers/{key}")
        page.get_by_role("link", name="Show similar cases").click()
        expect(page.locator("#similar li")).to_have_count(4, timeout=PATIENCE)
        page.get_by_role("link", name="Answer", exact=True).click()
        page.get_by_role("link", name="Show what there is").click()
        page.get_by_role("link", name="LayerCAM").click()
        expect(page.get_by_text("What speaks for Melanoma, by LayerCAM")).to_be_visible(timeout=PATIENCE)
    context.close()
