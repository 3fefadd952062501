"""Lesions and the history in a real browser: the body is clicked, two visits move together, many are chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.web.browser import Watch, launched, overflow, served
from tests.web.conftest import PASSWORD, Person
from tests.web.test_lesions import made
from web.database import db
from web.models import Lesion

SERIOUS = ("serious", "critical")
PHONE = {"width": 360, "height": 780}


CUT_OFF = """it => {
    const free = it.parentElement.appendChild(it.cloneNode());
    free.style.inlineSize = 'auto';
    free.style.position = 'absolute';
    const missing = free.offsetWidth - it.offsetWidth;
    free.remove();
    return missing - 6;
}"""
"""By how many pixels a field is narrower than the browser would make it; the space before its sign may shrink a bit."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


def opened(context: BrowserContext, address: str, person: Person, path: str) -> Page:
    """A page of somebody who has signed in."""
    page = context.new_page()
    page.goto(f"{address}/login?next={path}")
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{path}")
    return page


def faults(page: Page) -> list[str]:
    """What keeps people who cannot see or point from using the page."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in SERIOUS]


def test_a_lesion_is_marked_on_the_body_and_followed(browser: Browser, app: Flask, mira: Person) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    watch = Watch(context)
    with served(app) as address:
        page = opened(context, address, mira, "/lesions/new")
        page.get_by_label("Name or patient code").fill("P-0317")
        page.locator('[data-region="back-left-upper-back"]').click()
        expect(page.get_by_role("status").filter(has_text="Left upper back")).to_be_visible()
        assert page.locator(".body-pin").count() == 1
        assert faults(page) == []
        page.get_by_role("button", name="Make the lesion").click()
        expect(page.get_by_role("heading", name="P-0317")).to_be_visible()
        key = page.url.rpartition("/")[2]
        with app.app_context():
            lesion = db.session.query(Lesion).one()
            assert (lesion.body_view, lesion.site) == ("back", "back")
            assert 0.2 < lesion.body_x < 0.5

        for month in (1, 2):
            mira.answered(lesion=key, taken_on=f"2026-0{month}-01")
        page.goto(f"{address}/lesions/{key}")
        panes = page.locator(".photo-in")
        zoom = page.get_by_label("Zoom")
        zoom.fill("300")
        left = page.locator("#pair .photo").first
        left.hover()
        page.mouse.down()
        page.mouse.move(left.bounding_box()["x"] + 20, left.bounding_box()["y"] + 30, steps=4)
        page.mouse.up()
        moved = [panes.nth(number).evaluate("pane => pane.style.transform") for number in (0, 1)]
        assert moved[0] == moved[1]
        assert "scale(3)" in moved[0]
        assert "translate(0%" not in moved[0]
        page.get_by_role("button", name="Heatmaps on").click()
        assert page.locator("#pair .map:visible").count() == 0
        page.locator("#pair-classes").get_by_role("link", name="Basal cell carcinoma").click()
        expect(page.locator("#pair .map:visible")).to_have_count(2)
        for number in (0, 1):
            expect(page.locator("#pair .map").nth(number)).to_have_attribute(
                "src", re.compile("/heatmap/bcc$")
            )
            expect(page.locator("#pair .reading").nth(number)).to_have_text("Basal cell carcinoma: 3%")
        assert "scale(3)" in panes.nth(0).evaluate("pane => pane.style.transform")  # the zoom stays
        assert page.url.endswith("class=bcc")
        page.locator("#pair-classes").get_by_role("link", name="No heatmap").click()
        expect(page.locator("#pair .map:visible")).to_have_count(0)
        assert faults(page) == []
        page.goto(f"{address}/lesions")
        assert faults(page) == []
    assert watch.complaints == []
    assert watch.hosts == {"127.0.0.1"}
    context.close()


def test_several_answers_are_chosen_and_deleted(browser: Browser, app: Flask, mira: Person) -> None:
    for _ in range(3):
        mira.answered()
    context = browser.new_context(color_scheme="dark")
    watch = Watch(context)
    with served(app) as address:
        page = opened(context, address, mira, "/history")
        bulk = page.get_by_role("region", name="Chosen answers")
        expect(bulk).to_be_hidden()
        page.get_by_label("Choose all on this page").check()
        expect(bulk).to_contain_text("3 chosen")
        # In words of its own, and at its full size: neither a date's hint nor a picture is squeezed.
        for width in (390, 800, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.eval_on_selector("#since", CUT_OFF) <= 0
            assert page.eval_on_selector(".thumb-small", "it => it.clientWidth") >= 64
        page.locator('tbody [name="keys"]').first.uncheck()
        expect(bulk).to_contain_text("2 chosen")
        assert faults(page) == []
        with page.expect_download() as download:
            bulk.get_by_role("button", name="Export").click()
        assert download.value.suggested_filename.endswith(".csv")
        bulk.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="Delete 2 answers?")).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_label("Advice").select_option("routine")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.get_by_role("heading", name="No answer matches")).to_be_visible()
        assert page.url.endswith("/history?advice=routine")
    assert watch.complaints == []
    context.close()


def test_without_scripts_a_lesion_is_made_shown_and_its_answers_are_moved(
    browser: Browser, app: Flask, mira: Person
) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    lesion = made(mira, "Mole")
    for month in (1, 2, 3):
        mira.answered(lesion=lesion, taken_on=f"2026-0{month}-01")
    with served(app) as address:
        page = opened(context, address, mira, "/lesions/new")
        page.get_by_text("Choose from a list").click()
        page.get_by_label("Right calf").check()
        page.get_by_label("Name or patient code").fill("Spot")
        page.get_by_role("button", name="Make the lesion").click()
        expect(page.locator(".page-head")).to_contain_text("Right calf")

        page.goto(f"{address}/lesions/{lesion}")
        assert page.locator("#pair .map:visible").count() == 2
        page.get_by_label("Left").select_option(index=2)
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#pair figcaption").first).to_contain_text("1 Jan 2026")
        assert overflow(page) <= 0

        page.goto(f"{address}/history")
        page.locator('tbody [name="keys"]').first.check()
        page.get_by_role("button", name="Move").click()
        page.get_by_label("Lesion").select_option("Spot")
        page.get_by_role("button", name="Move").click()
        expect(page.get_by_role("heading", name="Spot")).to_be_visible()
        assert overflow(page) <= 0
        for path in ("/history", "/lesions", "/lesions/new", f"/lesions/{lesion}/delete"):
            page.goto(address + path)
            assert overflow(page) <= 0, path
    context.close()
