"""The registry: versions, which one serves, and that nothing is lost or served altered."""

from __future__ import annotations

import json
import multiprocessing
import threading
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from derm_core.errors import BundleError
from derm_core.serving import registry as registry_module
from derm_core.serving.bundle import load_bundle
from derm_core.serving.registry import Registry, default_registry, home_folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def test_an_empty_registry_has_no_entries_and_makes_no_folder(registry: Registry) -> None:
    assert registry.entries() == ()
    assert not registry.folder.exists()


def test_a_registered_bundle_is_copied_and_resolved(registry: Registry, bundle_folder: Path) -> None:
    entry = registry.register("clinic", bundle_folder)
    assert (entry.name, entry.version, entry.serves) == ("clinic", 1, True)
    assert registry.entries() == (entry,)
    folder = registry.resolve("clinic")
    assert folder == registry.folder / "clinic" / "1"
    assert load_bundle(folder).description == load_bundle(bundle_folder).description
    assert (folder / "MODEL_CARD.md").is_file()


def test_later_versions_serve_once_they_are_activated(registry: Registry, bundle_folder: Path) -> None:
    for _ in range(3):
        registry.register("clinic", bundle_folder)
    registry.register("other", bundle_folder)
    assert registry.resolve("clinic").name == "1"
    assert registry.resolve("clinic@3").name == "3"
    assert registry.activate("clinic@2").serves
    assert registry.resolve("clinic").name == "2"
    registry.register("clinic", bundle_folder, activate=True)
    assert registry.resolve("clinic").name == "4"
    serving = [(entry.name, entry.version) for entry in registry.entries() if entry.serves]
    assert serving == [("other", 1), ("clinic", 4)]


def test_the_list_is_readable_and_names_checksums(registry: Registry, bundle_folder: Path) -> None:
    registry.register("clinic", bundle_folder)
    (line,) = json.loads((registry.folder / "registry.json").read_text("utf-8"))["bundles"]
    assert line["weights_sha256"] == load_bundle(bundle_folder).description.weights_sha256
    assert line["folder"] == "clinic/1"
    assert line["registered"].endswith("+00:00")


@pytest.mark.parametrize("file", ["model.json", "model.safetensors"])
def test_a_file_that_changed_since_is_not_served(registry: Registry, bundle_folder: Path, file: str) -> None:
    registry.register("clinic", bundle_folder)
    with open(registry.folder / "clinic" / "1" / file, "ab") as stream:
        stream.write(b" ")
    for call in (registry.resolve, registry.activate):
        with pytest.raises(BundleError, match=rf"{file} of clinic@1 is not the file that was registered"):
            call("clinic")


def test_a_file_that_is_gone_is_one_clear_sentence(registry: Registry, bundle_folder: Path) -> None:
    registry.register("clinic", bundle_folder)
    (registry.folder / "clinic" / "1" / "model.safetensors").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        registry.resolve("clinic")


def test_an_altered_bundle_is_not_registered(registry: Registry, bundle_folder: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for path in bundle_folder.iterdir():
        (spoilt / path.name).write_bytes(path.read_bytes())
    with open(spoilt / "model.safetensors", "ab") as stream:
        stream.write(b" ")
    with pytest.raises(BundleError, match=r"not those that its model\.json describes"):
        registry.register("clinic", spoilt)
    with pytest.raises(BundleError, match="cannot be read"):
        registry.register("clinic", tmp_path / "none")
    assert registry.entries() == ()
    assert not list((registry.folder / "clinic").glob("*"))


@pytest.mark.parametrize("name", ["", "bundled", "../up", "a/b", "a b", ".hidden", "a@1", "a\n", "x" * 65])
def test_names_that_cannot_be_folders_are_refused(registry: Registry, bundle_folder: Path, name: str) -> None:
    with pytest.raises(BundleError, match="cannot be registered as"):
        registry.register(name, bundle_folder)


def test_unknown_names_and_versions_say_what_there_is(registry: Registry, bundle_folder: Path) -> None:
    registry.register("clinic", bundle_folder)
    with pytest.raises(
        BundleError, match=r"Unknown model 'clinik'. Known: bundled, clinic. Did you mean 'clinic'\?"
    ):
        registry.resolve("clinik")
    for reference in ("clinic@2", "clinic@", "clinic@one"):
        with pytest.raises(BundleError, match=rf"There is no '{reference}'. Registered: clinic@1\."):
            registry.resolve(reference)
    with pytest.raises(BundleError, match="There is no 'clinic@9'"):
        registry.activate("clinic@9")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"bundles": [{}]}', '{"bundles": [3]}', '{"bundles": null}'],
)
def test_a_list_that_cannot_be_read_is_one_clear_sentence(registry: Registry, content: str) -> None:
    registry.folder.mkdir()
    (registry.folder / "registry.json").write_text(content, "utf-8")
    with pytest.raises(BundleError, match=r"registry\.json cannot be read .* Restore it from a backup"):
        registry.entries()


def test_a_list_that_points_out_of_its_folder_is_refused(registry: Registry, bundle_folder: Path) -> None:
    registry.register("clinic", bundle_folder)
    path = registry.folder / "registry.json"
    path.write_text(path.read_text("utf-8").replace('"clinic/1"', '"../../elsewhere"'), "utf-8")
    with pytest.raises(BundleError, match="is not the folder of clinic@1"):
        registry.resolve("clinic")


