"""A second factor in a real browser: set up, asked for at the door, replaced by a recovery code, and cleared."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.web.authenticator import Authenticator
from tests.web.browser import Watch, launched, served
from tests.web.conftest import PASSWORD, Person
from tests.web.test_token_browser import check


def sign_out(page: Page) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    page.wait_for_url("**/login")


def give_password(page: Page, address: str, person: Person) -> None:
    page.goto(f"{address}/login?next=/account/second-factor")
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_second_factor_from_its_setting_up_to_a_recovery_code(
    app: Flask, mira: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = Authenticator(monkeypatch)
    with served(app) as address, launched() as browser:
        context = browser.new_context()
        watch = Watch(context)
        page = context.new_page()
        give_password(page, address, mira)
        expect(page.get_by_role("heading", name="Set it up")).to_be_visible()
        check(page)
        page.get_by_label("Your password").fill(PASSWORD)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("img", name="QR code")).to_be_visible()
        check(page)
        phone.secret = page.get_by_label("Or type this key").input_value()
        page.get_by_label("Code", exact=True).fill(phone.code())
        page.get_by_role("button", name="Turn it on").click()
        expect(page.get_by_role("heading", name="Keep these codes")).to_be_visible()
        codes = page.get_by_label("Recovery codes").input_value().split()
        assert len(codes) == 10
        check(page)
        page.get_by_role("link", name="I have kept them").click()
        expect(page.get_by_text("10 of 10")).to_be_visible()
        check(page)

        sign_out(page)
        give_password(page, address, mira)
        expect(page.get_by_role("heading", name="The code")).to_be_visible()
        expect(page.get_by_label("Code", exact=True)).to_be_focused()
        check(page)
        page.get_by_label("Code", exact=True).fill(phone.next_code())
        page.keyboard.press("Enter")
        page.wait_for_url("**/account/second-factor")

        sign_out(page)
        give_password(page, address, mira)
        page.get_by_role("link", name="Use a recovery code").click()
        check(page)
        page.get_by_label("Code", exact=True).fill(codes[0])
        page.keyboard.press("Enter")
        page.wait_for_url("**/account/second-factor")
        expect(page.get_by_text("9 recovery codes left.")).to_be_visible()

        page.get_by_role("link", name="Make new ones").click()
        check(page)
        page.goto(f"{address}/account/second-factor/remove")
        check(page)
        page.get_by_label("Your password").fill(PASSWORD)
        page.get_by_label("Code", exact=True).fill(phone.next_code())
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("The second factor is removed.")).to_be_visible()
        assert watch.complaints == []
        assert watch.hosts == {"127.0.0.1"}


def test_the_way_leads_through_without_script(
    app: Flask, mira: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = Authenticator(monkeypatch)
    codes = phone.set_up(mira)
    with served(app) as address, launched() as browser:
        page = browser.new_context(java_script_enabled=False).new_page()
        give_password(page, address, mira)
        page.get_by_label("Code", exact=True).fill(phone.next_code())
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/account/second-factor")
        page.get_by_role("link", name="Make new ones").click()
        page.get_by_label("Your password").fill(PASSWORD)
        page.get_by_label("Code", exact=True).fill(codes[0])
        page.get_by_role("button", name="Make new ones").click()
        expect(page.get_by_role("heading", name="Keep these codes")).to_be_visible()
