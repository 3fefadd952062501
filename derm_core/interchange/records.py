"""Reads plain values of a case file that somebody else wrote: each is checked, and refused in one clear sentence."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from typing import Any

from derm_core.errors import CaseFileError

_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_EARLIEST_YEAR = 1900


class Record:
    """One JSON object and where it stands, as in `lesion 3, photograph 1`. All readers raise CaseFileError."""

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            raise CaseFileError(f"The case file is damaged: {where} is {_shown(values)}; wanted: an object.")
        self._values, self.where = values, where

    def wrong(self, key: str, wanted: str) -> CaseFileError:
        """Returns the error for a value: what came and what was wanted."""
        value = _shown(self._values[key]) if key in self._values else "missing"
        return CaseFileError(f"The case file is damaged: {self.where}, {key} is {value}; wanted: {wanted}.")

    def text(self, key: str, most: int, *, least: int = 0, lines: bool = False) -> str:
        """Returns a text without control characters; `lines` allows line ends and tabs."""
        value = self._values.get(key)
        if not isinstance(value, str) or not least <= len(value) <= most or not _is_plain(value, lines):
            raise self.wrong(key, f"a plain text of {least} to {most} characters")
        return value

    def choice(self, key: str, known: Collection[str]) -> str:
        """Returns one of the words that are known."""
        value = self._values.get(key)
        if not isinstance(value, str) or value not in known:
            raise self.wrong(key, f"one of {', '.join(word or 'nothing' for word in known)}")
        return value

    def choices(self, key: str, known: Collection[str]) -> tuple[str, ...]:
        """Returns a list of different words that are known."""
        values = self._values.get(key)
        texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else None
        if texts is None or len(texts) != len(values or ()) or len(set(texts)) != len(texts):
            raise self.wrong(key, "a list of different words")
        if set(texts) - set(known):
            raise self.wrong(key, f"some of {', '.join(known)}")
        return tuple(texts)

    def number(self, key: str, low: float, high: float) -> float:
        """Returns a number from low to high."""
        value = self._values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.wrong(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def whole(self, key: str, high: int) -> int:
        """Returns a whole number from 0."""
        value = self._values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
            raise self.wrong(key, f"a whole number from 0 to {high}")
        return value

    def is_null(self, key: str) -> bool:
        """Says whether nothing is told under a key."""
        return self._values.get(key) is None

    def identity(self, key: str) -> str:
        """Returns 32 hexadecimal digits."""
        return self._matching(key, _ID, "32 hexadecimal digits")

    def sha256(self, key: str) -> str:
        """Returns 64 hexadecimal digits."""
        return self._matching(key, _SHA256, "64 hexadecimal digits")

    def moment(self, key: str) -> datetime:
        """Returns a moment in UTC."""
        value = self._values.get(key)
        try:
            moment = datetime.fromisoformat(value if isinstance(value, str) else "").astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.wrong(key, "a moment such as 2026-11-21T09:30:00+00:00") from None
        if moment.year < _EARLIEST_YEAR:
            raise self.wrong(key, f"a moment after {_EARLIEST_YEAR}")
        return moment

    def day(self, key: str) -> date:
        """Returns a day."""
        value = self._values.get(key)
        try:
            day = date.fromisoformat(value if isinstance(value, str) else "")
        except ValueError:
            raise self.wrong(key, "a day such as 2026-11-21") from None
        if day.year < _EARLIEST_YEAR:
            raise self.wrong(key, f"a day after {_EARLIEST_YEAR}")
        return day

    def object(self, key: str) -> Record:
        """Returns the object under a key."""
        return Record(self._values.get(key), f"{self.where}, {key}")

    def objects(self, key: str, most: int, kind: str) -> Iterator[Record]:
        """Yields the objects of a list; each is named by its kind and its number."""
        values = self._values.get(key)
        if not isinstance(values, list) or len(values) > most:
            raise self.wrong(key, f"a list of at most {most:,}")
        for number, value in enumerate(values, 1):
            where = f"{kind} {number}"
            yield Record(value, f"{self.where}, {where}" if self.where != "the list" else where)

    def names(self) -> list[str]:
        """Returns the keys that are there."""
        return list(self._values)

    def _matching(self, key: str, pattern: re.Pattern[str], wanted: str) -> str:
        value = self._values.get(key)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.wrong(key, wanted)
        return value


def _is_plain(text: str, lines: bool) -> bool:
    allowed = "\n\t" if lines else ""
    return all(mark in allowed or unicodedata.category(mark) not in ("Cc", "Cs", "Zl", "Zp") for mark in text)


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
