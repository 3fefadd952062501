"""The pictures and rows of a source, wherever its files lie: folders or zip archives. Decides nothing about them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from derm_core.diagnoses import Task
from derm_core.errors import DatasetError, InvalidImageError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif")
MAX_FILE_BYTES = 512 * 2**20
"""A longer file is never read into memory, whatever an archive claims about it."""
_UNREADABLE = (OSError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, EOFError)
"""What zipfile raises for members that are damaged, encrypted, packed in an unknown way, or gone."""
_NOT_CONTENT = ("__MACOSX", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class SourceFile:
    """One file of a source: `member` is its name inside `container`, a folder or a zip archive; `size` is in bytes."""

    container: Path
    member: str
    size: int

    @property
    def path(self) -> PurePosixPath:
        """Its path relative to the container."""
        return PurePosixPath(self.member)

    def read_bytes(self) -> bytes:
        """Returns the whole content; raises InvalidImageError where it is damaged, encrypted, gone or too long."""
        if self.size > MAX_FILE_BYTES:
            raise InvalidImageError(
                f"{self.member} has {self.size:,} bytes; at most {MAX_FILE_BYTES:,} are read."
            )
        try:
            if self.container.is_dir():
                return (self.container / self.member).read_bytes()
            return _open_archive(self.container).read(self.member)
        except _UNREADABLE as err:
            raise InvalidImageError(
                f"{self.member} in {self.container.name} cannot be read ({err})."
            ) from err


@dataclass(frozen=True)
class SourceRow:
    """One photograph that a source lists. `file` is None where the source has no such picture.

    `image` is the file name that it gets in the dataset; `age` is in years, None where unknown; other unknown values
    are empty. `split` is the one that the source itself gives ("train", "val" or "test"), if any.
    """

    image: str
    file: SourceFile | None
    diagnosis: str
    lesion_id: str = ""
    age: float | None = None
    sex: str = ""
    site: str = ""
    confirmed_by: str = ""
    split: str = ""

    @property
    def name(self) -> str:
        """The name by which the user finds it in the source."""
        return self.image if self.file is None else self.file.member

    @property
    def lesion(self) -> str:
        """The lesion it shows: `lesion_id`, or one of its own where the source tells none."""
        return self.lesion_id or f"image:{self.image}"


@dataclass(frozen=True)
class Source:
    """What a reader found: the rows in a fixed order, and the names of files that no row needs."""

    name: str
    licence: str
    rows: tuple[SourceRow, ...]
    unused: tuple[str, ...] = ()

    def for_task(self, task: Task) -> Source:
        """Returns the source with only the rows whose diagnosis has a label in the task."""
        rows = tuple(row for row in self.rows if row.diagnosis in task.labels)
        if not rows:
            found = ", ".join(sorted({row.diagnosis for row in self.rows})) or "none"
            raise DatasetError(
                f"{self.name} has no picture for the task {task.name!r}, which knows {', '.join(task.labels)}; "
                f"the diagnoses found are: {found}. Choose another task."
            )
        return replace(self, rows=rows)


def list_files(container: Path) -> list[SourceFile]:
    """Returns every file below a folder or inside a zip archive, sorted by path; hidden files are passed over.

    Raises:
        DatasetError: neither a folder nor a zip archive, or an archive with a name that leads out of it.
    """
    if container.is_dir():
        found = [
            SourceFile(container, path.relative_to(container).as_posix(), path.stat().st_size)
            for path in container.rglob("*")
            if path.is_file()
        ]
    elif container.is_file():
        entries = [entry for entry in _open_archive(container).infolist() if not entry.is_dir()]
        for entry in entries:
            _check_name(container, entry.filename)
        found = [SourceFile(container, entry.filename, entry.file_size) for entry in entries]
    else:
        raise DatasetError(f"{container} does not exist. Name a folder or a zip archive.")
    return sorted((file for file in found if _is_content(file.path)), key=lambda file: file.member)


def is_picture(path: PurePosixPath) -> bool:
    """Tells by its suffix whether a file is meant to be a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def _open_archive(path: Path) -> zipfile.ZipFile:
    state = path.stat()
    return _open_archive_as_it_is(path, state.st_mtime_ns, state.st_size)


def name_some(names: Sequence[str], limit: int = 10) -> str:
    """Returns the first names and how many more there are: "a, b and 3 more"; one that would break the line, quoted."""
    shown = [name if name.isprintable() else repr(name) for name in names[:limit]]
    return ", ".join(shown) + (f" and {len(names) - limit} more" if len(names) > limit else "")


@lru_cache(maxsize=8)
def _open_archive_as_it_is(path: Path, modified_ns: int, size: int) -> zipfile.ZipFile:
    # Kept open: one process reads thousands of members from a few archives. An archive that changed is opened anew.
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as err:
        raise DatasetError(f"{path} is not a zip archive that can be read ({err}). Fetch it again.") from err


def _check_name(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        raise DatasetError(
            f"{archive} holds an entry named {name!r}, which may lead out of the folder it is unpacked into. "
            "Nothing was read. Fetch the archive from its publisher, or pack it anew."
        )


def _is_content(path: PurePosixPath) -> bool:
    return not any(part.startswith(".") or part in _NOT_CONTENT for part in path.parts)
