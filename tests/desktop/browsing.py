"""A real browser for the app's pages, and what a window of it has to complain of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS = 20_000


@contextmanager
def started_browser(*options: str) -> Iterator[Browser]:
    """Starts the browser of this machine; skips the test where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *options])
        yield started
        started.close()


@dataclass
class Complaints:
    """What a window has to complain of: requests to other hosts, and everything else."""

    foreign: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page, address: str) -> None:
        own = (address, "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(own) or self.foreign.append(request.url))
        page.on("response", lambda answer: answer.status < 400 or self.faults.append(answer.url))
        page.on("console", lambda line: line.type != "error" or self.faults.append(line.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
