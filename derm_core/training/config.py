"""The settings of a run: a recipe's TOML with `section.key=value` overrides, checked before any data is read."""

from __future__ import annotations

import math
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from derm_core.data.split_names import split_names
from derm_core.diagnoses import TASKS
from derm_core.errors import ConfigError, unknown_name
from derm_core.models import ARCHITECTURES, check_architecture, fixed_image_size
from derm_core.training.sections import (
    CLASS_WEIGHTS,
    LOSSES,
    METRICS,
    NORMALIZATIONS,
    OPTIMIZERS,
    PRECISIONS,
    SAMPLERS,
    SCHEDULES,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    RunConfig,
    TrainingConfig,
)

_SECTIONS = {
    "data": DataConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
    "evaluation": EvaluationConfig,
}
_CHOICES: Mapping[str, Iterable[str]] = {
    "data.task": TASKS,
    "data.normalization": NORMALIZATIONS,
    "training.optimizer": OPTIMIZERS,
    "training.schedule": SCHEDULES,
    "training.loss": LOSSES,
    "training.class_weights": CLASS_WEIGHTS,
    "training.sampler": SAMPLERS,
    "training.precision": PRECISIONS,
    "training.device": ("auto", "cpu", "cuda"),
    "evaluation.metric": METRICS,
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "data.image_size": (32, 1024),
    "data.working_side": (32, 4096),
    "data.working_quality": (0, 95),
    "data.limit": (0, math.inf),
    "data.per_class": (0, math.inf),
    "model.head_units": (0, 65_536),
    "model.dropout": (-1, 0.99),
    "model.frozen": (-1, 1000),
    "training.epochs": (1, 100_000),
    "training.batch_size": (2, 65_536),
    "training.accumulation": (1, 65_536),
    "training.learning_rate": (1e-9, 10),
    "training.layer_decay": (0.01, 1),
    "training.weight_decay": (0, 10),
    "training.warmup_epochs": (0, 100_000),
    "training.unfreeze_epochs": (0, 100_000),
    "training.patience": (0, 100_000),
    "training.focal_gamma": (0, 10),
    "training.label_smoothing": (0, 0.99),
    "training.ema_decay": (0, 0.999999),
    "training.clip_norm": (0, math.inf),
    "training.first_image_size": (0, 1024),
    "training.feature_views": (1, 1000),
    "training.threads": (0, 1024),
    "training.workers": (0, 1024),
    "training.checkpoint_seconds": (0, math.inf),
    "training.augmentation.rotation": (0, 180),
    "training.augmentation.shift": (0, 1),
    "training.augmentation.zoom": (0, 0.9),
    "training.augmentation.shear": (0, 60),
    "training.augmentation.brightness": (0, 1),
    "training.augmentation.contrast": (0, 1),
    "training.augmentation.saturation": (0, 1),
    "training.augmentation.hue": (0, 0.5),
    "training.augmentation.erasing": (0, 1),
    "training.augmentation.randaugment": (0, 30),
    "training.augmentation.mixup": (0, 100),
    "training.augmentation.cutmix": (0, 100),
    "training.distillation.alpha": (0, 1),
    "training.distillation.temperature": (0.1, 100),
}

FOUND_BY_TRAINING = ("data.mean", "data.std")
"""Settings that a run finds on its training pictures, where they are not given."""


def recipe_names() -> tuple[str, ...]:
    """Returns the names of the recipes that come with the package."""
    folder = resources.files("derm_core") / "recipes"
    return tuple(
        sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    )


def load_recipe(recipe: str, overrides: Iterable[str] = ()) -> RunConfig:
    """Reads a recipe and applies overrides.

    Args:
        recipe: a name of recipe_names(), or the path of a TOML file.
        overrides: `section.key=value`, the value written as in TOML; quotes around a plain word may be left out.

    Raises:
        ConfigError: the recipe does not exist, is not TOML, or a key or value is not known; names the key, the value
            and what is allowed.
    """
    path = Path(recipe)
    if recipe in recipe_names():
        content, name = (resources.files("derm_core") / "recipes" / f"{recipe}.toml").read_bytes(), recipe
    elif path.suffix == ".toml" and path.is_file():
        content, name = path.read_bytes(), path.stem
    else:
        raise ConfigError(
            unknown_name("recipe", recipe, recipe_names()) + " A path to a .toml file will do, too."
        )
    try:
        values = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigError(f"The recipe {recipe} is not valid TOML: {err}.") from err
    for override in overrides:
        _apply(values, override)
    return parse_config(values, name)


def parse_config(values: Mapping[str, Any], name: str) -> RunConfig:
    """Builds the settings from nested plain values; raises ConfigError as load_recipe does."""
    unknown = [key for key in values if key not in _SECTIONS]
    if unknown:
        raise ConfigError(unknown_name("section of the recipe", unknown[0], _SECTIONS))
    sections = {key: _parse_section(kind, values.get(key, {}), key) for key, kind in _SECTIONS.items()}
    config = RunConfig(name=name, **sections)
    _check_together(config)
    return config


