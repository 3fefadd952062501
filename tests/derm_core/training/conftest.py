"""One small dataset for all tests of training."""

from __future__ import annotations

import pytest

from derm_core.data.table import Dataset
from tests.derm_core.data.coloured import coloured_dataset


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 pictures to train on and 9 to check on, of three diagnoses; shared, so never to be changed."""
    return coloured_dataset(tmp_path_factory.mktemp("coloured") / "set", train=24, valid=9)
