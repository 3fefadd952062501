"""What a recipe is, in the sentence that its file begins with. Reads no setting."""

from __future__ import annotations

import re
from importlib import resources
from itertools import takewhile

from derm_core.errors import ConfigError, unknown_name
from derm_core.training.config import recipe_names

# "et al. 2016" ends no sentence: what begins one is a letter.
_END_OF_SENTENCE = re.compile(r"(?<=\.)\s+(?=[A-Za-z])")
_COMMAND = "#   "


def recipe_summary(name: str) -> str:
    """Returns the first sentence of the comment at the head of a recipe that comes with the package.

    Raises:
        ConfigError: there is no such recipe.
    """
    if name not in recipe_names():
        raise ConfigError(unknown_name("recipe", name, recipe_names()))
    lines = (resources.files("derm_core") / "recipes" / f"{name}.toml").read_text("utf-8").splitlines()
    words = takewhile(lambda line: line.startswith("#") and not line.startswith(_COMMAND), lines)
    text = " ".join(line.lstrip("# ") for line in words)
    return _END_OF_SENTENCE.split(text)[0].removesuffix(":").removesuffix(".") + "."
