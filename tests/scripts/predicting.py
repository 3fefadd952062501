"""What the tests of predict.py share: its columns, and its rows as they are read back."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from derm_core.diagnoses import TASKS

CLASSES = TASKS["ham7"].classes

COLUMNS = [
    *("file", "top", "malignant_probability", "advice", "quality"),
    *(f"p_{code}" for code in CLASSES),
    *("seconds", "error", "plausible"),
]

Run = Callable[..., list[dict[str, str]]]


def read_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))
