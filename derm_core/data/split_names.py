"""The names of splits, as settings and commands write them. Imports nothing, and knows no dataset."""

from __future__ import annotations


def split_names(splits: str) -> tuple[str, ...]:
    """Returns the names of the splits that a text such as "fold-1+fold-2" joins; that of a single one is itself."""
    return tuple(splits.split("+"))
