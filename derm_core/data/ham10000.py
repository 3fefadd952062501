"""Reads HAM10000 as it is published: its table, and its pictures in zips or folders. Checks and copies no picture.

Tschandl, Rosendahl, Kittler: The HAM10000 dataset, Sci Data 5:180161, 2018, doi:10.7910/DVN/DBW86T.
"""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

from derm_core.data.source import Source, SourceFile, SourceRow, list_files
from derm_core.diagnoses import TASKS
from derm_core.errors import DatasetError, unknown_name

LICENCE = "CC BY-NC 4.0"
METADATA_NAMES = ("ham10000_metadata.csv", "ham10000_metadata", "ham10000_metadata.tab")
"""As the table is called in the archives, best first, in lower case."""
_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
_PICTURE = re.compile(r"ISIC_\d+\.jpe?g", re.IGNORECASE)
_OLDEST = 120
"""Years; no patient of whom a model is told may be older, either."""
_UNKNOWN = ("", "unknown", "nan", "na")


def read_ham10000(src: str | Path) -> Source:
    """Lists the photographs of HAM10000.

    Args:
        src: the folder with the table (`HAM10000_metadata.csv`, `HAM10000_metadata` or `HAM10000_metadata.tab`) and
            the pictures: `HAM10000_images_part_1.zip` and `..._2.zip`, the folders unpacked from them, or any folder
            that holds the `ISIC_*.jpg`. One zip archive with the same content will do.

    Returns:
        A row for each line of the table, in the order of the image ids; `file` is None where the picture is missing.
        Pictures that the table does not list are in `unused`.

    Raises:
        DatasetError: no table or no pictures, a column or a value that is not HAM10000's, or one image id with
            two different pictures.
    """
    src = Path(src)
    files = list_files(src)
    table = _find_table(src, files)
    pictures = _find_pictures(src, files)
    rows = []
    for line, values in enumerate(_read_table(table), start=2):
        found = pictures.get(values["image_id"].casefold())
        rows.append(_to_row(values, found, f"line {line} of {table.path.name}"))
    listed = {row.file for row in rows}
    unused = sorted(file.member for file in pictures.values() if file not in listed)
    return Source("HAM10000", LICENCE, tuple(sorted(rows, key=lambda row: row.image)), tuple(unused))


def _find_table(src: Path, files: list[SourceFile]) -> SourceFile:
    named = [file for file in files if file.path.name.lower() in METADATA_NAMES]
    if not named:
        raise DatasetError(
            f"{src} has no HAM10000_metadata.csv, HAM10000_metadata or HAM10000_metadata.tab. "
            "Name the folder into which the archive was unpacked."
        )
    return min(named, key=lambda file: (len(file.path.parts), METADATA_NAMES.index(file.path.name.lower())))


def _find_pictures(src: Path, files: list[SourceFile]) -> dict[str, SourceFile]:
    archives = [src / file.member for file in files if src.is_dir() and file.path.suffix.lower() == ".zip"]
    everything = files + [file for archive in archives for file in list_files(archive)]
    pictures: dict[str, SourceFile] = {}
    for file in everything:
        if _PICTURE.fullmatch(file.path.name):
            first = pictures.setdefault(file.path.stem.casefold(), file)
            if first.size != file.size:
                raise DatasetError(
                    f"{file.path.name} is in {src} twice with different content: "
                    f"{first.container.name}/{first.member} and {file.container.name}/{file.member}. Keep one of them."
                )
    if not pictures:
        raise DatasetError(
            f"{src} has no ISIC_*.jpg, neither in folders nor in zip archives (an archive within an archive must be "
            "unpacked first). Put HAM10000_images_part_1.zip and HAM10000_images_part_2.zip beside the table."
        )
    return pictures


def _read_table(table: SourceFile) -> list[dict[str, str]]:
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise DatasetError(f"{table.path} is not UTF-8 text ({err}). Save it as CSV in UTF-8.") from err
    header = text.partition("\n")[0]
    # Spreadsheets in countries with a decimal comma separate by semicolons.
    delimiter = max(",", "\t", ";", key=header.count)
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval="")
    missing = [name for name in _COLUMNS if name not in (lines.fieldnames or ())]
    if missing:
        raise DatasetError(f"{table.path} has no column {', '.join(missing)}. Wanted: {', '.join(_COLUMNS)}.")
    rows = [{name: values[name].strip() for name in _COLUMNS} for values in lines]
    if not rows:
        raise DatasetError(f"{table.path} has no line below its header, and so no picture. Fetch it again.")
    return rows


def _to_row(values: dict[str, str], file: SourceFile | None, where: str) -> SourceRow:
    known = {name: "" if value.casefold() in _UNKNOWN else value for name, value in values.items()}
    diagnosis = known["dx"].lower()
    if diagnosis not in TASKS["ham7"].labels:
        raise DatasetError(f"{where}: {unknown_name('diagnosis', diagnosis, TASKS['ham7'].labels)}")
    if not known["image_id"] or not known["lesion_id"]:
        raise DatasetError(f"{where} lacks its image_id or lesion_id. Fetch the table again.")
    return SourceRow(
        image=f"{known['image_id']}.jpg",
        file=file,
        diagnosis=diagnosis,
        lesion_id=known["lesion_id"],
        age=_to_age(known["age"], where),
        sex=known["sex"],
        site=known["localization"],
        confirmed_by=known["dx_type"],
    )


def _to_age(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        age = float(text)
    except ValueError:
        age = math.nan
    if not 0 <= age <= _OLDEST:
        raise DatasetError(f"{where}: the age is {text!r}; wanted: years from 0 to {_OLDEST}, or nothing.")
    return age
