"""What a search tries: settings with the values or the range that each may take, written `section.key=SPEC`.

    training.batch_size=[16,32,64]              one of these, as TOML; quotes around plain words may be left out
    training.learning_rate=1e-4..1e-2:log       anything between, small values as likely as large ones
    training.weight_decay=0.0..0.1              anything between
    data.image_size=128..224:step=32            128, 160, 192 or 224

A range over a setting that is a whole number gives whole numbers. Trains nothing.
"""

from __future__ import annotations

import itertools
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias, cast

from optuna.trial import Trial

from derm_core.errors import ConfigError
from derm_core.training.config import RunConfig, flat_settings

MEASURED_BY = ("data.task", "data.valid_split", "data.limit", "evaluation.metric")
"""Settings that say what a trial is measured by: where they differ, trials cannot be compared."""
_FORMS = "a list such as [16,32,64], or a range such as 1e-4..1e-2:log or 128..224:step=32"
_PLAIN_WORD = re.compile(r"[A-Za-z_][\w./-]*")

Value: TypeAlias = bool | int | float | str


@dataclass(frozen=True)
class Choice:
    """A setting that takes one of the values."""

    key: str
    values: tuple[Value, ...]

    @property
    def examples(self) -> tuple[Value, ...]:
        """Values that are valid only if all are."""
        return self.values

    def suggest(self, trial: Trial) -> Value:
        """Returns the value of a trial."""
        return cast(Value, trial.suggest_categorical(self.key, self.values))

    def __str__(self) -> str:
        return f"[{', '.join(map(toml_value, self.values))}]"


@dataclass(frozen=True)
class Range:
    """A setting that takes a value from `low` to `high`, both included, in steps where `step` is not 0."""

    key: str
    low: float
    high: float
    step: float = 0
    log: bool = False
    whole: bool = False

    @property
    def examples(self) -> tuple[Value, ...]:
        """Values that are valid only if all are."""
        return (self.low, self.high)

    def suggest(self, trial: Trial) -> Value:
        """Returns the value of a trial."""
        if self.whole:
            return trial.suggest_int(
                self.key, int(self.low), int(self.high), step=int(self.step) or 1, log=self.log
            )
        return trial.suggest_float(self.key, self.low, self.high, step=self.step or None, log=self.log)

    def steps(self) -> Choice:
        """Returns the values that a grid tries; raises ConfigError where there is no step."""
        if not self.step:
            raise ConfigError(
                f"A grid needs values, and {self.key}={self} is a range without steps. Give a list or a step, such as "
                f"{self}:step=..., or search with another method."
            )
        number = round((self.high - self.low) / self.step)
        low, step = Decimal(str(self.low)), Decimal(str(self.step))
        kind = int if self.whole else float
        return Choice(self.key, tuple(kind(low + place * step) for place in range(number + 1)))

    def __str__(self) -> str:
        step = f":step={self.step}" if self.step else ""
        return f"{self.low}..{self.high}{step}{':log' if self.log else ''}"


Setting = Choice | Range


def parse_space(words: Sequence[str], check: Callable[[Sequence[str]], RunConfig]) -> tuple[Setting, ...]:
    """Reads what is to be searched, and checks every value or end of a range.

    Args:
        words: `section.key=SPEC`, one a setting.
        check: builds the settings of a run with overrides, or raises ConfigError.

    Raises:
        ConfigError: a word is not of that form, a key is not known or comes twice, a value is not allowed, or the key
            is one that trials are measured by.
    """
    if not words:
        raise ConfigError(f"Nothing is searched over. Name a setting with {_FORMS}.")
    specs: dict[str, str] = {}
    for word in words:
        key, equals, spec = (part.strip() for part in word.partition("="))
        if not equals or not spec:
            raise ConfigError(f"{word!r} is not of the form section.key=SPEC; SPEC is {_FORMS}.")
        if key in specs:
            raise ConfigError(f"{key} is searched over twice. Give all of its values at once.")
        if key in MEASURED_BY:
            raise ConfigError(
                f"{key} cannot be searched over: trials that differ in it are not measured alike. Run one "
                "search for each."
            )
        specs[key] = spec
    settings = tuple(_parse_spec(key, spec) for key, spec in specs.items())
    first = {setting.key: setting.examples[0] for setting in settings}
    checked = []
    for setting in settings:
        # As the recipe reads them: 1 is 1.0 where the setting is no whole number.
        values = [
            flat_settings(check(override_words({**first, setting.key: value})).to_dict())[setting.key]
            for value in setting.examples
        ]
        checked.append(_checked(setting, values))
    return tuple(checked)


