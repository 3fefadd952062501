"""Recipes in words: each that comes with the package says what it is in one sentence."""

from __future__ import annotations

import pytest

from derm_core.errors import ConfigError
from derm_core.training.config import recipe_names
from derm_core.training.recipe_summary import recipe_summary


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_says_what_it_is_without_a_command(name: str) -> None:
    sentence = recipe_summary(name)
    assert 40 < len(sentence) < 320
    assert sentence.endswith(".")
    assert "scripts/" not in sentence
    assert "--" not in sentence


def test_a_year_in_a_citation_ends_no_sentence() -> None:
    assert recipe_summary("ham7-resnet18-scratch").endswith("reported a test F1 of 0.691.")


def test_an_unknown_recipe_is_named_with_its_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'ham7-swin_t'\?"):
        recipe_summary("ham7-swin")
