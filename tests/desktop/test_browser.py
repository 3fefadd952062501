"""The app in a real browser: a picture in, its answer out, and not one request to another host."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from derm_core import NOTICE
from desktop import build_interface, serve
from desktop.uploads import upload_folder
from tests.desktop.browsing import PATIENCE_MS, Complaints, started_browser
from tests.desktop.conftest import FakePredictor

pytestmark = pytest.mark.usefixtures("no_event_loop_is_left")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with started_browser(*camera) as started:
        yield started


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERM_HOME", str(tmp_path_factory.mktemp("home")))
        with upload_folder(port) as folder:
            yield folder


@pytest.fixture(scope="module")
def answering() -> FakePredictor:
    return FakePredictor()


@pytest.fixture(scope="module")
def address(uploads: Path, answering: FakePredictor) -> Iterator[str]:
    with serve(build_interface(answering), port=int(uploads.name)) as served:
        yield served


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def page(browser: Browser, address: str, complaints: Complaints) -> Iterator[Page]:
    """The app in a window of its own; fails at a request to another host, a fault or a console error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    complaints.watch(opened, address)
    opened.goto(address)
    opened.locator('#picture input[type="file"]').wait_for(state="attached")
    yield opened
    context.close()
    assert complaints == Complaints()


def hand(page: Page, path: Path) -> None:
    page.locator('#picture input[type="file"]').set_input_files(path)


def wait_until_empty(page: Page, folder: Path) -> None:
    """Waits, for as long as the browser waits for anything, until no uploaded picture is left."""
    for _ in range(PATIENCE_MS // 100):
        if not any(path.is_file() for path in folder.rglob("*")):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"still there: {[str(path) for path in folder.rglob('*')]}")


def test_a_picture_is_answered_explained_and_forgotten(page: Page, uploads: Path, lesion: Path) -> None:
    expect(page.locator("#notice")).to_have_text(NOTICE)
    hand(page, lesion)
    expect(page.get_by_role("heading", name="Refer to a dermatologist")).to_be_focused()
    expect(page.locator(".answer-name")).to_have_text("left shoulder.jpg")
    expect(page.locator(".advice-number strong")).to_have_text("67%")
    expect(page.locator(".prob").first).to_contain_text("Melanoma")
    expect(page.locator("#notice")).to_be_in_viewport()
    expect(page.get_by_role("heading", name="New picture")).to_be_hidden()

    shown = page.locator(".photo .map:visible")
    expect(shown).to_have_attribute("data-code", "mel")
    page.get_by_role("button", name="Melanocytic naevus").click()
    expect(shown).to_have_attribute("data-code", "nv")
    expect(page.locator("#explained")).to_have_text("What speaks for Melanocytic naevus")
    page.locator("#opacity").fill("30")
    expect(shown).to_have_css("opacity", "0.3")
    page.get_by_role("button", name="No heatmap").click()
    expect(shown).to_have_count(0)

    page.get_by_role("button", name="New picture").click()
    expect(page.get_by_role("heading", name="New picture")).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)
    wait_until_empty(page, uploads)


def test_another_picture_can_be_handed_over_an_answer(
    page: Page, lesion: Path, tiny_pictures: list[Path]
) -> None:
    hand(page, lesion)
    expect(page.locator(".answer-name")).to_have_text("left shoulder.jpg")
    page.get_by_role("button", name="Benign keratosis").click()
    page.locator("#opacity").fill("30")
    hand(page, tiny_pictures[0])
    expect(page.locator(".answer-name")).to_have_text("tiny-0.jpg")
    expect(page.locator(".photo .map:visible")).to_have_attribute("data-code", "mel")
    expect(page.locator('.chip[aria-pressed="true"]')).to_contain_text("Melanoma")
    expect(page.locator(".photo .map:visible")).to_have_css("opacity", "0.3")
    expect(page.locator("#opacity-out")).to_have_text("30%")


def test_what_is_no_picture_is_one_sentence_and_the_next_one_is_answered(
    page: Page, uploads: Path, lesion: Path, no_picture: Path
) -> None:
    hand(page, no_picture)
    complaint = page.get_by_role("alert")
    expect(complaint).to_contain_text("is not a picture that can be read (17 bytes)")
    expect(complaint.locator("b")).to_have_count(0)
    hand(page, lesion)
    expect(page.get_by_role("heading", name="Refer to a dermatologist")).to_be_visible()
    expect(complaint).to_have_count(0)
    wait_until_empty(page, uploads)


def test_what_is_known_of_the_patient_is_answered_with_once(
    page: Page, lesion: Path, tiny_pictures: list[Path]
) -> None:
    age, sex, site = map(page.get_by_label, ("Age in years", "Sex", "Body site"))
    expect(age).to_have_value("")
    expect(site).to_have_value("Not recorded")
    age.fill("200")
    sex.click()
    page.get_by_role("option", name="Female").click()
    hand(page, lesion)
    expect(page.get_by_role("alert")).to_contain_text("The age is 200; it must be from 0 to 120 years")
    expect(age).to_have_value("200")
    expect(sex).to_have_value("Female")
    age.fill("54")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(site).to_be_focused()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(site).to_have_value("Back")
    hand(page, lesion)
    expect(page.get_by_text("Answered with: 54 years, female, back")).to_be_visible()
    hand(page, tiny_pictures[0])
    expect(page.get_by_text("From the photograph alone")).to_be_visible()
    page.get_by_role("button", name="New picture").click()
    expect(age).to_have_value("")
    expect(sex).to_have_value("Not recorded")
    expect(site).to_have_value("Not recorded")


def test_a_picture_is_pasted_anywhere(page: Page, uploads: Path, tiny_pictures: list[Path]) -> None:
    page.evaluate(
        """bytes => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(bytes)], 'pasted.jpg', { type: 'image/jpeg' }));
          document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: carried, bubbles: true }));
        }""",
        list(tiny_pictures[0].read_bytes()),
    )
    expect(page.locator(".answer-name")).to_have_text("pasted.jpg")
    wait_until_empty(page, uploads)


def test_a_picture_is_taken_with_the_camera(page: Page, complaints: Complaints, uploads: Path) -> None:
    page.get_by_role("button", name="Capture from camera").click()
    page.get_by_role("button", name="Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#picture video')?.videoWidth > 0")
    page.get_by_role("button", name="capture photo").click()
    expect(page.get_by_role("heading", name="Refer to a dermatologist")).to_be_visible()
    page.get_by_role("button", name="New picture").click()
    wait_until_empty(page, uploads)
    # Gradio asks for the progress of an upload that has not begun, and complains in the console that there is none.
    assert all(fault.endswith(("upload_id=", "(Not Found)", "Response")) for fault in complaints.faults)
    complaints.faults.clear()


def test_light_or_dark_is_chosen_by_hand_and_kept(page: Page) -> None:
    light, dark = "rgb(246, 243, 238)", "rgb(22, 20, 18)"
    bar = page.locator(".topbar")
    expect(bar).to_have_css("background-color", light)
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(bar).to_have_css("background-color", dark)
    page.reload()
    expect(bar).to_have_css("background-color", dark)


def test_the_app_answers_under_no_foreign_name_and_shows_no_documents(address: str) -> None:
    def status(path: str = "/", host: str | None = None) -> int:
        request = urllib.request.Request(address + path, headers={"Host": host} if host else {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as err:
            err.close()
            return err.code

    assert status() == 200
    assert status(host="evil.example") == 421
    assert [status(path) for path in ("/docs", "/redoc", "/openapi.json")] == [404, 404, 404]
    assert status("/gradio_api/file=/etc/passwd") in (403, 404)
