"""Bundles: what goes in comes out, and nothing altered, newer or half written is ever served."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from derm_core.errors import BundleError
from derm_core.models import build_model
from derm_core.serving import bundle as bundle_module
from derm_core.serving.bundle import BundleDescription, find_bundle, load_bundle, save_bundle
from derm_core.serving.description import read_description
from derm_core.serving.format_versions import ADDED, FORMAT_VERSION
from derm_core.serving.quality import QualityLimits
from derm_core.serving.registry import Registry
from derm_core.training.config import parse_config
from tests.derm_core.serving.bundles import State, change

from .references import reference


def test_a_bundle_gives_back_what_was_saved(
    folder: Path, description: BundleDescription, model_state: State
) -> None:
    bundle = load_bundle(folder)
    written = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert bundle.description == dataclasses.replace(description, weights_sha256=written)
    assert bundle.model_state.keys() == model_state.keys()
    for name, tensor in model_state.items():
        assert torch.equal(bundle.model_state[name], tensor)
        assert bundle.model_state[name].dtype == tensor.dtype


def test_a_bundle_holds_three_files_that_others_may_read(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "MODEL_CARD.md",
        "model.json",
        "model.safetensors",
    ]
    assert "not a diagnosis" in (folder / "MODEL_CARD.md").read_text("utf-8")
    mask = os.umask(0)
    os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask
    assert (folder / "model.json").stat().st_mode & 0o777 == 0o666 & ~mask


def test_model_json_has_the_agreed_keys(folder: Path) -> None:
    values = json.loads((folder / "model.json").read_text("utf-8"))
    assert set(values) == {
        *(
            "format_version",
            "name",
            "version",
            "architecture",
            "head_units",
            "views",
            "task",
            "classes",
            "preprocessing",
            "temperature",
            "context",
            "context_operating_points",
            "calibration",
            "prevalence",
            "conformal",
        ),
        *(
            "operating_points",
            "default_operating_point",
            "reference_statistics",
            "quality",
            "metrics",
            "data",
        ),
        *("weights_sha256", "licence", "origin", "training"),
    }
    assert values["format_version"] == FORMAT_VERSION
    assert values["operating_points"][0]["sensitivity_ci95"] == [0.9, 0.98]
    assert values["preprocessing"]["image_size"] == 64
    assert values["quality"] == QualityLimits().to_dict()


def make_first_format(folder: Path) -> None:
    """Rewrites a bundle's model.json as the first version of the format had it."""
    path = folder / "model.json"
    values = json.loads(path.read_text("utf-8"))
    del values["preprocessing"]["samplewise"]
    for key in ("head_units", "views", "context", "context_operating_points", *ADDED[3]):
        del values[key]
    path.write_text(json.dumps(values | {"format_version": 1}), "utf-8")


