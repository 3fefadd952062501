"""A real browser and a live server for it: nothing is faked between the two."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import make_server

from tests.web.conftest import PASSWORD, Person

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CHROMIUM = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium() -> str:
    """Returns the installed browser; without one the test is skipped, and the run says so."""
    for name in CHROMIUM:
        if path := shutil.which(name):
            return path
    pytest.skip("NO BROWSER: install chromium (apt-get install chromium), and the website is tested in it")


@contextmanager
def launched() -> Iterator[Browser]:
    """Starts the browser."""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def _in_one_piece(app: Flask, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Closes an answer before it is sent: the development server does not where the browser hangs up on it."""
    answer = app(environ, start_response)
    try:
        return [b"".join(answer)]
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serves the app on a free port of this machine, and gives its address."""
    server = make_server("127.0.0.1", 0, partial(_in_one_piece, app), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Watch:
    """Listens to the pages of a browser context: what their consoles complain of, and what hosts they ask."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str | None] = set()
        context.on("page", self._follow)
        context.on(
            "request", lambda request: self.hosts.add(urlsplit(request.url.removeprefix("blob:")).hostname)
        )

    def _follow(self, page: Page) -> None:
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


def sign_in(page: Page, address: str, person: Person) -> None:
    """Signs somebody in through the form, with the password that everybody has in tests."""
    page.goto(f"{address}/login")
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def overflow(page: Page) -> int:
    """Returns by how many pixels a page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def save(folder: Path, content: bytes, name: str = "IMG_0001.jpg") -> Path:
    """Writes a file to be chosen in a form."""
    path = folder / name
    path.write_bytes(content)
    return path
