"""A recipe in words, and the few settings of it that people change, as the core's own overrides. Trains nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from derm_core import ConfigError, load_recipe, recipe_summary
from desktop.texts import say

FIRST_RECIPE = "ham7-mobilenet_v2"
_USUAL = {"flips": True, "rotation": 45.0, "zoom": 0.2, "brightness": 0.2, "contrast": 0.2}
"""What is done to pictures where augmentation is asked for and the recipe has none of its own."""
_SETTING = re.compile(r"\w+(\.\w+)+\s*=")


@dataclass(frozen=True)
class Settings:
    """What can be changed without knowing the names: passes, side of the pictures in pixels, pictures a step."""

    epochs: int
    image_size: int
    batch_size: int
    augmented: bool


def recipe_settings(recipe: str) -> Settings:
    """Returns what a recipe says; raises ConfigError for one that is not known."""
    config = load_recipe(recipe)
    training = config.training
    return Settings(
        training.epochs, config.data.image_size, training.batch_size, training.augmentation.active
    )


def recipe_words(recipe: str) -> str:
    """Returns what a recipe is: its own sentence, then what it takes."""
    config = load_recipe(recipe)
    start = "training-from-imagenet" if config.model.pretrained else "training-from-random"
    return f"{recipe_summary(recipe)} {say(start)}"


def overrides(recipe: str, settings: Settings, more: str) -> list[str]:
    """Returns the `section.key=value` words that make these settings of a recipe.

    Args:
        recipe: its name.
        settings: what was chosen.
        more: further settings, one a line.

    Raises:
        ConfigError: a number is missing, or the core knows no such setting or value.
    """
    config = load_recipe(recipe)
    usual = recipe_settings(recipe)
    words = [
        f"{key}={getattr(settings, name)}"
        for name, key in (
            ("epochs", "training.epochs"),
            ("image_size", "data.image_size"),
            ("batch_size", "training.batch_size"),
        )
        if getattr(settings, name) != getattr(usual, name)
    ]
    if config.training.first_image_size >= settings.image_size:
        # Pictures that grow would begin above their size.
        words.append("training.first_image_size=0")
    if settings.augmented and not usual.augmented:
        words += [f"training.augmentation.{name}={_toml(value)}" for name, value in _USUAL.items()]
    if usual.augmented and not settings.augmented:
        given = vars(config.training.augmentation)
        words += [
            f"training.augmentation.{name}={_toml(type(value)())}" for name, value in given.items() if value
        ]
        if config.training.feature_views > 1:
            words.append("training.feature_views=1")
    words += [_setting(line.strip()) for line in more.splitlines() if line.strip()]
    load_recipe(recipe, words)
    return words


def chosen(epochs: Any, image_size: Any, batch_size: Any, augmented: bool) -> Settings:
    """Returns the settings that a form holds; raises ConfigError for a field without a whole number."""
    numbers = {"training-epochs": epochs, "training-size": image_size, "training-batch": batch_size}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise ConfigError(say("training-no-number", field=say(name)))
    return Settings(int(epochs), int(image_size), int(batch_size), bool(augmented))


def _setting(line: str) -> str:
    """Returns one line of other settings, which may have been copied from a terminal, as the core takes it."""
    plain = line.removeprefix("--set").strip()
    if not _SETTING.match(plain):
        raise ConfigError(say("training-no-setting", line=plain[:80]))
    return plain


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
