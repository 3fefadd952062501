"""The settings of a run: a recipe's TOML with `section.key=value` overrides, checked before any data is read."""

from __future__ import annotations

import math
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from derm_core.data.transforms import Augmentation, Preprocessing
from derm_core.diagnoses import TASKS
from derm_core.errors import ConfigError, unknown_name
from derm_core.models.architectures import ARCHITECTURES

CLASS_WEIGHTS = ("none", "sqrt", "balanced")
PRECISIONS = ("auto", "float32", "bfloat16")
METRICS = ("macro_f1", "balanced_accuracy", "accuracy", "macro_auc")


@dataclass(frozen=True)
class DataConfig:
    """Which pictures, and how large the network sees them. `limit` keeps that many, by class; 0 keeps all."""

    task: str = "ham7"
    image_size: int = 192
    working_side: int = 200
    working_quality: int = 75
    limit: int = 0
    train_split: str = "train"
    valid_split: str = "val"


@dataclass(frozen=True)
class ModelConfig:
    """`dropout` is that of the classifier's dropout layers, where the architecture has any; below 0 keeps its own.

    `start` names the weights that training starts from in place of ImageNet's, for a second stage or for new data: a
    run folder (its best epoch), the last.pt in one, or a bundle's model.safetensors.
    """

    architecture: str = "mobilenet_v2"
    pretrained: bool = True
    dropout: float = -1.0
    start: str = ""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is fitted: AdamW under a cosine schedule with linear warm-up.

    `class_weights`: weight of each class in the loss; `balanced` is 1 / frequency, `sqrt` its square root, both scaled
    to a mean of 1 over the pictures. `ema_decay` 0 keeps no moving average of the weights. `clip_norm` 0 clips nothing.
    `batch_size` pictures a step; `warmup_epochs` may be a fraction; `threads` 0 leaves torch's choice; `workers`
    processes augment beside the training process. `first_image_size` above 0 begins with smaller pictures that grow to
    `data.image_size` over the first three quarters of the epochs (Tan and Le 2021, arXiv 2104.00298). A checkpoint is
    written at least every `checkpoint_seconds`.
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_epochs: float = 1.0
    class_weights: str = "sqrt"
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    clip_norm: float = 0.0
    first_image_size: int = 0
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0
    workers: int = 0
    checkpoint_seconds: float = 60.0
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class EvaluationConfig:
    """`metric` on the validation split chooses the best epoch; higher is better."""

    metric: str = "macro_f1"


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run is made from, apart from its data."""

    name: str
    data: DataConfig
    model: ModelConfig
    training: TrainingConfig
    evaluation: EvaluationConfig

    @property
    def preprocessing(self) -> Preprocessing:
        """How this run's network sees a picture."""
        return Preprocessing(
            image_size=self.data.image_size,
            working_side=self.data.working_side,
            working_quality=self.data.working_quality,
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns nested plain values, as a recipe holds them."""
        return asdict(self)


_SECTIONS = {
    "data": DataConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
    "evaluation": EvaluationConfig,
}
_CHOICES: Mapping[str, Iterable[str]] = {
    "data.task": TASKS,
    "model.architecture": ARCHITECTURES,
    "training.class_weights": CLASS_WEIGHTS,
    "training.precision": PRECISIONS,
    "training.device": ("auto", "cpu", "cuda"),
    "evaluation.metric": METRICS,
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "data.image_size": (32, 1024),
    "data.working_side": (32, 4096),
    "data.working_quality": (0, 95),
    "data.limit": (0, math.inf),
    "model.dropout": (-1, 0.99),
    "training.epochs": (1, 100_000),
    "training.batch_size": (2, 65_536),
    "training.learning_rate": (1e-9, 10),
    "training.weight_decay": (0, 10),
    "training.warmup_epochs": (0, 100_000),
    "training.label_smoothing": (0, 0.99),
    "training.ema_decay": (0, 0.999999),
    "training.clip_norm": (0, math.inf),
    "training.first_image_size": (0, 1024),
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
}


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
    return RunConfig(name=name, **sections)


def changed_settings(config: RunConfig) -> list[str]:
    """Returns the `--set section.key=value` words that make these settings of the recipe they are named after.

    A recipe that does not come with the package counts as an empty one.
    """
    recipe = load_recipe(config.name) if config.name in recipe_names() else parse_config({}, config.name)
    before, words = flat_settings(recipe.to_dict()), []
    for key, value in flat_settings(config.to_dict()).items():
        if value != before[key]:
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


def _described(kind: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind]
