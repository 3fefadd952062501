"""Tiny sources for the tests of reading and preparing data: HAM10000 in all its layouts, and class folders."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

HEADER = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
ROWS = (
    ("HAM_0000001", "ISIC_0000001", "bkl", "histo", "80.0", "male", "scalp"),
    ("HAM_0000001", "ISIC_0000002", "bkl", "histo", "80.0", "male", "scalp"),
    ("HAM_0000002", "ISIC_0000003", "nv", "follow_up", "0.0", "female", "unknown"),
    ("HAM_0000003", "ISIC_0000004", "nv", "follow_up", "", "unknown", "back"),
    ("HAM_0000004", "ISIC_0000005", "mel", "consensus", "45.0", "male", "lower extremity"),
    ("HAM_0000005", "ISIC_0000006", "akiec", "confocal", "60.0", "female", "face"),
)
LAYOUTS = ("zips", "folders", "one folder", "beside the table", "one zip", "twice")


def jpeg(seed: int, *, size: tuple[int, int] = (24, 18), quality: int = 95) -> bytes:
    """A picture that no other seed gives."""
    noise = np.random.default_rng(seed).integers(0, 256, size=(3, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize(size).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def ham10000_table(rows: Iterable[tuple[str, ...]] = ROWS, *, delimiter: str = ",") -> bytes:
    return "".join(delimiter.join(row) + "\n" for row in (HEADER, *rows)).encode()


def ham10000_pictures(rows: Iterable[tuple[str, ...]] = ROWS) -> dict[str, bytes]:
    return {f"{row[1]}.jpg": jpeg(number) for number, row in enumerate(rows)}


def write_ham10000(
    folder: Path,
    *,
    layout: str = "zips",
    table_name: str = "HAM10000_metadata.csv",
    delimiter: str = ",",
    rows: tuple[tuple[str, ...], ...] = ROWS,
    pictures: Mapping[str, bytes] | None = None,
) -> Path:
    """Writes a HAM10000 of six pictures and five lesions in one of the layouts in which it goes round."""
    pictures = ham10000_pictures(rows) if pictures is None else pictures
    table = {table_name: ham10000_table(rows, delimiter=delimiter)}
    names = sorted(pictures)
    halves = [
        {name: pictures[name] for name in names[: len(names) // 2]},
        {name: pictures[name] for name in names[len(names) // 2 :]},
    ]
    if layout == "zips":
        for number, half in enumerate(halves, start=1):
            write_zip(folder / f"HAM10000_images_part_{number}.zip", half)
    elif layout == "folders":
        for number, half in enumerate(halves, start=1):
            write_files(folder / f"HAM10000_images_part_{number}", half)
    elif layout == "one folder":
        write_files(folder / "pictures" / "all of them", pictures)
    elif layout == "beside the table":
        write_files(folder, pictures)
    elif layout == "twice":
        write_files(folder / "HAM10000_images_part_1", pictures)
        write_files(folder / "ham10000_images_part_1", pictures)
    elif layout == "one zip":
        inside = {f"archive/HAM10000_images_part_1/{name}": pictures[name] for name in names}
        return write_zip(folder / "archive.zip", {f"archive/{table_name}": table[table_name], **inside})
    return write_files(folder, table)


def class_folders(*folders: str, each: int = 5) -> dict[str, bytes]:
    """Returns `each` pictures a folder, called 0.jpg, 1.jpg, ... in every one."""
    return {
        f"{folder}/{number}.jpg": jpeg(1000 * place + number)
        for place, folder in enumerate(folders, start=1)
        for number in range(each)
    }
