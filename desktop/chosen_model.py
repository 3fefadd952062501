"""The model that was chosen on the page, kept for the next start. Loads none."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from desktop.uploads import home


def remember_model(reference: str) -> None:
    """Keeps the name of a model."""
    path = _file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    growing = path.with_suffix(".new")
    growing.write_text(json.dumps({"model": reference}) + "\n", "utf-8")
    growing.replace(path)


def remembered_model() -> str | None:
    """Returns that name; None where none was kept, or not as it should be."""
    with suppress(OSError, ValueError, AttributeError):
        named = json.loads(_file().read_text("utf-8")).get("model")
        return named if isinstance(named, str) and named else None
    return None


def _file() -> Path:
    return home() / "desk.json"
