"""A bundle as one file: it comes back as it went, and nothing is taken from a file that was touched."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from derm_core.errors import BundleError
from derm_core.serving.bundle import load_bundle
from derm_core.serving.bundle_archive import pack_bundle, read_archive, unpack_bundle
from derm_core.serving.registry import Registry


@pytest.fixture
def archive(bundle_folder: Path, tmp_path: Path) -> Path:
    out = tmp_path / "out" / "tiny.dermbundle"
    out.parent.mkdir()
    pack_bundle(bundle_folder, out)
    return out


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def repacked(archive: Path, changes: dict[str, bytes | None]) -> Path:
    """The same file with other members; None leaves one out."""
    other = archive.with_name("other.dermbundle")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            content = changes.get(name, source.read(name))
            if content is not None:
                target.writestr(name, content)
        for name in changes.keys() - set(source.namelist()):
            target.writestr(name, changes[name] or b"")
    return other


def test_a_bundle_comes_back_as_it_went(archive: Path, bundle_folder: Path, registry: Registry) -> None:
    entry = unpack_bundle(archive, "taken", registry)
    assert (entry.name, entry.version) == ("taken", 1)
    bundle, original = load_bundle(registry.resolve("taken")), load_bundle(bundle_folder)
    assert bundle.description == original.description == read_archive(archive)
    card = "MODEL_CARD.md"
    assert (registry.resolve("taken") / card).read_bytes() == (bundle_folder / card).read_bytes()
    assert unpack_bundle(archive, "taken", registry).version == 2


def test_an_open_file_is_taken_as_well_and_a_bundle_has_a_name_of_its_own(
    archive: Path, registry: Registry
) -> None:
    with archive.open("rb") as stream:
        assert unpack_bundle(stream, registry=registry).name == "tiny"
    with pytest.raises(BundleError, match="The file was altered or cut short"):
        unpack_bundle(io.BytesIO(archive.read_bytes()[:-100]), registry=registry)


def test_what_a_killed_process_was_unpacking_is_removed_a_day_later(
    archive: Path, registry: Registry
) -> None:
    old, fresh = registry.folder / ".incoming-old", registry.folder / ".incoming-fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    unpack_bundle(archive, "taken", registry)
    assert (old.exists(), fresh.exists()) == (False, True)


def test_an_encrypted_entry_is_one_clear_sentence(archive: Path, registry: Registry) -> None:
    content = bytearray(archive.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := content.find(mark, place + 1)) >= 0:
            content[place + flags] |= 1
    archive.write_bytes(content)
    with pytest.raises(BundleError, match="was altered or cut short"):
        unpack_bundle(archive, "taken", registry)


def test_the_same_bundle_makes_the_same_file(archive: Path, bundle_folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.dermbundle"
    first, second = pack_bundle(bundle_folder, archive), pack_bundle(bundle_folder, again)
    assert first == second
    assert again.read_bytes() == archive.read_bytes()


def test_a_bundle_that_was_altered_is_not_packed(bundle_folder: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(bundle_folder, altered)
    with (altered / "model.safetensors").open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(BundleError, match="altered or cut short"):
        pack_bundle(altered, tmp_path / "no.dermbundle")
    with pytest.raises(BundleError):
        pack_bundle(tmp_path, tmp_path / "no.dermbundle")
    assert not (tmp_path / "no.dermbundle").exists()


def test_a_place_that_cannot_be_written_is_one_sentence(bundle_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be written"):
        pack_bundle(bundle_folder, tmp_path / "nowhere" / "no.dermbundle")


@pytest.mark.parametrize("member", ["model.json", "model.safetensors", "MODEL_CARD.md"])
def test_a_member_that_is_another_is_noticed(archive: Path, registry: Registry, member: str) -> None:
    with zipfile.ZipFile(archive) as source:
        content = source.read(member) + b" "
    with pytest.raises(BundleError, match=f"{member} is not the file that was packed"):
        unpack_bundle(repacked(archive, {member: content}), "taken", registry)
    assert registry.entries() == ()


def test_hashes_that_were_changed_with_the_weights_do_not_help(archive: Path, registry: Registry) -> None:
    with zipfile.ZipFile(archive) as source:
        weights = source.read("model.safetensors") + b" "
        sums = json.loads(source.read("checksums.json"))
    sums["model.safetensors"] = hashlib.sha256(weights).hexdigest()
    changes = {"model.safetensors": weights, "checksums.json": json.dumps(sums).encode()}
    with pytest.raises(BundleError, match="altered or cut short"):
        unpack_bundle(repacked(archive, changes), "taken", registry)


def test_nothing_in_a_file_decides_where_it_is_written(
    archive: Path, registry: Registry, tmp_path: Path
) -> None:
    other = repacked(archive, {"../../escaped.txt": b"x", "/etc/escaped": b"x", "run.py": b"x"})
    unpack_bundle(other, "taken", registry)
    assert sorted(path.name for path in registry.resolve("taken").iterdir()) == [
        "MODEL_CARD.md",
        "model.json",
        "model.safetensors",
    ]
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no model"),
        (b"This is a letter.", "holds no model"),
        (b"PK\3\4 no zip", "was altered or cut short"),
    ],
)
def test_what_is_no_bundle_is_one_sentence(
    tmp_path: Path, registry: Registry, content: bytes, sentence: str
) -> None:
    file = tmp_path / "letter.dermbundle"
    file.write_bytes(content)
    with pytest.raises(BundleError, match=rf"letter\.dermbundle {sentence}"):
        unpack_bundle(file, "taken", registry)
    with pytest.raises(BundleError, match=rf"The file {sentence}"):
        unpack_bundle(io.BytesIO(content), "taken", registry)
    with pytest.raises(BundleError, match=r"gone cannot be read \(No such file"):
        unpack_bundle(tmp_path / "gone", "taken", registry)


def test_a_zip_of_something_else_is_one_sentence(tmp_path: Path, registry: Registry) -> None:
    file = tmp_path / "photos.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", b"pixels")
    with pytest.raises(BundleError, match=r"photos\.zip holds no model"):
        unpack_bundle(file, "taken", registry)


def test_a_file_that_was_cut_short_is_noticed(archive: Path, registry: Registry) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match="cut short"):
        unpack_bundle(archive, "taken", registry)
