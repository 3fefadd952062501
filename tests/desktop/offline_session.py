"""Drives the app as `scripts/desktop` starts it, in a real browser; run where there is no network but the loopback.

    python -m tests.desktop.offline_session HOME FOLDER PORT

A dataset to train on lies beside FOLDER, in `set`.
Ends with status 0 where everything worked and neither the page nor the app tried to reach another host; prints what
did otherwise. Collected by no test: test_offline_session.py runs it.
"""

from __future__ import annotations

import csv
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.desktop.tiny_training import RECIPE, TINY

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS = 120_000
# Runs a script with a record of every name that is looked up and every address that is spoken to.
WATCHED = """
import runpy, sys
record, script = sys.argv[1:3]
sys.argv = sys.argv[2:]
def watch(event, values):
    if event in ("socket.connect", "socket.sendto"):
        address = values[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = values[0]
    else:
        return
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = host.decode("utf-8", "replace")
    own = host is None or host in ("", "localhost", "::1") or host.startswith(("127.", "/"))
    if not own:
        with open(record, "a") as stream:
            stream.write(f"{event} {host}\\n")
sys.addaudithook(watch)
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(script, run_name="__main__")
"""


def loopback_up() -> None:
    """Switches the loopback on, as `ip link set lo up` does: a new network namespace has it switched off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        asked = struct.pack("16sH14s", b"lo", 0, b"\0" * 14)
        flags = struct.unpack("16sH14s", fcntl.ioctl(probe, 0x8913, asked))[1]  # SIOCGIFFLAGS
        fcntl.ioctl(
            probe, 0x8914, struct.pack("16sH14s", b"lo", flags | 1, b"\0" * 14)
        )  # SIOCSIFFLAGS, IFF_UP


def one_picture(page: Page, folder: Path) -> None:
    page.locator('#picture input[type="file"]').set_input_files(folder / "00.jpg")
    expect(page.locator("#advice")).to_be_focused()
    with page.expect_download() as download:
        page.get_by_role("button", name="PDF of this answer").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")


def folder_of_sixty(page: Page, folder: Path) -> None:
    page.get_by_role("tab", name="A folder").click()
    page.locator("#folder-path input, #folder-path textarea").fill(str(folder))
    page.locator("#folder-start").click()
    expect(page.get_by_role("heading", name="60 of 60 done")).to_be_visible()
    expect(page.locator("#folder-table tbody tr")).to_have_count(25)
    page.locator('[data-do="show:unread"]').click()
    expect(page.locator("#folder-table tbody tr")).to_have_count(2)
    expect(page.locator("#folder-table tbody")).to_contain_text("Is not a picture that can be read (6 bytes)")
    page.locator('[data-do="show:"]').click()
    for kind, start in (("csv", b"file,top"), ("jsonl", b'{"file"'), ("pdf", b"%PDF")):
        with page.expect_download() as download:
            page.locator(f"#export-{kind}").click()
        content = Path(download.value.path()).read_bytes()
        assert content.startswith(start), content[:40]
        if kind == "csv":
            assert len(list(csv.reader(content.decode().splitlines()))) == 61
    page.locator("thead [data-do='order:risk']").click()
    expect(page.locator("thead [aria-sort]")).to_have_text("Risk of malignancy")
    page.locator('[data-do="page:1"]').click()
    expect(page.locator("#folder-pages .pager")).to_contain_text("Page 2 of 3")


def models(page: Page, folder: Path, home: Path) -> None:
    page.get_by_role("tab", name="Models").click()
    expect(page.locator("#machine")).to_contain_text("Answers on")
    page.locator('[data-do="card:0"]').click()
    expect(page.locator("#model-card h1")).to_contain_text("ham7")
    with page.expect_download() as download:
        page.locator('[data-do="export:0"]').click()
    file = home / "carried.dermbundle"
    download.value.save_as(file)
    page.get_by_label("File", exact=True).fill(str(file))
    page.get_by_label("Name", exact=True).fill("carried")
    page.locator("#import-start").click()
    expect(page.locator("#models-said")).to_contain_text("Registered as carried@1")
    page.get_by_label("Second model").click()
    page.get_by_role("option", name="carried@1").click()
    page.locator('#compare-pictures input[type="file"]').set_input_files(
        [folder / "00.jpg", folder / "01.jpg", folder / "letter.jpg"]
    )
    expect(page.locator("#compare-pictures")).to_contain_text("letter")
    page.locator("#compare-start").click()
    expect(page.locator("#compared h2")).to_have_text("Same advice for 2 of 2 pictures 1 could not be read.")


def training(page: Page, dataset: Path) -> None:
    """One epoch of a tiny network; its process has no network either."""
    page.get_by_role("tab", name="Training").click()
    page.locator("#training-data input, #training-data textarea").fill(str(dataset))
    page.get_by_role("button", name="Look it over").click()
    page.get_by_label("Recipe").click()
    page.get_by_role("option", name=RECIPE).click()
    expect(page.locator("#training-recipe-words")).to_contain_text("It starts from random numbers.")
    page.locator("#training-epochs input").fill("1")
    page.locator("#training-size input").fill("32")
    page.locator("#training-batch input").fill("8")
    page.locator("#training-more textarea").fill("\n".join(TINY))
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator("#training-head .badge")).to_have_text("Trained")
    expect(page.locator("#training-curves .curve")).to_have_count(3)


def drive(address: str, folder: Path, home: Path) -> list[str]:
    """Returns what the page asked other hosts for, and what went wrong in it."""
    path = next(filter(None, map(shutil.which, BROWSERS)))
    complaints: list[str] = []
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        own = (address, "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(own) or complaints.append(request.url))
        page.on("console", lambda line: line.type != "error" or complaints.append(line.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.locator('#picture input[type="file"]').wait_for(state="attached")
        one_picture(page, folder)
        folder_of_sixty(page, folder)
        models(page, folder, home)
        training(page, folder.parent / "set")
        browser.close()
    return complaints


def main() -> None:
    home, folder, port = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    loopback_up()
    record = home.parent / "reached"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        WATCHED,
        str(record),
        str(ROOT / "scripts" / "_desktop.py"),
    ]
    with subprocess.Popen(
        [*command, "--no-browser", "--port", port],
        env=os.environ | {"DERM_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as app:
        try:
            assert app.stdout is not None
            app.stdout.readline()
            assert "is ready on" in app.stdout.readline()
            complaints = drive(f"http://127.0.0.1:{port}", folder, home)
        finally:
            app.send_signal(signal.SIGTERM)
    if record.exists():
        complaints += record.read_text().splitlines()
    assert list((home / "desktop").iterdir()) == []
    if app.returncode != 0 or complaints:
        raise SystemExit("\n".join([f"status {app.returncode}", *complaints]))


if __name__ == "__main__":
    main()
