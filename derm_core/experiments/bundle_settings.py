"""The settings of the run that a bundle was made of, as far as its description tells them. Reads no weights."""

from __future__ import annotations

import re
from typing import Any

from derm_core.data.transforms import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from derm_core.serving.description import BundleDescription
from derm_core.training.config import parse_config
from derm_core.training.sections import RunConfig

CHOSEN_BY = "{} on the {} split"
"""By which metric on which split the best epoch was chosen, as a description says it."""


def settings_of(description: BundleDescription) -> RunConfig:
    """Returns the settings; what the description does not tell is as in an empty recipe.

    Raises:
        ConfigError: what it tells is none of a run's settings.
    """
    seen, training = description.preprocessing, description.training
    values: dict[str, dict[str, Any]] = {
        "data": {
            "task": description.task,
            "image_size": training.get("image size in training", seen.image_size),
            "working_side": seen.working_side,
            "working_quality": seen.working_quality,
            **_normalization(seen),
        },
        "model": {"architecture": description.architecture, "head_units": description.head_units},
        "training": {"epochs": training["epochs"]} if "epochs" in training else {},
        "evaluation": {"views": description.views},
    }
    chosen_by = re.fullmatch(CHOSEN_BY.format(r"(\w+)", r"(\S+)"), str(training.get("epoch chosen by", "")))
    if chosen_by:
        values["evaluation"]["metric"], values["data"]["valid_split"] = chosen_by.groups()
    return parse_config(values, str(training.get("recipe", description.name)))


def commands_of(description: BundleDescription) -> tuple[str, ...]:
    """Returns the commands that made the runs, in order."""
    training = description.training
    return tuple(str(value) for key, value in training.items() if re.fullmatch(r"command( \d+)?", key))


def _normalization(seen: Preprocessing) -> dict[str, Any]:
    if seen.samplewise:
        return {"normalization": "samplewise"}
    if (seen.mean, seen.std) == (IMAGENET_MEAN, IMAGENET_STD):
        return {"normalization": "imagenet"}
    if (seen.mean, seen.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)):
        return {"normalization": "rescale"}
    return {"normalization": "featurewise", "mean": seen.mean, "std": seen.std}
