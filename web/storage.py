"""The folders of photographs: those that are kept, written whole or not at all, and those that wait for their answer.

Knows no pixels and no database.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path

_KEY = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"[a-z0-9][a-z0-9_-]*\.(jpg|png)")
_KEYS_AT_ONCE = 500
_SYNCERS = ThreadPoolExecutor(16, thread_name_prefix="sync-files")
"""A disk that is asked for ten files at once has them in little more than the time for one."""


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
            _write_synced(fresh, {_checked(_FILE, name): content for name, content in files.items()})
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.rename(target)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        _sync_folders(target.parent, target.parent.parent, self.root)

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


class WaitingUploads:
    """Files as they were sent, until they are answered: `root/<key>`, each under a random key.

    One that no row names is nobody's: it is swept away.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, key: str, chunks: Iterable[bytes]) -> None:
        """Writes a file and has it on the disk; `sync` does the same for the folder's list of files."""
        path = self._path(key)
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def sync(self) -> None:
        """Has all names on the disk: to be called once, before the rows that name the files are committed."""
        _sync_folders(self.root)

    def read(self, key: str) -> bytes:
        """Returns a file's bytes; raises FileNotFoundError where there is none."""
        return self._path(key).read_bytes()

    def delete(self, keys: Iterable[str]) -> None:
        """Removes files; one that is gone already is no error."""
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def keys(self) -> list[str]:
        """Returns the keys of all files."""
        return [path.name for path in self.root.iterdir() if _KEY.fullmatch(path.name)]

    def sweep(
        self, known: Callable[[Collection[str]], Collection[str]], *, older_than_seconds: float = 3600
    ) -> int:
        """Removes files that wait for nothing, and returns how many; `known` is asked as in PictureStore.sweep."""
        limit = time.time() - older_than_seconds
        old = [key for key in self.keys() if _changed_before(self._path(key), limit)]
        orphans: list[str] = []
        for start in range(0, len(old), _KEYS_AT_ONCE):
            some = old[start : start + _KEYS_AT_ONCE]
            orphans += set(some) - set(known(some))
        self.delete(orphans)
        return len(orphans)

    def _path(self, key: str) -> Path:
        return self.root / _checked(_KEY, key)


def _checked(pattern: re.Pattern[str], name: str) -> str:
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a stored file.")
    return name


def _write_synced(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files into a new folder, and has them and the folder's list of them on the disk."""
    with ExitStack() as stack:
        descriptors = []
        for name, content in files.items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            file = stack.enter_context(open(descriptor, "wb"))
            file.write(content)
            file.flush()
            descriptors.append(descriptor)
        _sync([*descriptors, *_opened(stack, folder)])


def _sync_folders(*folders: Path) -> None:
    with ExitStack() as stack:
        _sync(_opened(stack, *folders))


def _opened(stack: ExitStack, *folders: Path) -> list[int]:
    if os.name == "nt":
        return []  # Windows cannot open a folder; its file system journals the rename itself.
    descriptors = []
    for folder in folders:
        descriptors.append(os.open(folder, os.O_RDONLY))
        stack.callback(os.close, descriptors[-1])
    return descriptors


def _sync(descriptors: Collection[int]) -> None:
    """Returns when all of them are on the disk; raises OSError where one is not."""
    try:
        waited_for = [_SYNCERS.submit(os.fsync, descriptor) for descriptor in descriptors]
    except RuntimeError:
        # The process is ending, and its threads with it.
        for descriptor in descriptors:
            os.fsync(descriptor)
        return
    wait(waited_for)
    for one in waited_for:
        one.result()


def _changed_before(folder: Path, limit: float) -> bool:
    try:
        return folder.stat().st_mtime < limit
    except FileNotFoundError:
        return False
