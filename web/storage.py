"""The folder of photographs: one sub-folder a picture, written whole or not at all. Knows no pixels and no database."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

_KEY = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"[a-z0-9][a-z0-9_-]*\.(jpg|png)")
_KEYS_AT_ONCE = 500


class PictureStore:
    """Files under random keys: `root/ab/cd/<key>/<file>`.

    A picture's files are written under a temporary name, synced, and moved into place by one rename, so a reader sees
    all of them or none.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, key: str, files: Mapping[str, bytes]) -> None:
        """Keeps the files of a picture that is not there yet; leaves nothing behind where it fails."""
        target = self.folder(key)
        fresh = self._incoming / key
        fresh.mkdir(mode=0o700)
        try:
            for name, content in files.items():
                _write_synced(fresh / _checked(_FILE, name), content)
            _sync_folder(fresh)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.rename(target)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        for folder in (target.parent, target.parent.parent, self.root):
            _sync_folder(folder)

    def folder(self, key: str) -> Path:
        """Returns where the files of a picture lie, or would."""
        _checked(_KEY, key)
        return self.root / key[:2] / key[2:4] / key

    def path(self, key: str, name: str) -> Path:
        """Returns where one file lies; raises FileNotFoundError where it does not exist."""
        path = self.folder(key) / _checked(_FILE, name)
        if not path.is_file():
            raise FileNotFoundError(f"The picture {key} has no file {name}.")
        return path

    def delete(self, key: str) -> None:
        """Removes a picture's files; one that is gone already is no error."""
        shutil.rmtree(self.folder(key), ignore_errors=True)

    def keys(self) -> Iterator[str]:
        """Yields the keys of all pictures."""
        for folder in self.root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"):
            if _KEY.fullmatch(folder.name):
                yield folder.name

    def sweep(
        self, known: Callable[[Collection[str]], Collection[str]], *, older_than_seconds: float = 3600
    ) -> int:
        """Removes what a killed server left behind, and returns how many pictures that were.

        Args:
            known: of up to 500 keys, returns those that belong to somebody.
            older_than_seconds: younger folders are left alone: their row may be about to be committed.
        """
        limit = time.time() - older_than_seconds
        orphans = [folder for folder in self._incoming.iterdir() if _changed_before(folder, limit)]
        old = [key for key in self.keys() if _changed_before(self.folder(key), limit)]
        for start in range(0, len(old), _KEYS_AT_ONCE):
            some = old[start : start + _KEYS_AT_ONCE]
            orphans += [self.folder(key) for key in set(some) - set(known(some))]
        for folder in orphans:
            shutil.rmtree(folder, ignore_errors=True)
        return len(orphans)


def _checked(pattern: re.Pattern[str], name: str) -> str:
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a stored file.")
    return name


def _write_synced(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a folder; its file system journals the rename itself.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _changed_before(folder: Path, limit: float) -> bool:
    try:
        return folder.stat().st_mtime < limit
    except FileNotFoundError:
        return False
