"""The page of a report in a real browser that can reach nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from derm_core.experiments import report
from derm_core.experiments.figure_theme import DARK
from derm_core.experiments.report import write_report
from tests.derm_core.experiments.fake_runs import fake_run
from tests.web.browser import launched, overflow

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    runs = [fake_run(folder / "with"), fake_run(folder / "without", augmented=False, errors=(0.7, 0.3))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "save_figure", lambda figure, folder: None)
        return write_report(runs, folder / "out", command="scripts/report.py with without --out out").page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


def opened(browser: Browser, page_file: Path, *, width: int, scheme: str) -> tuple[Page, list[str]]:
    """Opens the page where every other address is refused, and waits until all is drawn."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)

    def refuse(route: Route) -> None:
        if route.request.url == page_file.as_uri():
            route.continue_()
        else:
            complaints.append(route.request.url)
            route.abort()

    context.route("**/*", refuse)
    page = context.new_page()
    page.on("console", lambda line: complaints.append(line.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_file.as_uri())
    page.wait_for_selector(f'html[data-drawn="{scheme}"]')
    return page, complaints


def test_the_matrix_steps_through_epochs_and_runs(browser: Browser, page_file: Path) -> None:
    page, complaints = opened(browser, page_file, width=1280, scheme="light")
    figure = page.locator("#nv-bkl-mel-confusion")
    expect(figure).to_contain_text("Epoch 2 of 3, the best")
    # An error of 0.4, then of 0.6: the diagonal holds 60%, then 40%.
    expect(figure.locator("svg text", has_text="60")).to_have_count(3)
    figure.locator('input[type="range"]').fill("1")
    expect(figure).to_contain_text("Epoch 1 of 3")
    expect(figure.locator("svg text", has_text="40")).to_have_count(3)
    figure.locator("select").select_option("without")
    expect(figure).to_contain_text("Epoch 1 of 2")
    expect(figure.locator("svg text", has_text="30")).to_have_count(3)
    # The other run ended an epoch earlier: its last stays.
    figure.locator('input[type="range"]').fill("3")
    expect(figure).to_contain_text("Epoch 2 of 2, the best")
    assert all(chart.locator("svg").count() == 1 for chart in page.locator("[data-chart]").all())
    assert complaints == []
    page.context.close()


def test_it_fits_a_phone_and_turns_dark(browser: Browser, page_file: Path) -> None:
    page, complaints = opened(browser, page_file, width=390, scheme="light")
    assert overflow(page) == 0
    page.get_by_role("button", name="Switch between light and dark").click()
    page.wait_for_selector('html[data-drawn="dark"]')
    expect(page.locator(".card").first).to_have_css("background-color", rgb(DARK.surface))
    line = page.locator("#nv-bkl-mel-metrics .mark-line path").first
    expect(line).to_have_css("stroke", rgb(DARK.series[0]))
    assert overflow(page) == 0
    assert complaints == []
    page.context.close()


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[place : place + 2], 16)) for place in (1, 3, 5))})"
