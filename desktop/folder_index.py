"""A few bytes of each row of a folder: where it is kept, of what kind it is, and its risk. Reads and keeps no row."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Mapping
from typing import Any

KINDS = ("refer", "routine", "unsure", "unread")
"""What a row may be: the three kinds of advice, and a file that could not be read."""


class RowIndex:
    """Finds rows by kind and in order without reading them. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def __len__(self) -> int:
        return len(self._kinds)

    def clear(self) -> None:
        """Forgets all rows."""
        with self._lock:
            self._places, self._risks, self._kinds = array("q"), array("f"), bytearray()
            self._counts = dict.fromkeys(KINDS, 0)

    def add(self, place: int, row: Mapping[str, Any]) -> None:
        """Takes in a row that is kept at a place."""
        kind = "unread" if row["error"] else row["advice"]
        # A risk is no more told for what is not answered than on any screen.
        risk = row["malignant_probability"] if kind in ("refer", "routine") else -1.0
        with self._lock:
            self._places.append(place)
            self._risks.append(risk)
            self._kinds.append(KINDS.index(kind))
            self._counts[kind] += 1

    def counts(self) -> dict[str, int]:
        """Returns how many rows there are of each of KINDS."""
        with self._lock:
            return dict(self._counts)

    def places(self, *, show: str = "", order: str = "file") -> list[int]:
        """Returns where the rows are that are wanted, in the order wanted.

        Args:
            show: one of KINDS; empty for all.
            order: "file" as in the folder, "risk" the highest first, "advice" as in KINDS and then by risk; with a
                minus before it the other way round. What could not be read comes last by risk.
        """
        with self._lock:
            places, risks, kinds = self._places[:], self._risks[:], bytes(self._kinds)
        chosen = [row for row in range(len(places)) if not show or kinds[row] == KINDS.index(show)]
        key, reverse = order.removeprefix("-"), order.startswith("-")
        if key == "risk":
            chosen.sort(key=lambda row: risks[row] if reverse and risks[row] >= 0 else -risks[row])
            chosen.sort(key=lambda row: risks[row] < 0)
        elif key == "advice":
            chosen.sort(key=lambda row: (kinds[row], -risks[row]), reverse=reverse)
        elif reverse:
            chosen.reverse()
        return [places[row] for row in chosen]