def test_a_bundle_of_the_first_format_is_read_as_what_it_was(
    folder: Path, description: BundleDescription
) -> None:
    before = load_bundle(folder).description
    make_first_format(folder)
    bundle = load_bundle(folder)
    assert bundle.description == before
    assert (bundle.description.head_units, bundle.description.views) == (0, 1)
    assert (bundle.description.context, bundle.description.context_operating_points) == (None, ())
    assert not bundle.description.preprocessing.samplewise
    assert bundle.build_model()(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
    # Written again, it is of the format of today.
    assert json.loads(bundle.description.to_json())["format_version"] == FORMAT_VERSION


@pytest.mark.parametrize("preprocessing", ["the usual", None, {}, [1]])
def test_a_bundle_of_the_first_format_is_checked_as_any_other(folder: Path, preprocessing: Any) -> None:
    make_first_format(folder)
    change(folder, preprocessing=preprocessing)
    with pytest.raises(BundleError, match=r"In model\.json, preprocessing"):
        load_bundle(folder)


def test_the_model_that_ships_is_read_whatever_its_format() -> None:
    folder = find_bundle("bundled")
    values = json.loads((folder / "model.json").read_text("utf-8"))
    found = read_description(folder)
    assert found.weights_sha256 == values["weights_sha256"]
    assert (found.head_units, found.views) == (values.get("head_units", 0), values.get("views", 1))


def test_a_hidden_layer_travels_in_the_bundle(tmp_path: Path, description: BundleDescription) -> None:
    torch.manual_seed(0)
    network = build_model(description.architecture, 7, head_units=12).eval()
    described = dataclasses.replace(description, head_units=12)
    save_bundle(tmp_path / "hidden", model_state=network.state_dict(), description=described)
    bundle = load_bundle(tmp_path / "hidden")
    assert bundle.description.head_units == 12
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(bundle.build_model()(picture), network(picture))
    change(tmp_path / "hidden", head_units=11)
    with pytest.raises(BundleError, match="do not fit mobilenet_v3_small with 7 classes"):
        load_bundle(tmp_path / "hidden").build_model()


@pytest.mark.parametrize("normalization", ["featurewise", "samplewise"])
def test_the_normalisation_of_a_run_travels_in_the_bundle(
    tmp_path: Path, description: BundleDescription, model_state: State, normalization: str
) -> None:
    data: dict[str, Any] = {"normalization": normalization}
    if normalization == "featurewise":
        data |= {"mean": [0.7, 0.55, 0.5], "std": [0.15, 0.2, 0.25]}
    preprocessing = parse_config({"data": data}, "recipe").preprocessing
    described = dataclasses.replace(description, preprocessing=preprocessing)
    save_bundle(tmp_path / "bundle", model_state=model_state, description=described)
    found = load_bundle(tmp_path / "bundle").description.preprocessing
    assert found == preprocessing
    assert found.samplewise is (normalization == "samplewise")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    values = torch.from_numpy(pixels).float() / 255
    if normalization == "featurewise":
        expected = (values - torch.tensor(data["mean"])) / torch.tensor(data["std"])
    else:
        expected = values - values.mean()
    torch.testing.assert_close(found.tensor(pixels), expected.permute(0, 3, 1, 2))


def test_the_built_network_is_frozen_and_answers_as_the_saved_one(folder: Path, model_state: State) -> None:
    model = load_bundle(folder).build_model()
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, model_state[name]) for name, tensor in model.state_dict().items())


def test_half_precision_keeps_vectors_and_what_float16_cannot_hold(
    tmp_path: Path, description: BundleDescription, model_state: State
) -> None:
    state = dict(model_state)
    kernel = next(name for name, tensor in state.items() if tensor.ndim == 4)
    matrix = "classifier.3.weight"
    state[matrix] = state[matrix].clone()
    state[matrix][0, 0] = 1e6
    save_bundle(tmp_path / "half", model_state=state, description=description, half=True)
    save_bundle(tmp_path / "full", model_state=state, description=description)
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert stored[kernel].dtype == torch.float16
    assert stored[matrix].dtype == torch.float32
    assert all(
        tensor.dtype == torch.float32
        for tensor in stored.values()
        if tensor.ndim == 1 and tensor.is_floating_point()
    )
    loaded = load_bundle(tmp_path / "half").model_state
    assert loaded[kernel].dtype == torch.float32
    assert torch.equal(loaded[kernel], state[kernel].half().float())
    assert torch.equal(loaded[matrix], state[matrix])
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.75 * sizes[1]


def test_the_description_survives_the_trip_through_json(description: BundleDescription) -> None:
    rich = dataclasses.replace(
        description, reference_statistics=reference(), quality=QualityLimits(min_side=80)
    )
    assert BundleDescription.from_json(rich.to_json()) == rich


def test_unknown_keys_of_the_same_format_are_left_alone(folder: Path) -> None:
    change(folder, remark="measured twice")
    assert load_bundle(folder).description.name == "tiny"


def test_the_default_operating_point_is_found_by_name(description: BundleDescription) -> None:
    assert description.operating_point.threshold == 0.4
    assert dataclasses.replace(description, default_operating_point="half").operating_point.threshold == 0.5


def test_malignant_follows_the_order_of_the_classes(description: BundleDescription) -> None:
    other = dataclasses.replace(description, classes=("nv", "mel", "bcc"))
    assert other.malignant == (False, True, True)


