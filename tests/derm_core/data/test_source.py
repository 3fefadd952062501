"""Files of a source: the same list from folders and zips, and nothing that leads out of an archive."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from derm_core.data import source
from derm_core.data.source import Source as TheSource
from derm_core.data.source import SourceRow, list_files, name_some
from derm_core.diagnoses import get_task
from derm_core.errors import DatasetError, InvalidImageError
from tests.derm_core.data.sources import write_files, write_zip

FILES = {"b/2.jpg": b"two", "b/10.jpg": b"ten", "a.txt": b"text", "B/x.jpg": b"x"}


def test_a_folder_and_a_zip_list_the_same_files_in_the_same_order(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "folder", FILES)
    archive = write_zip(tmp_path / "packed.zip", dict(reversed(FILES.items())))
    for container in (folder, archive):
        found = list_files(container)
        assert [file.member for file in found] == ["B/x.jpg", "a.txt", "b/10.jpg", "b/2.jpg"]
        assert [file.read_bytes() for file in found] == [b"x", b"text", b"ten", b"two"]
        assert [file.size for file in found] == [1, 4, 3, 3]


def test_members_whose_names_begin_with_a_dot_and_a_slash_are_read(tmp_path: Path) -> None:
    (file,) = list_files(write_zip(tmp_path / "packed.zip", {"./nv/1.jpg": b"one"}))
    assert (str(file.path), file.read_bytes()) == ("nv/1.jpg", b"one")


@pytest.mark.parametrize(
    "name",
    ["../escaped.jpg", "nv/../../escaped.jpg", "/etc/escaped.jpg", "..\\escaped.jpg", "C:/escaped.jpg"],
)
def test_an_archive_with_an_entry_that_leads_out_of_it_is_refused(tmp_path: Path, name: str) -> None:
    archive = write_zip(tmp_path / "inner" / "packed.zip", {"nv/1.jpg": b"one", name: b"evil"})
    with pytest.raises(DatasetError, match=r"packed\.zip holds an entry named .*escaped.*Nothing was read"):
        list_files(archive)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inner", "packed.zip"]


def test_what_is_neither_folder_nor_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.zip").write_text("text")
    with pytest.raises(DatasetError, match=r"notes\.zip is not a zip archive"):
        list_files(tmp_path / "notes.zip")
    with pytest.raises(DatasetError, match="does not exist"):
        list_files(tmp_path / "absent")


def test_a_damaged_member_an_encrypted_one_and_a_file_that_is_gone_are_unreadable_pictures(
    tmp_path: Path,
) -> None:
    archive = write_zip(tmp_path / "damaged.zip", {"1.jpg": b"a picture of a lesion"})
    archive.write_bytes(archive.read_bytes().replace(b"lesion", b"lemons", 1))
    encrypted = write_zip(tmp_path / "encrypted.zip", {"2.jpg": b"content"})
    content = bytearray(encrypted.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    encrypted.write_bytes(content)
    folder = write_files(tmp_path / "folder", {"3.jpg": b""})
    files = [file for container in (archive, encrypted, folder) for file in list_files(container)]
    (folder / "3.jpg").unlink()
    for file, reason in zip(files, ("CRC", "encrypted", "No such file"), strict=True):
        with pytest.raises(InvalidImageError, match=rf"{file.member} in .* cannot be read \(.*{reason}"):
            file.read_bytes()


def test_a_member_that_claims_to_be_huge_is_not_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_FILE_BYTES", 1000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.jpg", bytes(1001))
    (file,) = list_files(path)
    with pytest.raises(InvalidImageError, match="1,001 bytes; at most 1,000"):
        file.read_bytes()


def test_an_archive_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "packed.zip"
    assert [file.member for file in list_files(write_zip(path, {"1.jpg": b"one"}))] == ["1.jpg"]
    assert [file.member for file in list_files(write_zip(path, {"2.jpg": b"another"}))] == ["2.jpg"]


def test_a_task_keeps_its_diagnoses_and_says_so_where_there_are_none() -> None:
    rows = tuple(SourceRow(f"{code}.jpg", None, code) for code in ("nv", "mel", "df"))
    kept = TheSource("a source", "", rows).for_task(get_task("nv-bkl-mel"))
    assert [row.diagnosis for row in kept.rows] == ["nv", "mel"]
    with pytest.raises(DatasetError, match=r"no picture for the task 'ham7'.*found are: benign"):
        TheSource("a source", "", (SourceRow("1.jpg", None, "benign"),)).for_task(get_task("ham7"))


def test_a_long_list_of_names_ends_with_how_many_more_there_are() -> None:
    assert name_some(["a", "b"]) == "a, b"
    assert name_some(["new\nline.jpg", "größe 2.jpg"]) == r"'new\nline.jpg', größe 2.jpg"
    assert name_some([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
