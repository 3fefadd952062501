"""The settings of the run that a bundle was made of, read back from its description."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from derm_core.errors import ConfigError
from derm_core.experiments.bundle_settings import commands_of, settings_of
from derm_core.serving.description import BundleDescription
from derm_core.serving.operating_point import OperatingPoint
from derm_core.training.config import parse_config


def describe(data: dict[str, Any], **changes: Any) -> BundleDescription:
    """A bundle that was made of a run with these settings."""
    values: dict[str, Any] = {
        "name": "tiny",
        "version": "1",
        "architecture": "resnet18",
        "task": "nv-bkl-mel",
        "classes": ("bkl", "mel", "nv"),
        "preprocessing": parse_config({"data": data}, "r").preprocessing,
        "temperature": 1.0,
        "operating_points": (OperatingPoint("half", 0.5),),
        "default_operating_point": "half",
        "training": {
            "recipe": "mine",
            "command": "scripts/train.py mine",
            "image size in training": 96,
            "best_epoch": 3,
            "epochs": 7,
            "epoch chosen by": "macro_auc on the fold-1 split",
        },
    }
    return BundleDescription(**values | changes)


@pytest.mark.parametrize(
    "data",
    [
        {"normalization": "imagenet"},
        {"normalization": "rescale"},
        {"normalization": "samplewise"},
        {"normalization": "featurewise", "mean": [0.7, 0.55, 0.5], "std": [0.15, 0.2, 0.25]},
        {"working_side": 300, "working_quality": 90},
    ],
)
def test_the_network_sees_pictures_as_the_bundle_does(data: dict[str, Any]) -> None:
    # What a run's bundle looks like after its trip through model.json.
    description = BundleDescription.from_json(describe(data).to_json())
    config = settings_of(description)
    seen = dataclasses.replace(config.preprocessing, image_size=description.preprocessing.image_size)
    assert seen == description.preprocessing
    assert config.data.normalization == data.get("normalization", "imagenet")


def test_what_the_description_tells_is_as_it_was_in_the_run() -> None:
    config = settings_of(describe({"image_size": 128}, head_units=12, views=4))
    assert config.name == "mine"
    assert (config.data.task, config.data.image_size, config.data.valid_split) == ("nv-bkl-mel", 96, "fold-1")
    assert (config.model.architecture, config.model.head_units) == ("resnet18", 12)
    assert config.training.epochs == 7
    assert (config.evaluation.metric, config.evaluation.views) == ("macro_auc", 4)


def test_what_it_does_not_tell_is_as_in_an_empty_recipe() -> None:
    config, empty = settings_of(describe({"image_size": 128}, training={})), parse_config({}, "tiny")
    assert config.name == "tiny"
    assert config.data.image_size == 128
    assert config.training == empty.training
    assert config.evaluation == empty.evaluation
    assert config.data.valid_split == "val"


def test_what_is_none_of_a_runs_settings_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.metric 'beauty'"):
        settings_of(describe({}, training={"epoch chosen by": "beauty on the val split"}))
    with pytest.raises(ConfigError, match=r"training\.epochs is 'many'"):
        settings_of(describe({}, training={"epochs": "many"}))


@pytest.mark.parametrize(
    ("training", "commands"),
    [
        ({}, ()),
        ({"command": "a"}, ("a",)),
        ({"recipe": "r", "command 1": "a", "command 2": "b", "weights": "c"}, ("a", "b")),
        ({f"command {number}": str(number) for number in range(1, 12)}, tuple(map(str, range(1, 12)))),
        ({"command line": "x", "commanded": "y", "": "z"}, ()),
    ],
)
def test_the_commands_are_those_that_made_the_runs(
    training: dict[str, str], commands: tuple[str, ...]
) -> None:
    assert commands_of(describe({}, training=training)) == commands
