"""Many parts in one file: each is read as it was written, and all are gone with the request."""

from __future__ import annotations

import os
from pathlib import Path

from web.multipart import PartsFile


def test_parts_share_one_file_and_keep_apart(tmp_path: Path) -> None:
    parts_file = PartsFile(tmp_path)
    contents = [bytes([number]) * (1000 * number) for number in range(4)]
    parts = []
    for content in contents:
        part = parts_file.new_part()
        part.write(content[:10])
        part.write(content[10:])
        part.seek(0)
        parts.append(part)
    assert [part.read() for part in reversed(parts)] == contents[::-1]
    assert os.listdir(tmp_path) == []
    parts_file.close()


def test_a_part_is_read_at_any_place(tmp_path: Path) -> None:
    parts_file = PartsFile(tmp_path)
    parts_file.new_part().write(b"another part")
    part = parts_file.new_part()
    part.write(b"0123456789")
    assert part.seek(-3, os.SEEK_END) == 7
    assert part.read(100) == b"789"
    assert part.seek(2) == part.tell() == 2
    assert part.read(3) == b"234"
    assert part.read(1) == b"5"
    parts_file.close()
