"""The case list in a real browser: a picture kept, a second visit beside it, a diagnosis confirmed, files."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from derm_core import open_case_file
from desktop import build_interface, serve
from desktop.case_list import CaseList
from desktop.uploads import upload_folder
from tests.derm_core.interchange.examples import case_file, lesion, photograph
from tests.desktop.browsing import PATIENCE_MS, Complaints, started_browser
from tests.desktop.conftest import FakePredictor

pytestmark = pytest.mark.usefixtures("no_event_loop_is_left")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """The app in a window of its own, with an empty case list; fails at a request to another host or a fault."""
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    complaints = Complaints()
    with (
        upload_folder(port),
        serve(build_interface(FakePredictor()), port=port) as address,  # type: ignore[arg-type]
        started_browser() as browser,
    ):
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.set_default_timeout(PATIENCE_MS)
        complaints.watch(opened, address)
        opened.goto(address)
        opened.locator('#picture input[type="file"]').wait_for(state="attached")
        yield opened
        opened.close()
    assert complaints == Complaints()


def visit(folder: Path, name: str, radius: float) -> Path:
    """A picture of a brown spot."""
    rows, columns = np.mgrid[:120, :160]
    spot = (rows / 120 - 0.5) ** 2 + (columns / 160 - 0.5) ** 2 < radius**2
    pixels = np.where(spot[..., None], (110, 66, 50), (224, 180, 160)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def answer(page: Page, path: Path) -> None:
    page.locator('#picture input[type="file"]').set_input_files(path)
    expect(page.locator(".answer-name")).to_have_text(path.name)


def test_a_lesion_is_followed_over_two_visits(page: Page, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Cases").click()
    expect(page.get_by_role("heading", name="Follow a lesion over time")).to_be_visible()
    page.get_by_role("button", name="Answer a picture").click()

    answer(page, visit(tmp_path, "october.png", 0.18))
    page.get_by_role("button", name="Keep in the case list").click()
    form = page.locator("#case-keep")
    expect(form).to_contain_text("october.png")
    form.get_by_role("button", name="Keep it", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Give the patient’s code or say which lesion it is")
    form.get_by_label("Patient’s code").fill("P-0317")
    form.get_by_label("Which lesion").fill("<b>left</b> shoulder")
    form.get_by_label("Taken on (optional)").fill("2025-10-03")
    form.get_by_role("button", name="Keep it", exact=True).click()
    expect(page.get_by_text("The photograph is kept.")).to_be_visible()
    expect(page.get_by_role("heading", name="P-0317, <b>left</b> shoulder")).to_be_visible()

    page.get_by_role("tab", name="One picture").click()
    page.get_by_role("button", name="New picture").click()
    answer(page, visit(tmp_path, "november.png", 0.25))
    page.get_by_role("tab", name="Cases").click()
    page.get_by_role("button", name="Add the present picture").click()
    expect(form).to_contain_text("november.png")
    expect(form.get_by_label("Patient’s code")).to_be_hidden()
    form.get_by_role("button", name="Keep it", exact=True).click()
    pair = page.locator(".case-pair")
    expect(pair.locator("figure")).to_have_count(2)
    expect(page.locator(".case-changes")).to_contain_text("Risk of malignancy 67%, as before")
    expect(page.locator(".case-changes")).to_contain_text(
        "The lesion covers 11% of the earlier picture and 21%"
    )
    expect(page.get_by_role("button", name="Add the present picture")).to_have_count(0)
    expect(pair.locator(".heat").first).to_be_visible()
    page.get_by_label("Heatmaps on").uncheck()
    expect(pair.locator(".heat").first).to_be_hidden()

    page.get_by_role("button", name="Confirm").first.click()
    review = page.locator("#case-review")
    review.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose the diagnosis, and how it is known.")
    review.get_by_label("Diagnosis").click()
    page.get_by_role("option", name="Melanoma").click()
    review.get_by_label("Known by").click()
    page.get_by_role("option", name="histopathology").click()
    review.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The diagnosis is recorded.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Take this lesion along").click()
    with open_case_file(Path(download.value.path())) as taken:
        assert [one.taken_on for one in taken.lesions[0].photographs] == [date(2025, 10, 3), None]

    page.get_by_role("button", name="All lesions").click()
    row = page.locator("#case-listed tbody tr")
    expect(row).to_contain_text("2 photographs")
    expect(row).to_contain_text("Melanoma, by histopathology")


def test_a_file_is_taken_in_and_what_is_deleted_is_told(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "clinic.dermcases"
    file.write_bytes(case_file(lesion(photograph(1), photograph(2)), lesion(photograph(3), number=11)))
    page.get_by_role("tab", name="Cases").click()
    taking = page.locator("#case-import")
    for told in ("Added: 2 lesions, 3 photographs.", "Nothing was added. 3 photographs were there already."):
        taking.get_by_label("File").fill(str(file))
        taking.get_by_role("button", name="Take them in").click()
        expect(page.locator("#case-said")).to_contain_text(told)
    page.get_by_label("Search").fill("nobody")
    expect(page.get_by_role("heading", name="No lesion is called that")).to_be_visible()
    page.get_by_role("button", name="Show all lesions").click()
    expect(page.locator("#case-listed tbody tr")).to_have_count(2)
    page.locator("#case-listed .row-link").last.click()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete", exact=True).first.click()
    expect(page.get_by_text("Deleted: the photograph, its answer and its heatmaps.")).to_be_visible()
    page.get_by_role("button", name="Delete the lesion").click()
    expect(page.get_by_text("Deleted: P-0317, left shoulder, with 1 photograph")).to_be_visible()
    expect(page.locator("#case-listed tbody tr")).to_have_count(1)
    assert CaseList(tmp_path / "home" / "case-list").page().total == 1


def test_a_row_of_a_folder_is_kept_once(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "morning"
    folder.mkdir()
    visit(folder, "one.png", 0.2)
    for told in ("The photograph is kept.", "This photograph is in the list already."):
        page.get_by_role("tab", name="A folder").click()
        if told == "The photograph is kept.":
            page.get_by_label("Folder", exact=True).fill(str(folder))
            page.get_by_role("button", name="Answer its pictures").click()
        page.locator("#folder-table").get_by_role("button", name="Keep").click()
        form = page.locator("#case-keep")
        expect(form).to_contain_text("one.png")
        form.get_by_label("Patient’s code").fill("P-1")
        form.get_by_role("button", name="Keep it", exact=True).click()
        expect(page.locator("#case-said")).to_contain_text(told)
    assert CaseList(tmp_path / "home" / "case-list").page().total == 1
