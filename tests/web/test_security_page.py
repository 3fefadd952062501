"""docs/security.md: every test that it names is there, and every item of the chapters is gone through."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
CHAPTERS = {
    3: (
        "3.2.1 3.2.2 3.3.1 3.3.2 3.3.3 3.3.4 3.4.1 3.4.2 3.4.3 3.4.4 3.4.5 3.4.6 "
        "3.5.1 3.5.2 3.5.3 3.5.4 3.5.5 3.7.1 3.7.2"
    ),
    4: "4.1.1 4.1.2 4.1.3 4.2.1 4.3.1 4.3.2 4.4.1 4.4.2 4.4.3 4.4.4",
    5: "5.1.1 5.2.1 5.2.2 5.2.3 5.3.1 5.3.2 5.4.1 5.4.2 5.4.3",
    6: (
        "6.1.1 6.1.2 6.1.3 6.2.1 6.2.2 6.2.3 6.2.4 6.2.5 6.2.6 6.2.7 6.2.8 6.2.9 6.2.10 6.2.11 6.2.12 6.3.1 "
        "6.3.2 6.3.3 6.3.4 6.4.1 6.4.2 6.4.3 6.4.4 6.5.1 6.5.2 6.5.3 6.5.4 6.5.5 "
        "6.6.1 6.6.2 6.6.3 6.8.1 6.8.2 6.8.3 6.8.4"
    ),
    7: (
        "7.1.1 7.1.2 7.1.3 7.2.1 7.2.2 7.2.3 7.2.4 7.3.1 7.3.2 7.4.1 7.4.2 7.4.3 7.4.4 7.4.5 7.5.1 7.5.2 7.6.1 7.6.2"
    ),
    8: "8.1.1 8.1.2 8.2.1 8.2.2 8.2.3 8.3.1 8.4.1",
}
"""The items of OWASP ASVS 5.0 up to level 2."""


def items_on_the_page() -> list[str]:
    found: list[str] = []
    for cell in re.findall(r"^\| (\d[^|]*) \|", PAGE, re.MULTILINE):
        for part in cell.split(", "):
            first, _, last = part.partition(" to ")
            stem, _, low = first.rpartition(".")
            high = last.rpartition(".")[2] or low
            found += [f"{stem}.{number}" for number in range(int(low), int(high) + 1)]
    return found


def test_every_item_is_gone_through_once() -> None:
    assert sorted(items_on_the_page()) == sorted(" ".join(CHAPTERS.values()).split())


def test_every_test_that_is_named_is_there() -> None:
    named = set(re.findall(r"`([\w/.]+\.py)::(\w+)`", PAGE))
    assert len(named) > 40
    for file, test in named:
        path = ROOT / file if file.startswith("tests/") else ROOT / "tests" / "web" / file
        assert f"def {test}(" in path.read_text("utf-8"), (file, test)


def test_what_is_not_met_says_so() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") == 4]
    for row in rows:
        last = row.split("|")[3].strip()
        assert last or "**Not met**" in row, row
