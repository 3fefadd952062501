"""Paths as people write, paste and drag them: found however they were copied, and a sentence where there is nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from derm_core import ConfigError
from desktop.written_path import checked_file, checked_folder, checked_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a")
    return folder


@pytest.mark.parametrize("write", ["{}", ' "{}" ', "'{}'", "file://{}", "{}/"])
def test_a_folder_is_found_however_it_was_copied(folder: Path, write: str) -> None:
    assert checked_folder(write.format(folder)) == folder


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", "Enter the folder"),
        ("/nowhere/at all", "There is no folder /nowhere/at all"),
        ("\0", "cannot be read"),
    ],
)
def test_what_is_no_folder_is_one_sentence(written: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        checked_folder(written)


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a file\. Enter the folder that holds it"):
        checked_folder(str(folder / "a.jpg"))


def test_a_path_is_whole_however_it_was_copied() -> None:
    for written in ("/media/x.dermcases", "'/media/x.dermcases'", "file:///media/x.dermcases"):
        assert checked_path(written, "/such") == Path("/media/x.dermcases")
    for written in ("", "x.dermcases", "nul\x00", None):
        with pytest.raises(ConfigError, match="such as /such"):
            checked_path(written, "/such")


def test_an_address_has_its_marks_back(folder: Path) -> None:
    assert checked_folder(folder.as_uri()) == folder


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", "Enter the whole path, such as /such."),
        ("a.jpg", "Enter the whole path, such as /such."),
        ("~nobody-of-that-name/a.jpg", "Enter the whole path, such as /such."),
        ("{folder}/b.jpg", "There is no file {folder}/b.jpg."),
        ("{folder}", "{folder} is a folder. Enter the file in it."),
        ("/" + "a" * 5000, "cannot be read (File name too long)."),
    ],
)
def test_what_is_no_file_is_one_sentence(folder: Path, written: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as found:
        checked_file(written.format(folder=folder), "/such")
    assert sentence.format(folder=folder) in str(found.value)
    assert len(str(found.value)) < 400


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_sentence(folder: Path) -> None:
    (folder / "a.jpg").chmod(0)
    with pytest.raises(ConfigError, match="cannot be read"):
        checked_file(str(folder / "a.jpg"), "/such")


def test_a_file_is_found_as_it_was_copied(folder: Path) -> None:
    for write in ("{}", "'{}'", "file://{}"):
        assert checked_file(write.format(folder / "a.jpg"), "/such") == folder / "a.jpg"
