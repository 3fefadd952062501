"""What every test stands on: the real data where it is at hand, settings of nobody's own, one thread."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TEST_DATA = "DERM_TEST_DATA"
_KEPT = {TEST_DATA, "DERM_WEIGHTS_DIR"}

# Before anything imports torch: tests run side by side, and threads of one would starve the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The settings of whoever runs the tests must neither change them nor be touched by them.
for _name in [name for name in os.environ if name.startswith("DERM_") and name not in _KEPT]:
    del os.environ[_name]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real pictures that DERM_TEST_DATA names; without it the test is skipped, and the run says so."""
    named = os.environ.get(TEST_DATA)
    if not named:
        pytest.skip(f"{TEST_DATA} is unset: it names the folder that holds the real pictures")
    folder = Path(named).resolve()
    if not folder.is_dir():
        pytest.fail(f"{TEST_DATA} is {named!r}, which is not a folder")
    return folder


@pytest.fixture
def tiny_pictures(tmp_path: Path) -> list[Path]:
    """Four JPEG files of 120 x 90 pixels: a dark round spot on skin, each with another shade."""
    rows, columns = np.mgrid[:90, :120]
    spot = ((rows - 45) ** 2 + (columns - 60) ** 2 < 25**2)[..., None]
    paths = []
    for number in range(4):
        pixels = np.where(spot, (90 + 10 * number, 60, 50), (220, 180 - 5 * number, 160)).astype(np.uint8)
        path = tmp_path / f"tiny-{number}.jpg"
        Image.fromarray(pixels).save(path, quality=90)
        paths.append(path)
    return paths


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says loudly how much was not tested for want of real pictures."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if TEST_DATA in str(getattr(report, "longrepr", ""))
    ]
    if skipped:
        terminalreporter.section("NOT TESTED ON REAL PICTURES", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{len(skipped)} tests were skipped because {TEST_DATA} is unset. Set it to the folder that holds "
            "ham10000/, isic_malignant_benign/ and fullres/ to run them."
        )
