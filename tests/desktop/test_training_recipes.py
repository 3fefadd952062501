"""The few settings that people change, as overrides that the core understands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from derm_core import ConfigError, load_recipe, recipe_names
from desktop.training_recipes import Settings, chosen, overrides, recipe_settings, recipe_words


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_recipe_as_it_is_needs_no_override_and_its_augmentation_can_be_turned(recipe: str) -> None:
    usual = recipe_settings(recipe)
    assert overrides(recipe, usual, "") == []
    turned = replace(usual, augmented=not usual.augmented)
    config = load_recipe(recipe, overrides(recipe, turned, ""))
    assert config.training.augmentation.active is not usual.augmented


def test_what_was_changed_is_what_the_run_gets() -> None:
    words = overrides(
        "ham7-mobilenet_v2", Settings(3, 96, 8, True), "training.learning_rate=1e-4\n\n--set data.limit=50 "
    )
    config = load_recipe("ham7-mobilenet_v2", words)
    assert (config.training.epochs, config.data.image_size, config.training.batch_size) == (3, 96, 8)
    assert (config.training.learning_rate, config.data.limit) == (1e-4, 50)
    # Pictures of 96 pixels cannot begin with 128.
    assert config.training.first_image_size == 0


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("training.epoch=3", "Did you mean 'training.epochs'"),
        ("training.learning_rate=fast", "it must be a number"),
    ],
)
def test_a_wrong_setting_is_told_in_the_words_of_the_core(more: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        overrides("ham7-mobilenet_v2", recipe_settings("ham7-mobilenet_v2"), more)


def test_a_field_without_a_number_is_named() -> None:
    assert chosen(3, 96.0, 8, True) == Settings(3, 96, 8, True)
    with pytest.raises(ConfigError, match="Picture size: enter a whole number"):
        chosen(3, None, 8, True)
    with pytest.raises(ConfigError, match="Epochs: enter a whole number"):
        chosen(2.5, 96, 8, True)
    with pytest.raises(ConfigError, match=r"training.epochs is 0; it must be at least 1|from 1 to"):
        overrides("ham7-mobilenet_v2", replace(recipe_settings("ham7-mobilenet_v2"), epochs=0), "")


def test_it_is_said_what_a_recipe_starts_from() -> None:
    assert recipe_words("ham7-resnet18-scratch").endswith("It starts from random numbers.")
    assert "ImageNet weights, which must be on this machine" in recipe_words("ham7-mobilenet_v2")


def test_what_is_no_setting_is_said_in_the_words_of_the_form() -> None:
    usual = recipe_settings("ham7-mobilenet_v2")
    for line in ("x", "training.epochs", "a=b", "[training]"):
        with pytest.raises(ConfigError, match="is no setting"):
            overrides("ham7-mobilenet_v2", usual, line)
