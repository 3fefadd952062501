"""Where a bundle lies, and whether its weights are those that it describes. Needs no torch and builds no network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from derm_core.errors import BundleError
from derm_core.serving.description import DESCRIPTION_FILE, WEIGHTS_FILE, BundleDescription
from derm_core.serving.registry import BUNDLED, default_registry


@dataclass(frozen=True)
class BundleFiles:
    """A bundle whose weights were checked but not loaded."""

    folder: Path
    description: BundleDescription


BUNDLED_FOLDER = Path(__file__).resolve().parents[1] / "bundled"
"""The model that ships with the package."""


def find_bundle(name_or_folder: str | Path) -> Path:
    """Returns the folder of "bundled", of a path to a bundle, or of a registered `name` or `name@version`.

    A bare word is a registered name, unless a folder of that name lies in the current one and holds a bundle.

    Raises:
        BundleError: there is no such bundle; registered files were altered.
    """
    if name_or_folder == BUNDLED:
        return BUNDLED_FOLDER
    path = Path(name_or_folder).expanduser()
    if (path / DESCRIPTION_FILE).is_file():
        return path
    if path.is_file() and (isinstance(name_or_folder, Path) or path.name != str(name_or_folder)):
        raise BundleError(
            f"{path} is a file, and a model is a folder with {DESCRIPTION_FILE} and {WEIGHTS_FILE}. Name such a "
            f"folder, a registered model or {BUNDLED!r}; a packed model is added on the website or in the desktop app "
            "first."
        )
    if isinstance(name_or_folder, Path) or path.name != str(name_or_folder) or path.is_dir():
        missing = f"holds no {DESCRIPTION_FILE}" if path.is_dir() else "does not exist"
        raise BundleError(
            f"{path} {missing}. Name a model bundle's folder, a registered model or {BUNDLED!r}."
        )
    return default_registry().resolve(str(name_or_folder))


def read_weights(folder: Path, description: BundleDescription) -> bytes:
    """Returns the content of the weights file.

    Raises:
        BundleError: it is missing, or its SHA-256 is not that of the description.
    """
    path = folder / WEIGHTS_FILE
    try:
        content = path.read_bytes()
    except OSError as err:
        raise BundleError(f"{path} cannot be read ({err.strerror}). Copy the bundle again.") from err
    found = hashlib.sha256(content).hexdigest()
    if found != description.weights_sha256:
        raise BundleError(
            f"{path} was altered or cut short: its SHA-256 is {found[:12]}..., and model.json says "
            f"{description.weights_sha256[:12]}.... Copy the bundle again."
        )
    return content
