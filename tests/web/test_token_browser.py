"""An API token in a real browser: made, copied, used by a program, revoked; and the pages without a fault."""

from __future__ import annotations

import re

from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Page, expect

from tests.web.api.conftest import Program
from tests.web.browser import Watch, launched, overflow, served
from tests.web.conftest import PASSWORD, Person

SERIOUS = ("serious", "critical")


def check(page: Page) -> None:
    """Finds no serious fault of accessibility, and nothing that is wider than a phone."""
    found = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in SERIOUS] == [], page.url
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == 0, page.url
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_token_from_its_making_to_its_end(app: Flask, mira: Person) -> None:
    with served(app) as address, launched() as browser:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        watch = Watch(context)
        page = context.new_page()
        page.goto(f"{address}/login")
        page.get_by_label("E-mail").fill(mira.email)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/login" not in url)

        page.goto(f"{address}/account")
        page.get_by_role("link", name="API tokens").last.click()
        expect(page.get_by_role("heading", name="No tokens yet")).to_be_visible()
        check(page)
        page.get_by_label("What it is for").fill("Import")
        page.get_by_role("button", name="Make the token").click()
        expect(page.get_by_role("heading", name="Copy the token now")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        token = page.evaluate("navigator.clipboard.readText()")
        assert re.fullmatch(r"derm_[\w-]{43}", token)
        program = Program(app, token)
        key = program.predicted(note="sent by a program")["id"]

        page.get_by_role("link", name="I have copied it").click()
        check(page)
        page.goto(f"{address}/answers/{key}")
        expect(page.get_by_text("sent by a program").first).to_be_visible()
        page.goto(f"{address}/account/tokens")
        page.get_by_role("link", name="Revoke").click()
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("revoked").first).to_be_visible()
        assert program.get("/token").status_code == 401

        page.goto(f"{address}/api#busy")
        page.get_by_text("Answer a photograph").click()
        expect(page.get_by_text("-F image=@lesion.jpg \\").first).to_be_visible()
        check(page)
        assert watch.complaints == []
        assert watch.hosts == {"127.0.0.1"}
        context.close()
