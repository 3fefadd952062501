"""Training in a real browser: looked over, begun, stopped, found again after the window was closed, made a model."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from derm_core import Dataset, MachineState
from desktop import build_interface, serve
from desktop.desk import Desk
from desktop.training_runs import TrainingRun, known_runs
from desktop.uploads import upload_folder
from tests.desktop.browsing import Complaints, started_browser
from tests.desktop.conftest import FakePredictor
from tests.desktop.tiny_training import PATIENCE, RECIPE, TINY, tiny_dataset, wait_until

LONG_MS = 1000 * PATIENCE

pytestmark = pytest.mark.usefixtures("no_event_loop_is_left")


@pytest.fixture
def browser() -> Iterator[Browser]:
    with started_browser() as started:
        yield started


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return tiny_dataset(tmp_path / "set")


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The app on a machine without a graphics card; nothing it began is left running."""
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    desk = Desk(
        FakePredictor(),  # type: ignore[arg-type]
        machine=lambda predictor: MachineState("processor", 2, None, "", None, ""),
    )
    with upload_folder(port), serve(build_interface(desk), port=port) as served:
        yield served
    for run in known_runs():
        for job in run.jobs:
            job.stop()
            wait_until(lambda job=job: not job.state().is_active, job)


def opened(browser: Browser, address: str, complaints: Complaints) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints.watch(page, address)
    page.goto(address)
    page.get_by_role("tab", name="Training").click()
    return page


def write(page: Page, part: str, text: str) -> None:
    page.locator(f"#{part} input, #{part} textarea").first.fill(text)


def test_a_training_from_the_first_look_at_the_data_to_a_model(
    browser: Browser, address: str, dataset: Dataset, tmp_path: Path
) -> None:
    complaints = Complaints()
    page = opened(browser, address, complaints)
    complaint, settings = page.locator("#training-problem"), page.locator("#training-settings")
    write(page, "training-data", str(tmp_path / "nowhere"))
    page.get_by_role("button", name="Look it over").click()
    expect(complaint).to_contain_text(f"There is no folder {tmp_path / 'nowhere'}.")
    write(page, "training-data", str(tmp_path))
    page.get_by_role("button", name="Look it over").click()
    expect(complaint).to_contain_text("is not a dataset folder")
    expect(settings).to_be_hidden()
    write(page, "training-data", str(dataset.folder))
    page.get_by_role("button", name="Look it over").click()
    found = page.get_by_role("heading", name="84 pictures in 1 dataset: nothing found that would make")
    expect(found).to_be_visible(timeout=LONG_MS)
    expect(complaint).to_be_hidden()
    expect(settings).to_contain_text("No graphics card can be used here.")
    page.get_by_role("button", name="See all of it").click()
    shown = page.get_by_role("dialog", name="Audit of set")
    expect(shown.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()
    shown.get_by_role("button", name="Close").click()
    expect(shown).to_be_hidden()
    with page.expect_download() as download:
        page.get_by_role("button", name="Take it along").click()
    assert download.value.suggested_filename == "audit-set.html"

    page.get_by_label("Recipe").click()
    page.get_by_role("option", name=RECIPE).click()
    expect(page.locator("#training-recipe-words")).to_contain_text("It starts from random numbers.")
    expect(page.locator("#training-epochs input")).to_have_value("40")
    write(page, "training-epochs", "400")
    write(page, "training-size", "32")
    write(page, "training-batch", "8")
    write(page, "training-name", "clinic-1")
    write(page, "training-more", "training.epoch=3")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(complaint).to_contain_text("Did you mean 'training.epochs'?")
    assert known_runs() == []
    write(page, "training-more", "\n".join(TINY))
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("heading", name="clinic-1")).to_be_visible()
    expect(page.locator("#training-curves .curve")).to_have_count(3, timeout=LONG_MS)
    expect(page.locator("#training-progress")).to_contain_text("pictures a second", timeout=LONG_MS)
    page.close()

    page = opened(browser, address, complaints)
    expect(page.get_by_role("heading", name="clinic-1")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible(timeout=LONG_MS)
    stopped = len(TrainingRun("clinic-1").epochs())
    expect(page.get_by_role("button", name="Evaluate on validation")).to_be_enabled()
    page.get_by_role("button", name="Go on").click()
    run = TrainingRun("clinic-1")
    wait_until(lambda: len(run.epochs()) > stopped, run.training)
    page.get_by_role("button", name="Stop").click()

    write(page, "training-model", "no good")
    page.get_by_role("button", name="Register").click(timeout=LONG_MS)
    expect(page.locator("#training-problem")).to_contain_text("cannot be registered as 'no good'")
    write(page, "training-model", "clinic")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("Registered as clinic@1")).to_be_visible(timeout=LONG_MS)
    page.get_by_role("tab", name="Models").click()
    expect(page.locator("#models-table")).to_contain_text("clinic@1")

    page.get_by_role("tab", name="Training").click()
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.get_by_role("button", name="Delete the run").click()
    expect(page.locator("#training-problem")).to_contain_text("Deleted: the run clinic-1.")
    assert asked[0].startswith("Delete the run clinic-1 for good? Its ")
    assert known_runs() == []
    page.close()
    assert complaints == Complaints()
