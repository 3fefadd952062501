"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from derm_core.files import write_synced


def test_of_a_file_that_the_disk_has_no_room_for_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_synced(tmp_path / "weights.partial", b"content")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="NO /dev/full: this system has none")
def test_a_device_stays_where_it_is() -> None:
    with pytest.raises(OSError, match="No space left"):
        write_synced(Path("/dev/full"), b"content")
    assert Path("/dev/full").exists()
