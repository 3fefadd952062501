"""Tour, second opinion, review and administration in a real browser, and their pages without a fault."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Page, expect

from tests.web.browser import Watch, launched, overflow, served, sign_in
from tests.web.conftest import Person

SERIOUS = ("serious", "critical")


def check(page: Page) -> None:
    """Finds no serious fault of accessibility, and nothing that is wider than a phone."""
    found = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in SERIOUS] == [], page.url
    page.set_viewport_size({"width": 360, "height": 780})
    assert overflow(page) == 0, page.url
    page.set_viewport_size({"width": 1280, "height": 900})


def test_tour_second_opinion_review_and_administration(
    app: Flask, mira: Person, clinician: Person, admin: Person
) -> None:
    key = mira.answered()
    with served(app) as address, launched() as browser:
        contexts = [browser.new_context() for _ in range(3)]
        watches = [Watch(context) for context in contexts]
        user, doctor, boss = (context.new_page() for context in contexts)

        sign_in(user, address, mira)
        user.get_by_role("button", name="Show me an answer").click()
        expect(user.get_by_role("heading", name="How to read an answer")).to_be_visible()
        check(user)
        user.get_by_role("button", name="Now a picture of my own").click()
        user.wait_for_url("**/new")
        expect(user.get_by_role("button", name="Show me an answer")).to_have_count(0)
        user.goto(f"{address}/answers/{key}/share")
        check(user)
        user.get_by_label("E-mail").fill(clinician.email)
        user.get_by_role("button", name="Share").click()
        expect(user.get_by_text(f"{clinician.name} can see this answer now.")).to_be_visible()

        sign_in(doctor, address, clinician)
        doctor.goto(f"{address}/inbox")
        check(doctor)
        doctor.get_by_role("link", name=mira.name).or_(doctor.locator(".row-link")).first.click()
        doctor.get_by_role("link", name="Record the diagnosis").click()
        check(doctor)
        doctor.get_by_label("Diagnosis", exact=True).select_option("mel")
        doctor.get_by_label("Known by").select_option("histopathology")
        doctor.get_by_role("button", name="Record the review").click()
        expect(doctor.get_by_text("by histopathology")).to_be_visible()

        sign_in(boss, address, admin)
        boss.goto(f"{address}/admin")
        boss.get_by_role("navigation", name="Administration").get_by_role("link", name="Audit log").click()
        expect(boss.get_by_role("row").filter(has_text="reviewed an answer")).to_have_count(1)
        for watch in watches:
            assert watch.complaints == []
            assert watch.hosts == {"127.0.0.1"}
