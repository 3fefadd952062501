"""Named model bundles, their versions, and which version of a name serves. Reads no weights but to check them.

    models/registry.json         the list, changed atomically and under a lock
    models/<name>/<version>/     a copy of each bundle, never changed again

Versions count 1, 2, 3, ... within a name. A name's first version serves at once; later ones when they are activated.
One name is chosen for the website: what it answers with where no other model was named.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from derm_core.errors import BundleError, unknown_name
from derm_core.file_lock import hold_file
from derm_core.files import new_folder, replace_file, sync_folder
from derm_core.serving.description import DESCRIPTION_FILE, WEIGHTS_FILE, read_description
from derm_core.serving.registered_bundle import NAME, RegisteredBundle, parse_entry, serving

BUNDLED = "bundled"
"""The name of the model that ships with the package; no other may have it."""
HOME_VARIABLE = "DERM_HOME"
_REGISTRY_FILE = "registry.json"
_LOCK_FILE = "registry.lock"
_CHOSEN = "chosen"
_REMOVED = "removed"
_PATIENCE_SECONDS = 60.0


class Registry:
    """The bundles under one folder. Processes and threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entries(self) -> tuple[RegisteredBundle, ...]:
        """Returns all lines, oldest first; raises BundleError where the list cannot be read."""
        with self._told():
            return tuple(parse_entry(value) for value in self._read()["bundles"])

    def register(self, name: str, bundle_folder: Path, *, activate: bool = False) -> RegisteredBundle:
        """Copies a bundle in under a name, as its next version.

        Args:
            name: letters, digits, dots, dashes and underscores, 64 at most; not "bundled".
            bundle_folder: the bundle; it is checked first and not needed afterwards.
            activate: whether the name means this version from now on. The first version of a name always serves.

        Raises:
            BundleError: the name cannot be used, or the bundle is incomplete or altered.
        """
        _check_name(name)
        description = read_description(bundle_folder)
        with self._locked():
            entries = self.entries()
            version = self.next_version(name)
            target = self.folder / name / str(version)
            with new_folder(target) as growing:
                _copy(bundle_folder, growing)
                entry = RegisteredBundle(
                    name=name,
                    version=version,
                    serves=activate or all(other.name != name for other in entries),
                    folder=f"{name}/{version}",
                    description_sha256=_sha256(growing / DESCRIPTION_FILE),
                    weights_sha256=_sha256(growing / WEIGHTS_FILE),
                    registered=datetime.now(UTC).isoformat(timespec="seconds"),
                )
                if entry.weights_sha256 != description.weights_sha256:
                    raise BundleError(
                        f"The weights in {bundle_folder} are not those that its model.json describes. "
                        "Export or copy the bundle again."
                    )
            self._write(serving((*entries, entry), entry) if entry.serves else (*entries, entry))
        return entry

    def next_version(self, name: str) -> int:
        """Returns the version that a bundle registered under a name now would get; raises BundleError for a name that
        cannot be used."""
        _check_name(name)
        known = [entry.version for entry in self.entries() if entry.name == name]
        return max([*known, self._removed().get(name, 0)]) + 1

    def activate(self, reference: str) -> RegisteredBundle:
        """Lets a name mean the version of `name@version` from now on; raises BundleError for one that is unknown."""
        with self._locked():
            entry = self._find(reference)
            self._check_unaltered(entry)
            self._write(serving(self.entries(), entry))
        return replace(entry, serves=True)

    def remove(self, reference: str) -> RegisteredBundle:
        """Deletes the version of `name@version` for good; its number is not given again.

        Where the bare name meant it, the name means the newest of the other versions from now on.

        Raises:
            BundleError: no such version, or a server of this folder answers with it.
        """
        with self._locked():
            doomed = self._find(reference)
            if doomed.serves and doomed.name == self.chosen():
                raise BundleError(
                    f"The website answers with {doomed.name}@{doomed.version}. Choose another model first."
                )
            entries = tuple(entry for entry in self.entries() if entry != doomed)
            others = [entry for entry in entries if entry.name == doomed.name]
            if doomed.serves and others:
                entries = serving(entries, max(others, key=lambda entry: entry.version))
            highest = max(doomed.version, self._removed().get(doomed.name, 0))
            self._write(entries, removed=self._removed() | {doomed.name: highest})
            # Only now: a line of the list never names files that are gone.
            shutil.rmtree(self.folder / doomed.folder, ignore_errors=True)
            with suppress(OSError):  # Other versions lie beside it.
                (self.folder / doomed.name).rmdir()
        return doomed

    def chosen(self) -> str:
        """Returns the name of the model that a server of this folder answers with: "bundled" until one is chosen."""
        return str(self._read().get(_CHOSEN, BUNDLED))

    def choose(self, name: str) -> None:
        """Lets a server of this folder answer with the model of this name; raises BundleError for an unknown one."""
        with self._locked():
            if name != BUNDLED:
                self._find(name)
            self._write(self.entries(), chosen=name)

    def resolve(self, reference: str) -> Path:
        """Returns the folder of `name` (the version that serves) or `name@version`.

        Raises:
            BundleError: no such name or version, or its files are no longer those that were registered.
        """
        entry = self._find(reference)
        self._check_unaltered(entry)
        return self.folder / entry.folder

    def _find(self, reference: str) -> RegisteredBundle:
        name, at, version = reference.partition("@")
        entries = self.entries()
        of_name = [entry for entry in entries if entry.name == name]
        if not of_name:
            raise BundleError(unknown_name("model", name, {BUNDLED, *(entry.name for entry in entries)}))
        for entry in of_name:
            if entry.serves if not at else str(entry.version) == version:
                return entry
        known = ", ".join(f"{name}@{entry.version}" for entry in of_name)
        raise BundleError(f"There is no {reference!r}. Registered: {known}.")

    def _check_unaltered(self, entry: RegisteredBundle) -> None:
        folder = self.folder / entry.folder
        for file, wanted in (
            (DESCRIPTION_FILE, entry.description_sha256),
            (WEIGHTS_FILE, entry.weights_sha256),
        ):
            if _sha256(folder / file) != wanted:
                raise BundleError(
                    f"{file} of {entry.name}@{entry.version} is not the file that was registered. "
                    "Register the bundle again from its source."
                )

    def _read(self) -> dict[str, Any]:
        with self._told():
            try:
                values = json.loads((self.folder / _REGISTRY_FILE).read_text(encoding="utf-8"))
            except FileNotFoundError:
                return {"bundles": []}
            if not isinstance(values, dict):
                raise ValueError("it holds no object")
            return values

    def _removed(self) -> dict[str, int]:
        """Returns the highest version that was removed of each name."""
        with self._told():
            return {str(name): int(version) for name, version in self._read().get(_REMOVED, {}).items()}

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BundleError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as err:
            path = self.folder / _REGISTRY_FILE
            raise BundleError(f"{path} cannot be read ({err!r}). Restore it from a backup.") from err

    def _write(
        self,
        entries: tuple[RegisteredBundle, ...],
        *,
        chosen: str | None = None,
        removed: dict[str, int] | None = None,
    ) -> None:
        values = {
            "format_version": 1,
            _CHOSEN: chosen or self.chosen(),
            "bundles": [asdict(entry) for entry in entries],
            _REMOVED: self._removed() if removed is None else removed,
        }
        text = json.dumps(values, indent=2)
        replace_file(self.folder / _REGISTRY_FILE, f"{text}\n".encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps other processes and threads from changing the list."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            try:
                held.enter_context(hold_file(self.folder / _LOCK_FILE, patience=_PATIENCE_SECONDS))
            except TimeoutError as err:
                raise BundleError(str(err)) from err
            yield


def home_folder() -> Path:
    """Returns the folder that DERM_HOME names; without it, `instance` beside the package."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else Path(__file__).resolve().parents[2] / "instance"


def default_registry() -> Registry:
    """Returns the registry under the home folder."""
    return Registry(home_folder() / "models")


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or name == BUNDLED:
        raise BundleError(
            f"A model cannot be registered as {name!r}. Use up to 64 letters, digits, dots, dashes and underscores, "
            f"starting with a letter or digit, and not {BUNDLED!r}."
        )


def _copy(source: Path, target: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.is_file():
            shutil.copyfile(path, target / path.name)
            with open(target / path.name, "rb+") as stream:
                os.fsync(stream.fileno())
    sync_folder(target)


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return file_digest(stream, "sha256").hexdigest()
    except OSError as err:
        raise BundleError(
            f"{path} cannot be read ({err.strerror}). Copy or register the bundle again."
        ) from err
