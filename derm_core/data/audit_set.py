"""What is to be audited: a dataset folder, HAM10000 as published, or class folders. Refuses nothing it can list."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from derm_core.data.ham10000 import METADATA_NAMES, read_ham10000
from derm_core.data.image_folder import SPLIT_FOLDERS, read_image_folder
from derm_core.data.source import SourceFile, SourceRow, is_picture, list_files
from derm_core.data.table import COLUMNS, IMAGES_NAME, TABLE_NAME
from derm_core.errors import DatasetError


@dataclass(frozen=True)
class AuditSet:
    """The pictures of one dataset under audit. `name` is how the findings call it; no other set has the same.

    A diagnosis may be any word here, such as the name of a class folder that the product does not know.
    """

    name: str
    path: Path
    rows: tuple[SourceRow, ...]

    def __len__(self) -> int:
        return len(self.rows)


def read_audit_sets(paths: Sequence[str | Path]) -> list[AuditSet]:
    """Lists the pictures of several datasets.

    Args:
        paths: each a dataset folder, a folder or zip archive with HAM10000 as it is published, or one with pictures in
            class folders, with or without train, val and test above. What a strict reader refuses (a lesion in two
            splits, a class of an unknown name, a picture that is missing) is what an audit is there to find.

    Raises:
        DatasetError: a path is not there, is given twice, or holds no picture.
    """
    resolved = [Path(path).resolve() for path in paths]
    for path, count in Counter(resolved).items():
        if count > 1:
            raise DatasetError(f"{path} is given {count} times. Name each dataset once.")
    names = _names(resolved)
    return [AuditSet(name, path, tuple(_read_rows(path))) for name, path in zip(names, resolved, strict=True)]


def _names(paths: Sequence[Path]) -> list[str]:
    """Returns the shortest end of each path that no other path shares."""
    depth = 1
    while True:
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names) or depth > max(len(path.parts) for path in paths):
            return names
        depth += 1


def _read_rows(path: Path) -> list[SourceRow]:
    if (path / TABLE_NAME).is_file() and (path / IMAGES_NAME).is_dir():
        return _read_dataset(path)
    files = list_files(path)
    if any(file.path.name.lower() in METADATA_NAMES for file in files):
        return list(read_ham10000(path).rows)
    try:
        return list(read_image_folder(path).rows)
    except DatasetError:
        return _read_any_folders(path, files)


def _read_dataset(folder: Path) -> list[SourceRow]:
    """Reads the table of a dataset folder as `load_dataset` does, but judges nothing in it."""
    path = folder / TABLE_NAME
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = list(csv.DictReader(stream))
    except (ValueError, OSError, csv.Error) as err:
        raise DatasetError(f"{path} cannot be read as a table ({err}).") from err
    if not table or "image" not in table[0]:
        raise DatasetError(f"{path} lists no picture. Wanted: the columns {', '.join(COLUMNS)}.")
    rows = []
    for values in table:
        image = values["image"] or ""
        inside = image and ".." not in PurePosixPath(image).parts and not PurePosixPath(image).is_absolute()
        picture = folder / IMAGES_NAME / image
        file = (
            SourceFile(folder / IMAGES_NAME, image, picture.stat().st_size)
            if inside and picture.is_file()
            else None
        )
        rows.append(
            SourceRow(
                image,
                file,
                diagnosis=values.get("diagnosis") or "",
                lesion_id=values.get("lesion_id") or "",
                split=values.get("split") or "",
            )
        )
    return rows


def _read_any_folders(path: Path, files: Sequence[SourceFile]) -> list[SourceRow]:
    """Takes the folder that a picture lies in for its class, whatever it is called."""
    rows = []
    for file in files:
        if not is_picture(file.path):
            continue
        split = next(
            (SPLIT_FOLDERS[part.lower()] for part in file.path.parts[:-1] if part.lower() in SPLIT_FOLDERS),
            "",
        )
        folders = [part for part in file.path.parts[:-1] if part.lower() not in SPLIT_FOLDERS]
        rows.append(SourceRow(file.member, file, folders[-1] if folders else "", split=split))
    if not rows:
        raise DatasetError(
            f"{path} holds no pictures. Wanted: a dataset folder, or pictures in one folder a class."
        )
    return rows
