"""The models that this machine has: listed, chosen, compared on the same pictures, taken along. Knows no page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core import (
    BundleError,
    InvalidImageError,
    default_registry,
    find_bundle,
    read_description,
)
from desktop.texts import say

if TYPE_CHECKING:
    from derm_core import BundleDescription, Prediction, Predictor

BUNDLED = "bundled"
MOST_COMPARED = 200
_CARD = "MODEL_CARD.md"


@dataclass(frozen=True)
class KnownModel:
    """A model of this machine.

    Attributes:
        reference: what `load_predictor` wants.
        serves: whether the bare name means it.
        description: what it says of itself; None where its files are incomplete.
        problem: why it cannot be used; empty where it can.
        folder: where its bundle lies; None where that is not known.
    """

    reference: str
    serves: bool
    description: BundleDescription | None
    problem: str = ""
    folder: Path | None = None


def known_models() -> list[KnownModel]:
    """Returns the bundled model and the registered ones, newest first; raises BundleError for an unreadable list."""
    registry = default_registry()
    models = [_known(BUNDLED, True, find_bundle(BUNDLED))]
    for entry in reversed(registry.entries()):
        models.append(_known(f"{entry.name}@{entry.version}", entry.serves, registry.folder / entry.folder))
    return models


def model_card(model: KnownModel) -> str:
    """Returns what a model tells people of itself, as Markdown; without pictures, which might lie elsewhere."""
    try:
        text = (model.folder / _CARD).read_text("utf-8") if model.folder else ""
    except (OSError, UnicodeDecodeError):
        text = ""
    return text.replace("![", "[") or say("models-no-card")


@dataclass(frozen=True)
class Compared:
    """What two models say of one picture; an error where it cannot be read."""

    name: str
    path: Path
    first: Prediction | InvalidImageError
    second: Prediction | InvalidImageError

    @property
    def differs(self) -> bool:
        """Whether the advice is another one."""
        if isinstance(self.first, InvalidImageError) or isinstance(self.second, InvalidImageError):
            return False
        return self.first.advice != self.second.advice


def compare(first: Predictor, second: Predictor, pictures: Sequence[tuple[str, Path]]) -> Iterator[Compared]:
    """Asks two models about the same pictures, given as name and file, one after the other."""
    for name, path in pictures:
        yield Compared(name, path, _answer(first, path), _answer(second, path))


def _answer(predictor: Predictor, path: Path) -> Prediction | InvalidImageError:
    try:
        return predictor.predict(path)
    except InvalidImageError as err:
        return err


def _known(reference: str, serves: bool, folder: Path) -> KnownModel:
    try:
        return KnownModel(reference, serves, read_description(folder), folder=folder)
    except BundleError as err:
        return KnownModel(reference, serves, None, str(err), folder)
