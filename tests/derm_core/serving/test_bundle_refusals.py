"""Bundles that are not read: altered, cut short, newer, or with a value that is not one of theirs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from derm_core.errors import BundleError
from derm_core.serving.bundle import BundleDescription, OperatingPoint, load_bundle, save_bundle
from derm_core.serving.format_versions import FORMAT_VERSION
from tests.derm_core.serving.bundles import State, change


def test_an_altered_weights_file_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match="altered or cut short"):
        load_bundle(folder)


def test_a_truncated_weights_file_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleError, match="altered or cut short"):
        load_bundle(folder)


def test_weights_that_are_no_safetensors_are_refused_even_where_the_checksum_fits(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not weights")
    change(folder, weights_sha256=hashlib.sha256(b"not weights").hexdigest())
    with pytest.raises(BundleError, match="no safetensors file"):
        load_bundle(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    save_file({"fc.weight": torch.zeros(7, 3)}, folder / "model.safetensors")
    change(folder, weights_sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest())
    with pytest.raises(BundleError, match="do not fit mobilenet_v3_small with 7 classes"):
        load_bundle(folder).build_model()


@pytest.mark.parametrize("file", ["model.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(BundleError, match=rf"{file} cannot be read \(No such file"):
        load_bundle(folder)


def test_a_newer_format_asks_for_newer_software(folder: Path) -> None:
    newer = FORMAT_VERSION + 1
    change(folder, format_version=newer, anything="else")
    with pytest.raises(BundleError, match=rf"has the format {newer}; .* Update the software"):
        load_bundle(folder)


def test_text_that_is_no_json_is_refused(folder: Path) -> None:
    for content in (b"{", b"[]", b"\xff\xfe", b""):
        (folder / "model.json").write_bytes(content)
        with pytest.raises(BundleError, match=r"model.json"):
            load_bundle(folder)


KEYS = [field.name for field in dataclasses.fields(BundleDescription)]


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(folder: Path, key: str) -> None:
    values = json.loads((folder / "model.json").read_text("utf-8"))
    del values[key]
    (folder / "model.json").write_text(json.dumps(values), "utf-8")
    with pytest.raises(BundleError, match=rf"lacks {key}\."):
        load_bundle(folder)


WRONG = [
    ("format_version", 0),
    ("format_version", "1"),
    ("name", 3),
    ("version", None),
    ("architecture", "resnet5"),
    ("architecture", ["resnet50"]),
    ("head_units", -1),
    ("head_units", "many"),
    ("views", 3),
    ("views", True),
    ("views", [2]),
    ("task", 7),
    ("classes", []),
    ("classes", ["nv"]),
    ("classes", ["nv", "nv"]),
    ("classes", ["nv", "wart"]),
    ("classes", ["nv", ["mel"]]),
    ("preprocessing", {}),
    ("preprocessing", "the usual"),
    ("temperature", 0),
    ("temperature", -1),
    ("temperature", "warm"),
    ("temperature", True),
    ("temperature", float("nan")),
    ("temperature", float("inf")),
    ("operating_points", []),
    ("operating_points", {"name": "half"}),
    ("operating_points", [{"name": "half", "threshold": 0.5}]),
    ("operating_points", ["half"]),
    ("default_operating_point", "none"),
    ("quality", {"min_side": 1}),
    ("reference_statistics", 3),
    ("metrics", []),
    ("data", None),
    ("licence", 1),
    ("origin", 1),
    ("training", "long"),
    ("weights_sha256", 5),
]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_wrong_value_is_one_clear_sentence(folder: Path, key: str, value: Any) -> None:
    change(folder, **{key: value})
    with pytest.raises(BundleError, match=rf"In model\.json, .*{key.rstrip('s')}") as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_size", "64"),
        ("image_size", 64.5),
        ("working_side", None),
        ("max_aspect", "wide"),
        ("samplewise", 1),
        ("mean", [1, 2]),
        ("std", [1, 1, 0]),
        ("std", ["a", 1, 1]),
    ],
)
def test_wrong_preprocessing_is_refused_at_load(folder: Path, key: str, value: Any) -> None:
    values = json.loads((folder / "model.json").read_text("utf-8"))["preprocessing"]
    change(folder, preprocessing=values | {key: value})
    with pytest.raises(BundleError, match="preprocessing"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threshold", 1.5),
        ("threshold", None),
        ("sensitivity", "high"),
        ("specificity_ci95", [0.1]),
        ("specificity_ci95", [0.1, 2]),
        ("lesions", -1),
        ("photographs", 1.5),
        ("measured_on", 3),
        ("name", None),
    ],
)
def test_a_wrong_operating_point_is_refused_at_load(
    folder: Path, description: BundleDescription, key: str, value: Any
) -> None:
    points = json.loads(description.to_json())["operating_points"]
    points[0][key] = value
    change(folder, operating_points=points)
    with pytest.raises(BundleError, match=key):
        load_bundle(folder)


def test_two_operating_points_of_one_name_are_refused(
    tmp_path: Path, description: BundleDescription, model_state: State
) -> None:
    twice = dataclasses.replace(
        description,
        operating_points=(OperatingPoint("half", 0.5), OperatingPoint("half", 0.6)),
        default_operating_point="half",
    )
    with pytest.raises(BundleError, match="each once"):
        save_bundle(tmp_path / "bundle", model_state=model_state, description=twice)
