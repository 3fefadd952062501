"""A file that one process or thread holds at a time, on every system. Writes nothing into it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    # Windows locks bytes, and lets nobody read them: these are in no file.
    _FAR = 1 << 30

    def _try_lock(stream: BinaryIO) -> bool:
        with suppress(OSError):
            stream.seek(_FAR)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
            return True
        return False

    def _unlock(stream: BinaryIO) -> None:
        stream.seek(_FAR)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try_lock(stream: BinaryIO) -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _unlock(stream: BinaryIO) -> None:
        fcntl.flock(stream, fcntl.LOCK_UN)


@contextmanager
def hold_file(path: Path, *, patience: float) -> Iterator[None]:
    """Holds a file, made where it is not there; the lock ends with the process that holds it.

    Args:
        path: in a folder that exists; what stands in the file stays as it is, and others may read it.
        patience: seconds to wait for whoever else holds it.

    Raises:
        TimeoutError: somebody else held it all the time.
    """
    with open(path, "ab") as stream:
        give_up = time.monotonic() + patience
        while not _try_lock(stream):
            if time.monotonic() > give_up:
                raise TimeoutError(f"Another process holds {path}. Wait for it to end, then try again.")
            time.sleep(0.02)
        try:
            yield
        finally:
            _unlock(stream)
