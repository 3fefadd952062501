"""Compiled forms on the disk: which runtime was chosen for a model on this machine, and what it runs. Compiles none.

    <bundle>/compiled/<key>/choice.json       the choice, its reason and figures, and the SHA-256 of the other file
    <bundle>/compiled/<key>/network.blob      the form, where the choice has one

Beside the bundle where that can be written; otherwise, and for the model that ships, under the home folder's `cache`.
A key stands for one way to ask, one processor, one number of threads and one set of versions. What is not whole is as
if it were not there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from derm_core.files import new_folder, write_synced
from derm_core.serving.bundle_files import BUNDLED_FOLDER
from derm_core.serving.compiled import FORMS
from derm_core.serving.machine import fingerprint
from derm_core.serving.registry import home_folder

log = logging.getLogger(__name__)

CHOICE_FILE = "choice.json"
_FORMAT_VERSION = 1


@dataclass(frozen=True)
class StoredChoice:
    """What was found out once.

    Attributes:
        runtime: the name of a form, or "eager".
        reason: why, in a sentence.
        figures: what was measured of each candidate, by its name; plain values.
        content: of the form; empty for "eager".
    """

    runtime: str
    reason: str
    figures: Mapping[str, Any]
    content: bytes = b""


class CompiledStore:
    """The place of one choice.

    Args:
        bundle_folder: of the model.
        weights_sha256: of the model.
        asked: what was asked for, such as "auto".
        threads, passes: how the cores are shared.
        versions: of everything that a compiled form depends on.
    """

    def __init__(
        self,
        bundle_folder: Path,
        weights_sha256: str,
        *,
        asked: str,
        threads: int,
        passes: int,
        versions: Mapping[str, str | None],
    ) -> None:
        self._kind = f"{asked}-{fingerprint()}-{threads}x{passes}-"
        told = json.dumps([_FORMAT_VERSION, weights_sha256, dict(versions)], sort_keys=True)
        self._name = self._kind + hashlib.sha256(told.encode()).hexdigest()[:16]
        self._places = places_of(bundle_folder, weights_sha256, "compiled")

    def read(self) -> StoredChoice | None:
        """Returns what was written; None where nothing was, or it was damaged since."""
        for place in self._places:
            folder = place / self._name
            if folder.is_dir():
                try:
                    return _read(folder)
                except (OSError, ValueError, KeyError, TypeError) as err:
                    log.warning("%s is damaged (%s) and made again.", folder, err)
        return None

    def write(self, choice: StoredChoice) -> Path | None:
        """Keeps a choice in the first place that can be written; returns its folder, None where none can."""
        values = asdict(choice)
        content = values.pop("content")
        values |= {"format_version": _FORMAT_VERSION, "sha256": hashlib.sha256(content).hexdigest()}
        for place in self._places:
            try:
                with new_folder(place / self._name) as growing:
                    if content:
                        write_synced(growing / FORMS[choice.runtime].file, content)
                    write_synced(growing / CHOICE_FILE, json.dumps(values, indent=2).encode())
            except OSError as err:
                log.info("Nothing can be kept in %s (%s).", place, err.strerror)
                continue
            self._remove_outdated(place)
            return place / self._name
        return None

    def _remove_outdated(self, place: Path) -> None:
        """Removes what earlier versions left for the same way to ask on the same machine."""
        for name in os.listdir(place):
            if name.startswith(self._kind) and name != self._name:
                shutil.rmtree(place / name, ignore_errors=True)


def places_of(bundle_folder: Path, weights_sha256: str, kind: str) -> list[Path]:
    """Returns the folders in which what was made of a bundle's weights may lie, the preferred one first."""
    at_home = home_folder() / "cache" / kind / weights_sha256[:16]
    return [at_home] if bundle_folder.resolve() == BUNDLED_FOLDER else [bundle_folder / kind, at_home]


def _read(folder: Path) -> StoredChoice:
    values = json.loads((folder / CHOICE_FILE).read_text("utf-8"))
    form = FORMS.get(values["runtime"])
    content = (folder / form.file).read_bytes() if form else b""
    if hashlib.sha256(content).hexdigest() != values["sha256"]:
        raise ValueError("its SHA-256 is another")
    return StoredChoice(values["runtime"], values["reason"], values["figures"], content)