def grid_points(space: Sequence[Setting]) -> list[dict[str, Value]]:
    """Returns every combination of the values, the last setting changing fastest; raises ConfigError as Range.steps."""
    choices = [setting.steps() if isinstance(setting, Range) else setting for setting in space]
    keys = [choice.key for choice in choices]
    return [
        dict(zip(keys, values, strict=True))
        for values in itertools.product(*(choice.values for choice in choices))
    ]


def override_words(values: Mapping[str, Value]) -> list[str]:
    """Returns `section.key=value` for each, as load_recipe takes them."""
    return [f"{key}={toml_value(value)}" for key, value in values.items()]


def set_words(overrides: Sequence[str]) -> str:
    """Returns the overrides as a person gives them to train.py: --set section.key=value ..., quoted for a shell."""
    return " ".join(f"--set {shlex.quote(override)}" for override in overrides)


def short(value: Value) -> str:
    """Returns a value for a person to read: four digits of a number with a fraction."""
    return f"{value:.4g}" if isinstance(value, float) else toml_value(value)


def toml_value(value: Value) -> str:
    """Returns a value as TOML, or a plain word without quotes, which overrides may leave out."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN_WORD.fullmatch(value) and value not in ("true", "false", "inf", "nan"):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _parse_spec(key: str, spec: str) -> Setting:
    if spec.startswith("["):
        return Choice(key, _parse_list(key, spec))
    ends, *options = spec.split(":")
    low, dots, high = ends.partition("..")
    if not dots:
        raise ConfigError(
            f"{key}={spec} says neither which values nor from where to where; wanted: {_FORMS}."
        )
    step, log = Decimal(0), False
    for option in options:
        name, _, value = option.partition("=")
        if option == "log":
            log = True
        elif name == "step":
            step = _number(key, spec, value)
        else:
            raise ConfigError(f"{key}={spec} has the unknown option {option!r}. Known: log, step=N.")
    return _range(key, spec, _number(key, spec, low), _number(key, spec, high), step, log)


def _range(key: str, spec: str, low: Decimal, high: Decimal, step: Decimal, log: bool) -> Range:
    if not low < high:
        raise ConfigError(f"{key}={spec} does not rise; the lower end of a range comes first.")
    if log and (low <= 0 or step):
        raise ConfigError(
            f"{key}={spec}: a range on a logarithmic scale starts above 0 and has no steps. Leave out log, or "
            "give a list."
        )
    if step:
        if not 0 < step <= high - low:
            raise ConfigError(f"{key}={spec}: a step is above 0 and no longer than the range.")
        high = low + (high - low) // step * step
    return Range(key, _plain(low), _plain(high), _plain(step), log)


def _plain(number: Decimal) -> float:
    return int(number) if number == number.to_integral_value() else float(number)


def _number(key: str, spec: str, text: str) -> Decimal:
    try:
        number = Decimal(text.strip().replace("_", ""))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ConfigError(f"{key}={spec}: {text.strip()!r} is not a number; wanted: {_FORMS}.")
    return number


def _parse_list(key: str, spec: str) -> tuple[Value, ...]:
    try:
        values = tomllib.loads(f"values = {spec}")["values"]
    except tomllib.TOMLDecodeError:
        if not spec.endswith("]"):
            raise ConfigError(f"{key}={spec} has no closing bracket; wanted: {_FORMS}.") from None
        values = [_parse_word(word.strip()) for word in spec[1:-1].split(",") if word.strip()]
    if not values or not all(isinstance(value, bool | int | float | str) for value in values):
        raise ConfigError(f"{key}={spec} is not a list of numbers, words, or true and false.")
    return tuple(values)


def _parse_word(word: str) -> Any:
    try:
        return tomllib.loads(f"value = {word}")["value"]
    except tomllib.TOMLDecodeError:
        return word


def _checked(setting: Setting, values: Sequence[Value]) -> Setting:
    """Returns the setting with its values as the recipe reads them."""
    if isinstance(setting, Choice):
        if len(set(values)) < len(values):
            raise ConfigError(f"{setting.key}={setting} names a value twice.")
        return Choice(setting.key, tuple(values))
    low, high = values
    if isinstance(low, bool | str) or isinstance(high, bool | str):
        raise ConfigError(f"{setting.key} has no range between its values. Give a list.")
    whole = isinstance(low, int)
    if whole and setting.step != int(setting.step):
        raise ConfigError(f"{setting.key}={setting}: the setting is a whole number, and so is its step.")
    return Range(setting.key, low, high, setting.step, setting.log, whole)