def changed_settings(config: RunConfig) -> list[str]:
    """Returns the `--set section.key=value` words that make these settings of the recipe they are named after.

    A recipe that does not come with the package counts as an empty one.
    """
    recipe = load_recipe(config.name) if config.name in recipe_names() else parse_config({}, config.name)
    before, words = flat_settings(recipe.to_dict()), []
    for key, value in flat_settings(config.to_dict()).items():
        # What training finds by itself is not asked for.
        if value != before[key] and key not in FOUND_BY_TRAINING:
            words += ["--set", f"{key}={str(value).lower() if isinstance(value, bool) else value}"]
    return words


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings under dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= (
            flat_settings(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{key}": value}
        )
    return flat


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or len(parts) < 2:
        raise ConfigError(
            f"--set {override} is not of the form section.key=value, such as training.epochs=3."
        )
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    section = values
    for part in parts[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise ConfigError(f"--set {override}: {part} is a value and holds no further keys.")
    section[parts[-1]] = value


def _check_together(config: RunConfig) -> None:
    """Refuses settings that are each allowed and make no sense together; raises ConfigError."""
    data, model, training = config.data, config.model, config.training
    try:
        check_architecture(model.architecture)
    except ConfigError as err:
        raise ConfigError(unknown_name("model.architecture", model.architecture, ARCHITECTURES)) from err
    side = fixed_image_size(model.architecture)
    if side and data.image_size != side:
        raise ConfigError(
            f"data.image_size is {data.image_size}; {model.architecture} sees pictures of {side} "
            "pixels and no other size."
        )
    if side and training.first_image_size:
        raise ConfigError(
            f"training.first_image_size is {training.first_image_size}; {model.architecture} sees one size: "
            "set it to 0."
        )
    for key, values in (("data.mean", data.mean), ("data.std", data.std)):
        if values and (data.normalization != "featurewise" or len(values) != 3):
            raise ConfigError(
                f"{key} is {list(values)}; it is three numbers, and only with data.normalization=featurewise."
            )
    finite = all(map(math.isfinite, (*data.mean, *data.std)))
    if bool(data.mean) != bool(data.std) or not finite or any(value <= 0 for value in data.std):
        raise ConfigError(
            f"data.mean is {list(data.mean)} and data.std {list(data.std)}; give both or none, of finite numbers, and "
            "each of data.std above 0."
        )
    shared = sorted(set(split_names(data.train_split)) & set(split_names(data.valid_split)))
    if shared:
        raise ConfigError(
            f"data.train_split is {data.train_split!r} and data.valid_split {data.valid_split!r}; what is learnt from "
            f"proves nothing, so they must not share {shared[0]}."
        )
    if config.evaluation.views not in (1, 2, 4, 8):
        raise ConfigError(f"evaluation.views is {config.evaluation.views}; it must be 1, 2, 4 or 8.")
    if training.feature_views > 1 and not (config.trains_features and training.augmentation.active):
        raise ConfigError(
            f"training.feature_views is {training.feature_views}; more than 1 needs model.frozen=-1 "
            "and an augmentation."
        )
    if config.trains_features and training.first_image_size:
        raise ConfigError(
            f"training.first_image_size is {training.first_image_size}; a frozen body is run once, at one size: set it "
            "to 0."
        )
    if config.trains_features and (training.augmentation.mixup or training.augmentation.cutmix):
        raise ConfigError(
            "training.augmentation.mixup and cutmix mix pictures, and a frozen body is run once: set them to 0, or "
            "model.frozen to 0 or more blocks."
        )
    if training.unfreeze_epochs and model.frozen == -1:
        raise ConfigError(
            f"training.unfreeze_epochs is {training.unfreeze_epochs:g} and model.frozen is -1; name the "
            "blocks that stay frozen at the end, such as 0."
        )
    if data.extra and (config.trains_features or training.loss != "cross_entropy"):
        raise ConfigError(
            f"data.extra is {data.extra!r}; a second dataset needs a body that learns and training.loss=cross_entropy."
        )
    if config.trains_features and training.distillation.teacher:
        raise ConfigError(
            "training.distillation.teacher needs a body that learns: set model.frozen to 0 or more blocks."
        )


def _parse_section(kind: type, values: Any, path: str) -> Any:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} is {values!r}; it must be a section with keys.")
    hints = typing.get_type_hints(kind)
    known = {item.name for item in fields(kind)}
    for key in values:
        if key not in known:
            raise ConfigError(unknown_name("setting", f"{path}.{key}", [f"{path}.{name}" for name in known]))
    return kind(**{key: _parse_value(hints[key], value, f"{path}.{key}") for key, value in values.items()})


def _parse_value(kind: Any, value: Any, path: str) -> Any:
    if is_dataclass(kind):
        return _parse_section(typing.cast(type, kind), value, path)
    if kind == tuple[float, ...]:
        return _parse_numbers(value, path)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"{path} is {value!r}; it must be {_described(kind)}.")
    choices = _CHOICES.get(path)
    if choices is not None and value not in choices:
        raise ConfigError(unknown_name(path, value, choices))
    low, high = _RANGES.get(path, (-math.inf, math.inf))
    if isinstance(value, int | float) and not low <= value <= high:
        limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise ConfigError(f"{path} is {value!r}; it must be {limits}.")
    return value


def _parse_numbers(value: Any, path: str) -> tuple[float, ...]:
    numbers = value if isinstance(value, list | tuple) else [None]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise ConfigError(f"{path} is {value!r}; it must be a list of numbers.")
    return tuple(map(float, numbers))


def _described(kind: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind]
