"""What a backup is: a folder with rows, pictures, models and their checksums; and whether one is whole. Makes none.

manifest.json       what made it and when, and how much there is
SHA256SUMS          the checksum of every other file, as `sha256sum --check` reads it
rows/<table>.jsonl  one row a line
images/, uploads/, models/   as in DERM_HOME
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from derm_core import DermError

FORMAT = 1
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
ROWS, IMAGES, UPLOADS, MODELS = "rows", "images", "uploads", "models"
_CHUNK_BYTES = 1 << 20

Progress = Callable[[Iterable[Any], int], Iterable[Any]]
"""Is given what to go through and how many there are, and gives it on while it shows how far it is."""


class BackupError(DermError):
    """A backup cannot be made, or is not whole, or cannot be restored here."""


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        format: of the folder; FORMAT.
        made_at: when its rows were read, in ISO 8601.
        revision: the migration that the database was at.
        tables: table name to number of rows.
        pictures: how many answers have their files in it.
        files: how many files have a checksum.
        bytes: what these files take.
        sums_sha256: the SHA-256 of the file of checksums.
    """

    format: int
    made_at: str
    revision: str
    tables: dict[str, int]
    pictures: int
    files: int
    bytes: int
    sums_sha256: str

    def text(self) -> str:
        """Returns it as JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Reads a backup's manifest; raises BackupError where the folder is no backup, or of another format."""
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BackupError(
            f"{folder} is no backup: it has no {MANIFEST}. Name a folder that backup.py made."
        ) from None
    except ValueError as err:
        raise BackupError(f"{path} is damaged ({err}). Take another backup.") from err
    if not isinstance(values, dict) or set(values) != {field.name for field in fields(Manifest)}:
        raise BackupError(f"{path} is not the manifest of a backup. Take another backup.")
    if values["format"] != FORMAT:
        raise BackupError(
            f"{folder} is a backup of format {values['format']}; this version reads {FORMAT}. "
            "Restore it with the version that made it."
        )
    return Manifest(**values)


def verify_backup(folder: Path, progress: Progress = lambda items, count: items) -> Manifest:
    """Reads every file of a backup and returns its manifest; raises BackupError for one that is not as it was."""
    manifest = read_manifest(folder)
    sums = folder / SUMS
    if not sums.is_file() or sha256_of(sums) != manifest.sums_sha256:
        raise BackupError(f"{sums} is not as it was when the backup was made. Take another backup.")
    count = 0
    for name, expected in progress(read_sums(sums), manifest.files):
        path = folder / name
        if not path.is_file():
            raise BackupError(f"{path} is missing from the backup. Take another backup.")
        if sha256_of(path) != expected:
            raise BackupError(f"{path} is not as it was when the backup was made. Take another backup.")
        count += 1
    if count != manifest.files:
        raise BackupError(
            f"{sums} lists {count} files; {manifest.files} were backed up. Take another backup."
        )
    return manifest


def read_sums(path: Path) -> Iterator[tuple[str, str]]:
    """Yields name and checksum of each file that a file of checksums lists; raises BackupError for an odd line."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            checksum, blanks, name = line.rstrip("\n").partition("  ")
            parts = PurePosixPath(name).parts
            # The names lead to files that are read and copied: none may lead out of the folder.
            if len(checksum) != 64 or not blanks or not parts or ".." in parts or parts[0] == "/":
                raise BackupError(
                    f"{path} has a line that is no checksum: {line[:80]!r}. Take another backup."
                )
            yield name, checksum


def write_sums(folder: Path) -> tuple[int, int]:
    """Writes the checksums of all files in a folder, in the order of their names; returns how many, and their bytes."""
    count = size = 0
    with (folder / SUMS).open("w", encoding="utf-8") as file:
        for path in _files_under(folder):
            if path.name in (SUMS, MANIFEST) and path.parent == folder:
                continue
            file.write(f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n")
            count, size = count + 1, size + path.stat().st_size
    return count, size


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files_under(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _files_under(path)
        else:
            yield path
