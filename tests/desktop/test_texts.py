"""What the app says: every text is there, none is left over, and numbers read as words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from desktop.texts import TEXTS, duration, say, say_count

ROOT = Path(__file__).parents[2] / "desktop"


def code() -> str:
    return "\n".join(path.read_text("utf-8") for path in ROOT.glob("*.py") if not path.stem.endswith("texts"))


def test_every_text_that_is_asked_for_is_there() -> None:
    plain = set(re.findall(r"""say\(\s*["']([\w-]+)["']""", code()))
    counted = set(re.findall(r"""say_count\(\s*["']([\w-]+)["']""", code()))
    assert len(plain) > 60
    assert plain - set(TEXTS) == set()
    assert {name for base in counted for name in (base, f"{base}-one")} - set(TEXTS) == set()


def test_no_text_is_left_over() -> None:
    words = code() + (ROOT / "texts.py").read_text("utf-8").partition("def say(")[2]
    asked = set(re.findall(r"""["']([a-z]+(?:-[a-z]+)*)["']""", words))
    built = ("advice-", "folder-column-", "models-column-", "folder-export-", "training-step-", "training-level-",
             "training-column-", "training-means-", "metric-")  # fmt: skip
    unused = [
        name for name in TEXTS
        if name not in asked and name.removesuffix("-one") not in asked and not name.startswith(built)
    ]  # fmt: skip
    assert unused == []


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("folder-missing")
    with pytest.raises(KeyError):
        say("no-such-text")
    assert say_count("folder-ignored", 1) == "1 file is not named like a picture and was left out."
    assert say_count("folder-ignored", 1200).startswith("1,200 files are")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2, "about 5 seconds"),
        (31, "about 30 seconds"),
        (61, "about a minute"),
        (600, "about 10 minutes"),
        (9000, "about 2 h 30 min"),
    ],
)
def test_time_is_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
