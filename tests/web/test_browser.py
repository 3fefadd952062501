"""The website in a real browser, from registration to the last deletion; with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect

import derm_core
from tests.web.browser import Watch, launched, overflow, save, served
from tests.web.conftest import PASSWORD, Person, close_connections
from tests.web.fakes import DARK, FakePredictor, picture
from web import create_app
from web.database import upgrade_database
from web.pictures import sample_photograph

BUNDLED = Path(derm_core.__file__).parent / "bundled" / "model.json"
PHONE = {"width": 360, "height": 780}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(locale="en-GB", timezone_id="Europe/Istanbul")
    opened.set_default_timeout(30_000)
    yield opened
    opened.close()


def register(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("Your name").fill("Dr Mira Aydin")
    page.get_by_label("E-mail").fill("mira@clinic.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="New picture")).to_be_visible()


def is_drawn(page: Page, selector: str) -> bool:
    """Says whether a picture arrived and could be decoded."""
    page.wait_for_function("selector => document.querySelector(selector)?.complete", arg=selector)
    return page.evaluate("selector => document.querySelector(selector).naturalWidth > 0", selector)


def test_from_registration_to_deletion_with_the_model_that_ships(
    context: BrowserContext, tmp_path: Path
) -> None:
    # Before there is a bundled model, a fake one answers; whatever answers, the way is the same.
    app = create_app({"DERM_HOME": tmp_path / "home"}, None if BUNDLED.exists() else FakePredictor())
    upgrade_database(app)
    watch = Watch(context)
    with served(app) as address:
        page = context.new_page()
        page.set_default_timeout(120_000)  # The first answer waits for the model to be loaded.
        register(page, address)

        page.get_by_role("button", name="Try a sample picture").click()
        expect(page.locator(".advice-word")).to_be_visible()
        page.get_by_role("link", name="New", exact=True).click()

        send = page.get_by_role("button", name="Get the answer")
        expect(send).to_be_disabled()
        # What the model that ships answers, and does not take for another thing.
        page.locator("#picture").set_input_files(save(tmp_path, sample_photograph()))
        expect(page.locator("#chosen-name")).to_have_text("IMG_0001.jpg")
        assert is_drawn(page, "#preview")
        page.get_by_label("Note").fill("Left calf, new since May.")
        send.click()

        page.wait_for_url("**/answers/*")
        expect(page.get_by_text(derm_core.NOTICE).first).to_be_visible()
        expect(page.locator(".prob")).to_have_count(7)
        assert is_drawn(page, "#photo > img:first-child")
        assert is_drawn(page, "#photo .map")

        slider = page.get_by_role("slider", name="Heatmap")
        for key, shown in (("End", "100%"), ("Home", "0%")):
            slider.press(key)
            expect(page.locator("#opacity-out")).to_have_text(shown)
            expect(page.locator("#photo .map")).to_have_css("opacity", str(int(shown == "100%")))

        other = page.locator("#classes a:not([aria-current]):not([data-code=none])").first
        code = other.get_attribute("data-code")
        other.click()
        expect(page.locator("#photo .map:visible")).to_have_attribute("data-code", str(code))
        assert is_drawn(page, f"#photo .map[data-code={code}]")
        assert f"class={code}" in page.url
        page.reload()
        expect(page.locator("#photo .map")).to_have_attribute("data-code", str(code))
        page.get_by_role("link", name="No heatmap").click()
        expect(page.locator("#photo .map:visible")).to_have_count(0)

        page.locator("#note").fill("Seen again, unchanged.")
        page.get_by_role("button", name="Save note").click()
        expect(page.locator(".toast")).to_contain_text("The note is saved.")

        page.get_by_role("link", name="History").first.click()
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page.locator("tbody tr").first).to_contain_text("Seen again, unchanged.")
        page.locator("tbody tr").first.click()
        page.get_by_role("link", name="Delete").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("link", name="Keep it").click()
        expect(dialog).not_to_be_visible()
        page.get_by_role("link", name="Delete").click()
        dialog.get_by_role("button", name="Delete").click()
        expect(page.locator(".toast")).to_contain_text("are deleted")
        expect(page.locator("tbody tr")).to_have_count(1)

        page.locator(".menu summary").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.goto(f"{address}/history")
        assert "/login?next=" in page.url
    close_connections(app)
    assert watch.complaints == []
    assert watch.hosts == {"127.0.0.1"}


def test_without_scripts_the_main_job_is_done_by_forms_and_links(
    browser: Browser, app: Flask, tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    with served(app) as address:
        page = context.new_page()
        register(page, address)
        page.locator("#picture").set_input_files(save(tmp_path, picture()))
        page.get_by_label("Age in years").fill("54")
        page.get_by_label("Sex").select_option("Female")
        page.get_by_label("Body site").select_option("Lower extremity")
        page.get_by_role("button", name="Get the answer").click()
        page.wait_for_url("**/answers/*")
        expect(page.get_by_text("Answered with: 54 years, female, lower extremity")).to_be_visible()
        expect(page.locator("#photo .map")).to_have_attribute("data-code", "mel")
        page.get_by_role("link", name="Melanocytic naevus").click()
        expect(page.locator("#photo .map")).to_have_attribute("data-code", "nv")
        expect(page.locator("#opacity")).not_to_be_visible()
        page.get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="No answers yet")).to_be_visible()
        page.locator(".menu summary").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_a_picture_can_be_dropped_and_pasted_and_one_too_large_is_told_at_once(
    context: BrowserContext, make_app: Callable[..., Flask]
) -> None:
    with served(make_app(MAX_CONTENT_LENGTH=2_000_000)) as address:
        page = context.new_page()
        register(page, address)
        hand_over = """([kind, size]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(size)], 'lesion.jpg', { type: 'image/jpeg' }));
            const event = kind === 'drop'
                ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
                : new ClipboardEvent('paste', { clipboardData: data, bubbles: true });
            document.getElementById('drop').dispatchEvent(event);
        }"""
        for kind in ("drop", "paste"):
            page.reload()
            page.evaluate(hand_over, [kind, 1000])
            expect(page.locator("#chosen-name")).to_have_text("lesion.jpg")
            expect(page.get_by_role("button", name="Get the answer")).to_be_enabled()
        page.evaluate(hand_over, ["drop", 2_500_000])
        expect(page.get_by_role("alert")).to_contain_text("at most 2.0 MB can be sent")
        expect(page.get_by_role("button", name="Get the answer")).to_be_disabled()


def test_an_upload_that_the_server_refuses_shows_its_page_and_not_a_broken_connection(
    browser: Browser, make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    with served(make_app(MAX_CONTENT_LENGTH=1_000_000)) as address:
        page = context.new_page()
        register(page, address)
        page.locator("#picture").set_input_files(save(tmp_path, bytes(8_000_000)))
        page.get_by_role("button", name="Get the answer").click()
        expect(page.get_by_role("heading", name="The picture is too large to send")).to_be_visible()
    context.close()


def test_the_patient_is_described_by_keyboard_and_a_wrong_age_never_leaves_the_browser(
    context: BrowserContext, app: Flask, tmp_path: Path, predictor: FakePredictor
) -> None:
    with served(app) as address:
        page = context.new_page()
        register(page, address)
        group = page.get_by_role("group", name="About the patient (optional)")
        expect(group).to_have_accessible_description("Age, sex and body site improve the answer.")
        page.locator("#picture").set_input_files(save(tmp_path, picture()))
        send = page.get_by_role("button", name="Get the answer")
        expect(send).to_be_focused()
        for _ in range(4):
            page.keyboard.press("Shift+Tab")
        expect(group.get_by_label("Age in years")).to_be_focused()
        page.keyboard.type("200")
        send.click()
        expect(group.get_by_label("Age in years")).to_be_focused()
        assert page.evaluate("document.getElementById('age').validity.rangeOverflow")
        assert page.url.endswith("/new")
        assert predictor.seen == []
        page.keyboard.press("Backspace")
        page.keyboard.press("Tab")
        page.keyboard.type("Fem")
        page.keyboard.press("Tab")
        page.keyboard.type("Back")
        for _ in range(2):
            page.keyboard.press("Tab")
        expect(send).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url("**/answers/*")
        expect(page.get_by_text("Answered with: 20 years, female, back")).to_be_visible()


def test_light_or_dark_is_kept_and_the_system_is_followed(context: BrowserContext, app: Flask) -> None:
    with served(app) as address:
        page = context.new_page()
        page.emulate_media(color_scheme="dark")
        page.goto(f"{address}/about")
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(ground)
        page.get_by_role("button", name="Switch between light and dark").click()
        light = page.evaluate(ground)
        assert light != dark
        page.reload()
        assert page.evaluate(ground) == light
        page.emulate_media(color_scheme="light")
        assert page.evaluate(ground) == light


def test_no_page_is_wider_than_a_small_phone_and_times_are_the_readers_own(
    context: BrowserContext, app: Flask, mira: Person, predictor: FakePredictor
) -> None:
    patient = {"age": "0.333333", "sex": "female", "site": "upper extremity"}
    keys = [
        mira.answered(note="Averylongwordwithoutanyspace" * 8, **patient),
        mira.answered(picture(90, 400)),
    ]
    predictor.quality = (DARK,)
    keys.append(mira.answered())
    paths = ["/new", "/history", "/account", "/account/delete", "/about", "/nothing"]
    paths += [f"/answers/{key}" for key in keys] + [f"/answers/{keys[0]}/delete"]
    with served(app) as address:
        page = context.new_page()
        page.set_viewport_size(PHONE)
        for path in ("/login", "/register"):
            page.goto(address + path)
            assert overflow(page) <= 0, path
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("E-mail").fill(mira.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        for path in paths:
            page.goto(address + path)
            assert overflow(page) <= 0, path
        page.goto(f"{address}/answers/{keys[0]}")
        shown = page.locator("h1 time")
        assert re.fullmatch(r"\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d", shown.inner_text())
        assert shown.get_attribute("datetime", timeout=1000).endswith("+00:00")
