"""One line of the registry: a version of a named bundle. Reads no file."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a model may be called."""


@dataclass(frozen=True)
class RegisteredBundle:
    """One line of the registry.

    Attributes:
        name, version: what it is called; `name@version` names it alone.
        serves: whether the bare name means this version.
        folder: where the copy is, relative to the registry's folder.
        description_sha256, weights_sha256: of model.json and of the weights file, as registered.
        registered: UTC time, ISO 8601.
    """

    name: str
    version: int
    serves: bool
    folder: str
    description_sha256: str
    weights_sha256: str
    registered: str


def parse_entry(value: dict[str, object]) -> RegisteredBundle:
    """Returns a line of the list; raises ValueError, KeyError or TypeError for one that is none."""
    entry = RegisteredBundle(**{field.name: value[field.name] for field in fields(RegisteredBundle)})  # type: ignore[arg-type]
    if not isinstance(entry.version, int) or not NAME.fullmatch(entry.name):
        raise ValueError(f"{entry.name}@{entry.version} is no name and version")
    if entry.folder != f"{entry.name}/{entry.version}":
        raise ValueError(f"{entry.folder} is not the folder of {entry.name}@{entry.version}")
    return entry


def serving(entries: tuple[RegisteredBundle, ...], chosen: RegisteredBundle) -> tuple[RegisteredBundle, ...]:
    """Returns the entries with `chosen` the one that serves among those of its name."""
    return tuple(
        replace(entry, serves=entry.version == chosen.version) if entry.name == chosen.name else entry
        for entry in entries
    )