def test_an_existing_folder_is_kept_unless_its_replacement_is_asked_for(
    folder: Path, description: BundleDescription, model_state: State
) -> None:
    newer = dataclasses.replace(description, version="2.0")
    (folder / "note.txt").write_text("of the old one")
    with pytest.raises(BundleError, match="exists already"):
        save_bundle(folder, model_state=model_state, description=newer)
    assert load_bundle(folder).description.version == "1.2"
    save_bundle(folder, model_state=model_state, description=newer, overwrite=True)
    assert load_bundle(folder).description.version == "2.0"
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]
    assert not (folder / "note.txt").exists()


@pytest.mark.parametrize("existing", [False, True])
def test_a_failed_save_leaves_nothing_and_keeps_the_old_bundle(
    tmp_path: Path,
    description: BundleDescription,
    model_state: State,
    monkeypatch: pytest.MonkeyPatch,
    existing: bool,
) -> None:
    if existing:
        save_bundle(tmp_path / "bundle", model_state=model_state, description=description)

    def full_disk(path: Path, content: bytes) -> None:
        path.write_bytes(content[: len(content) // 2])
        if path.name == "model.json":
            raise OSError("No space left on device")

    monkeypatch.setattr(bundle_module, "write_synced", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_bundle(tmp_path / "bundle", model_state=model_state, description=description, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == (["bundle"] if existing else [])
    if existing:
        assert load_bundle(tmp_path / "bundle").description.name == "tiny"


def test_the_old_bundle_comes_back_where_the_last_rename_fails(
    folder: Path, description: BundleDescription, model_state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, calls = os.replace, []

    def replace(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError("interrupted")
        really(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="interrupted"):
        save_bundle(folder, model_state=model_state, description=description, overwrite=True)
    assert load_bundle(folder).description.name == "tiny"
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]


def test_weights_that_are_not_finite_are_not_saved(
    tmp_path: Path, description: BundleDescription, model_state: State
) -> None:
    state = dict(model_state) | {"classifier.3.bias": torch.full((7,), float("nan"))}
    with pytest.raises(BundleError, match=r"classifier\.3\.bias holds values that are not finite"):
        save_bundle(tmp_path / "bundle", model_state=state, description=description)
    assert not list(tmp_path.iterdir())


def test_figures_that_json_cannot_hold_are_not_saved(
    tmp_path: Path, description: BundleDescription, model_state: State
) -> None:
    for value in (float("nan"), object()):
        wrong = dataclasses.replace(description, metrics={"accuracy": value})
        with pytest.raises(BundleError, match="cannot be written as JSON"):
            save_bundle(tmp_path / "bundle", model_state=model_state, description=wrong)
    assert not list(tmp_path.iterdir())


def test_bundled_is_the_folder_of_the_package() -> None:
    assert find_bundle("bundled").name == "bundled"
    assert find_bundle("bundled").parent.name == "derm_core"


def test_a_bundle_is_found_by_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_bundle(folder) == folder
    assert find_bundle(str(folder)) == folder
    monkeypatch.chdir(folder.parent)
    assert find_bundle("bundle") == Path("bundle")
    assert find_bundle("./bundle") == Path("bundle")


def test_a_bundle_is_found_by_its_registered_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    Registry(tmp_path / "home" / "models").register("clinic", folder)
    assert load_bundle(find_bundle("clinic")).description.name == "tiny"
    assert find_bundle("clinic@1") == tmp_path / "home" / "models" / "clinic" / "1"


def test_what_is_neither_folder_nor_name_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        BundleError, match=r"Unknown model 'bundld'. Known: bundled. Did you mean 'bundled'\?"
    ):
        find_bundle("bundld")
    with pytest.raises(BundleError, match="does not exist"):
        find_bundle("no/such")
    with pytest.raises(BundleError, match="does not exist"):
        find_bundle(tmp_path / "none")
    (tmp_path / "letter.txt").write_text("no model")
    with pytest.raises(BundleError, match=r"letter\.txt is a file, and a model is a folder with model\.json"):
        find_bundle(str(tmp_path / "letter.txt"))
    with pytest.raises(BundleError, match=r"Unknown model 'letter\.txt'"):
        find_bundle("letter.txt")
    for place in ("empty", tmp_path / "empty"):
        with pytest.raises(BundleError, match=r"holds no model\.json"):
            find_bundle(place)
