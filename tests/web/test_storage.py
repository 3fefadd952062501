"""The folder of photographs: all files of a picture or none, under names of its own."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from web.storage import PictureStore

KEY, OTHER = "ab12" + "0" * 28, "ab12" + "1" * 28


@pytest.fixture
def pictures(tmp_path: Path) -> PictureStore:
    return PictureStore(tmp_path / "images")


def test_files_lie_two_folders_deep_and_open_to_their_owner_alone(pictures: PictureStore) -> None:
    pictures.save(KEY, {"photo.jpg": b"photo", "heatmap-mel.png": b"map"})
    path = pictures.path(KEY, "photo.jpg")
    assert path == pictures.root / "ab" / "12" / KEY / "photo.jpg"
    assert path.read_bytes() == b"photo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_key_is_never_written_twice(pictures: PictureStore) -> None:
    pictures.save(KEY, {"photo.jpg": b"first"})
    with pytest.raises(OSError, match=r"not empty|exists"):
        pictures.save(KEY, {"photo.jpg": b"second"})
    assert pictures.path(KEY, "photo.jpg").read_bytes() == b"first"
    assert list((pictures.root / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    "key", ["", "..", "../" + "0" * 29, "A" * 32, "0" * 31, "0" * 32 + "\n", "/etc/passwd"]
)
def test_only_keys_name_folders(pictures: PictureStore, key: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        pictures.folder(key)


@pytest.mark.parametrize(
    "name", ["", "..", "a/b.jpg", "../photo.jpg", "photo.exe", ".jpg", "photo.jpg\0", "Photo.jpg"]
)
def test_only_plain_names_name_files(pictures: PictureStore, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        pictures.save(KEY, {name: b""})
    assert list(pictures.keys()) == []
    assert list((pictures.root / "incoming").iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_failure_at_any_step_leaves_nothing(
    pictures: PictureStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "rename")), fail)
    with pytest.raises(OSError, match="disk"):
        pictures.save(KEY, {"photo.jpg": b"photo"})
    monkeypatch.undo()
    assert [path for path in pictures.root.rglob("*") if path.is_file()] == []
    assert list(pictures.keys()) == []


def test_a_file_that_is_not_there_is_not_found(pictures: PictureStore) -> None:
    pictures.save(KEY, {"photo.jpg": b"photo"})
    with pytest.raises(FileNotFoundError, match=r"has no file heatmap-mel\.png"):
        pictures.path(KEY, "heatmap-mel.png")


def test_deleting_twice_is_no_error(pictures: PictureStore) -> None:
    pictures.save(KEY, {"photo.jpg": b"photo"})
    pictures.save(OTHER, {"photo.jpg": b"other"})
    pictures.delete(KEY)
    pictures.delete(KEY)
    assert list(pictures.keys()) == [OTHER]


def test_the_sweep_spares_what_is_known_and_what_is_young(pictures: PictureStore) -> None:
    young = "cd34" + "0" * 28
    unfinished = pictures.root / "incoming" / ("e" * 32)
    unfinished.mkdir()
    for key in (KEY, OTHER, young):
        pictures.save(key, {"photo.jpg": b"photo"})
    long_ago = time.time() - 7200
    for folder in (pictures.folder(KEY), pictures.folder(OTHER), unfinished):
        os.utime(folder, (long_ago, long_ago))
    assert pictures.sweep(lambda keys: {KEY}.intersection(keys)) == 2
    assert set(pictures.keys()) == {KEY, young}
    assert not unfinished.exists()
