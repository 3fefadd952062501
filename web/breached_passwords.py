"""A local file of breached passwords, as HaveIBeenPwned's downloader writes it, searched without being read whole.

Each line is the SHA-1 of a password and how often it was found, `HASH:COUNT`, in the order of the hashes. All of them
are some 40 GB; a search reads some 40 lines.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO

from derm_core import ConfigError

_LINE = re.compile(rb"[0-9A-Fa-f]{40}(:\d+)?\r?\n?")
_LONGEST_LINE = 64
_PROBES = 256  # lines looked at when the server starts: a file in another order is found out


class BreachedPasswords:
    """Says whether a password stands in the file at `path`.

    Raises ConfigError where the file cannot be read, where it holds anything else, or where it is in another order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                self._check(file)
        except OSError as err:
            raise ConfigError(
                f"DERM_BREACHED_PASSWORDS names {path}, which cannot be read ({err.strerror}). "
                "Name the file that HaveIBeenPwned's downloader wrote."
            ) from err

    def __contains__(self, password: str) -> bool:
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        with self._path.open("rb") as file:
            low, high = 0, os.fstat(file.fileno()).st_size
            # The line looked for begins at `low` or after it, and before `high`.
            while low < high:
                middle = (low + high) // 2
                found = _hash_from(file, middle)
                if found == wanted:
                    return True
                if found and found < wanted:
                    low = middle + 1
                else:
                    high = middle
            return _hash_from(file, low) == wanted

    def _check(self, file: BinaryIO) -> None:
        size = os.fstat(file.fileno()).st_size
        before = b""
        for number in range(_PROBES):
            place = _start_of_line(file, size * number // _PROBES)
            if place >= size:
                break
            line = file.readline(_LONGEST_LINE)
            if not _LINE.fullmatch(line):
                raise ConfigError(
                    f"DERM_BREACHED_PASSWORDS names {self._path}, which holds something else than lines of "
                    "HASH:COUNT. Name the file of SHA-1 hashes that HaveIBeenPwned's downloader wrote."
                )
            if line[:40].upper() < before:
                raise ConfigError(
                    f"DERM_BREACHED_PASSWORDS names {self._path}, which is not in the order of its hashes. "
                    "Sort it: LC_ALL=C sort -o FILE FILE."
                )
            before = line[:40].upper()
        if not before:
            raise ConfigError(
                f"DERM_BREACHED_PASSWORDS names {self._path}, which is empty. "
                "Name the file that HaveIBeenPwned's downloader wrote."
            )


def _hash_from(file: BinaryIO, place: int) -> bytes:
    """Returns the hash of the first line that begins at `place` or after it; empty at the end of the file."""
    _start_of_line(file, place)
    return file.readline(_LONGEST_LINE)[:40].upper()


def _start_of_line(file: BinaryIO, place: int) -> int:
    """Goes to the first line that begins at `place` or after it, and returns where that is."""
    if place:
        # From one byte before: a line may begin exactly here.
        file.seek(place - 1)
        file.readline(_LONGEST_LINE)
    else:
        file.seek(0)
    return file.tell()
