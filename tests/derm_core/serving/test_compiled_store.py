"""What was compiled is found again whole, or not at all."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from derm_core.serving import compiled_store
from derm_core.serving.compiled_store import CHOICE_FILE, CompiledStore, StoredChoice

CHOICE = StoredChoice("openvino", "the fastest", {"openvino": {"seconds": 0.5}}, b"compiled")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def store_at(folder: Path, **changes: Any) -> CompiledStore:
    told: dict[str, Any] = {"asked": "auto", "threads": 1, "passes": 2, "versions": {"openvino": "1"}}
    told |= changes
    return CompiledStore(folder, told.pop("weights_sha256", "ab" * 32), **told)


@pytest.mark.parametrize("choice", [CHOICE, StoredChoice("eager", "nothing else is installed", {})])
def test_a_choice_is_read_as_it_was_written(tmp_path: Path, choice: StoredChoice) -> None:
    assert store_at(tmp_path).read() is None
    folder = store_at(tmp_path).write(choice)
    assert folder is not None
    assert folder.parent == tmp_path / "compiled"
    assert store_at(tmp_path).read() == choice


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "cd" * 32},
        {"asked": "openvino"},
        {"threads": 2},
        {"passes": 1},
        {"versions": {"openvino": "2"}},
        {"versions": {"openvino": "1", "onnxruntime": "1"}},
    ],
)
def test_a_choice_holds_for_what_it_was_made_for(tmp_path: Path, change: dict[str, Any]) -> None:
    store_at(tmp_path).write(CHOICE)
    assert store_at(tmp_path, **change).read() is None


def test_a_choice_holds_for_one_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_at(tmp_path).write(CHOICE)
    monkeypatch.setattr(compiled_store, "fingerprint", lambda: "0123456789abcdef")
    assert store_at(tmp_path).read() is None


@pytest.mark.parametrize("damage", ["altered", "cut short", "no form", "no choice", "no JSON", "a key less"])
def test_what_was_damaged_is_not_read_and_written_anew(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = store_at(tmp_path).write(CHOICE)
    assert folder is not None
    form, described = folder / "network.blob", folder / CHOICE_FILE
    match damage:
        case "altered":
            form.write_bytes(b"compiler")
        case "cut short":
            form.write_bytes(b"comp")
        case "no form":
            form.unlink()
        case "no choice":
            described.unlink()
        case "no JSON":
            described.write_text("{")
        case _:
            values = json.loads(described.read_text("utf-8"))
            del values["reason"]
            described.write_text(json.dumps(values))
    with caplog.at_level(logging.WARNING):
        assert store_at(tmp_path).read() is None
    assert "damaged" in caplog.text
    store_at(tmp_path).write(CHOICE)
    assert store_at(tmp_path).read() == CHOICE


def test_a_new_version_replaces_what_the_old_one_left(tmp_path: Path) -> None:
    old = store_at(tmp_path).write(CHOICE)
    other = store_at(tmp_path, asked="openvino").write(CHOICE)
    new = store_at(tmp_path, versions={"openvino": "2"}).write(CHOICE)
    assert old is not None
    assert other is not None
    assert new is not None
    assert sorted((tmp_path / "compiled").iterdir()) == sorted([other, new])


def test_where_the_bundle_cannot_be_written_the_home_folder_keeps_it(tmp_path: Path, home: Path) -> None:
    (tmp_path / "compiled").write_text("a file stands here")
    folder = store_at(tmp_path).write(CHOICE)
    assert folder is not None
    assert home in folder.parents
    assert store_at(tmp_path).read() == CHOICE


def test_nothing_is_written_into_the_package(home: Path) -> None:
    folder = store_at(compiled_store.BUNDLED_FOLDER).write(CHOICE)
    assert folder is not None
    assert home in folder.parents


def test_where_nothing_can_be_kept_it_is_made_each_time(tmp_path: Path, home: Path) -> None:
    (tmp_path / "compiled").write_text("a file stands here")
    home.write_text("and here")
    assert store_at(tmp_path).write(CHOICE) is None
    assert store_at(tmp_path).read() is None
