"""Batches in a real browser: sent with progress, watched while they are answered, sorted; and all without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, expect

from tests.web.browser import Watch, launched, overflow, served, sign_in
from tests.web.conftest import Person
from tests.web.fakes import picture
from tests.web.test_batches import answer_all, sent
from web.batch_worker import answer_next


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "November screening"
    folder.mkdir()
    for name, content in {
        "a.jpg": picture(),
        "b.jpg": picture(),
        "notes.docx": b"x",
        ".hidden": b"x",
    }.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_sent_watched_and_sorted(
    browser: Browser, app: Flask, mira: Person, tmp_path: Path
) -> None:
    context = browser.new_context()
    watch = Watch(context)
    with served(app) as address:
        page = context.new_page()
        sign_in(page, address, mira)
        page.goto(f"{address}/batches")
        expect(page.locator("#send")).to_be_disabled()
        page.locator("#folder").set_input_files(folder_of(tmp_path))
        expect(page.locator("#chosen-name")).to_have_text("3 files")
        page.locator("#send").click()
        page.wait_for_url("**/batches/*")
        expect(page.get_by_role("heading", level=1)).to_have_text("November screening")
        expect(page.locator("#progress")).to_have_text("0 of 3 done")
        answer_next(app)
        expect(page.locator('#progress [data-count="done"]')).to_have_text("1", timeout=10_000)
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#left")).to_have_text("Paused: no further file is begun.")
        assert answer_all(app) == 0
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        answer_all(app)
        expect(page.get_by_role("heading", name="All 3 files are done")).to_be_visible(timeout=30_000)
        page.get_by_role("link", name="Risk").click()
        expect(page.locator("th[aria-sort]")).to_have_text("Risk")
        page.get_by_role("link", name="See why").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert download.value.suggested_filename.endswith(".csv")
    assert watch.complaints == []
    assert watch.hosts == {"127.0.0.1"}
    context.close()


def test_what_is_refused_is_said_on_the_page(
    browser: Browser, app: Flask, mira: Person, tmp_path: Path
) -> None:
    app.config["BATCHES_AT_ONCE"] = 0
    context = browser.new_context()
    with served(app) as address:
        page = context.new_page()
        sign_in(page, address, mira)
        page.goto(f"{address}/batches")
        page.locator("#folder").set_input_files(folder_of(tmp_path))
        page.locator("#send").click()
        expect(page.locator("#problem")).to_contain_text("of your batches are not done yet")
        expect(page.locator("#send")).to_be_enabled()
    context.close()


def test_everything_works_without_scripts(browser: Browser, app: Flask, mira: Person, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    with served(app) as address:
        page = context.new_page()
        sign_in(page, address, mira)
        page.goto(f"{address}/batches")
        page.locator("#files").set_input_files(sorted(folder_of(tmp_path).glob("*.jpg")))
        page.get_by_role("button", name="Send the batch").click()
        expect(page.locator("#progress")).to_have_text("0 of 2 done")
        answer_all(app)
        # The page asks again by itself.
        expect(page.get_by_role("heading", name="All 2 files are done")).to_be_visible(timeout=15_000)
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1280)])
def test_the_pages_are_accessible_and_fit(
    browser: Browser, app: Flask, mira: Person, scheme: str, width: int
) -> None:
    done = sent(mira, {"a.jpg": picture(), "notes.docx": b"x"})
    answer_all(app)
    running = sent(mira, {"c.jpg": picture()})
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})  # type: ignore[arg-type]
    with served(app) as address:
        page = context.new_page()
        sign_in(page, address, mira)
        for path in (
            "/batches",
            f"/batches/{done}?sort=risk",
            f"/batches/{running}",
            f"/batches/{running}/delete",
        ):
            page.goto(address + path)
            assert overflow(page) == 0, path
            found = Axe().run(page).response["violations"]
            assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == [], path
    context.close()
