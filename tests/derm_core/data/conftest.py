"""The real HAM10000, listed once for all tests of data."""

from __future__ import annotations

from pathlib import Path

import pytest

from derm_core.data.ham10000 import read_ham10000
from derm_core.data.source import Source


@pytest.fixture(scope="session")
def real_ham10000(test_data: Path) -> Source:
    return read_ham10000(test_data / "ham10000")