def test_a_copy_left_by_a_process_that_was_killed_is_replaced(
    registry: Registry, bundle_folder: Path
) -> None:
    (registry.folder / "clinic" / "1").mkdir(parents=True)
    (registry.folder / "clinic" / "1" / "model.json").write_text("half")
    assert registry.register("clinic", bundle_folder).version == 1
    assert load_bundle(registry.resolve("clinic")).description.name == "tiny"


def test_a_failed_write_keeps_the_old_list(
    registry: Registry, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register("clinic", bundle_folder)
    before = (registry.folder / "registry.json").read_bytes()

    def fails(path: Path, content: bytes) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(registry_module, "replace_file", fails)
    with pytest.raises(OSError, match="No space left"):
        registry.register("clinic", bundle_folder)
    monkeypatch.undo()
    assert (registry.folder / "registry.json").read_bytes() == before
    assert registry.register("clinic", bundle_folder).version == 2


def register_some(folder: str, bundle: str, name: str, times: int) -> None:
    for _ in range(times):
        Registry(Path(folder)).register(name, Path(bundle))


def register_when_told(folder: str, bundle: str, ready: Event, start: Event) -> None:
    ready.set()
    start.wait(60)
    register_some(folder, bundle, "clinic", 6)


def test_two_processes_that_register_at_once_lose_nothing(registry: Registry, bundle_folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, start = context.Event(), context.Event()
    places = (str(registry.folder), str(bundle_folder))
    process = context.Process(target=register_when_told, args=(*places, ready, start))
    process.start()
    assert ready.wait(120)
    start.set()
    register_some(*places, "clinic", 6)
    process.join(60)
    assert process.exitcode == 0
    assert [entry.version for entry in registry.entries()] == list(range(1, 13))
    assert [entry.version for entry in registry.entries() if entry.serves] == [1]
    assert all(registry.resolve(f"clinic@{version}").is_dir() for version in range(1, 13))


def test_threads_that_register_at_once_lose_nothing(registry: Registry, bundle_folder: Path) -> None:
    threads = [
        threading.Thread(target=register_some, args=(str(registry.folder), str(bundle_folder), name, 2))
        for name in ("a", "b", "a", "c")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sorted((entry.name, entry.version) for entry in registry.entries())
    assert found == [("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 1), ("b", 2), ("c", 1), ("c", 2)]
    assert {path.name for path in registry.folder.iterdir()} == {
        "a",
        "b",
        "c",
        "registry.json",
        "registry.lock",
    }


def test_a_lock_that_is_never_given_back_ends_in_one_clear_sentence(
    registry: Registry, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "_PATIENCE_SECONDS", 0.05)
    with registry._locked(), pytest.raises(BundleError, match="Another process holds"):
        registry.register("clinic", bundle_folder)
    assert registry.register("clinic", bundle_folder).version == 1


def test_the_default_registry_lies_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    assert default_registry().folder == tmp_path / "models"
    monkeypatch.delenv("DERM_HOME")
    assert home_folder().name == "instance"


def test_the_bundled_model_is_chosen_until_another_is(registry: Registry, bundle_folder: Path) -> None:
    assert registry.chosen() == "bundled"
    registry.register("clinic", bundle_folder)
    assert registry.chosen() == "bundled"
    registry.choose("clinic")
    registry.register("other", bundle_folder)
    registry.activate("other@1")
    assert registry.chosen() == "clinic"
    registry.choose("bundled")
    assert registry.chosen() == "bundled"


def test_a_model_that_is_not_registered_cannot_be_chosen(registry: Registry) -> None:
    with pytest.raises(BundleError, match="clinic"):
        registry.choose("clinic")
    assert registry.chosen() == "bundled"


def test_a_version_that_is_removed_is_gone_and_its_number_is_not_given_again(
    registry: Registry, bundle_folder: Path
) -> None:
    for _ in range(3):
        registry.register("clinic", bundle_folder)
    registry.activate("clinic@3")
    assert registry.remove("clinic@3").version == 3
    assert not (registry.folder / "clinic" / "3").exists()
    assert registry.resolve("clinic").name == "2"  # the newest of the others
    assert registry.register("clinic", bundle_folder).version == 4
    for version in (1, 2, 4):
        registry.remove(f"clinic@{version}")
    assert registry.entries() == ()
    assert not (registry.folder / "clinic").exists()
    assert registry.register("clinic", bundle_folder).version == 5
    assert registry.resolve("clinic").name == "5"


def test_the_version_that_a_server_answers_with_is_not_removed(
    registry: Registry, bundle_folder: Path
) -> None:
    registry.register("clinic", bundle_folder)
    registry.register("clinic", bundle_folder)
    registry.choose("clinic")
    with pytest.raises(BundleError, match="answers with clinic@1"):
        registry.remove("clinic@1")
    registry.remove("clinic@2")
    assert registry.chosen() == "clinic"
    with pytest.raises(BundleError, match="There is no 'clinic@2'"):
        registry.remove("clinic@2")
