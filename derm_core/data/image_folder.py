"""Reads pictures that are sorted into one folder a class, with or without train/val/test above. Decodes none."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from derm_core.data.source import Source, SourceFile, SourceRow, is_picture, list_files, name_some
from derm_core.diagnoses import DIAGNOSES, get_diagnosis
from derm_core.errors import DatasetError

SPLIT_FOLDERS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Folder names, in lower case, that say which split the classes below them belong to."""
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "akiec": (
        "ak",
        "actinic keratoses",
        "actinic keratoses and intraepithelial carcinoma",
        "solar keratosis",
        "intraepithelial carcinoma",
        "bowen disease",
        "bowens disease",
    ),
    "bcc": ("basal cell carcinomas",),
    "bkl": (
        "benign keratoses",
        "benign keratosis like lesion",
        "benign keratosis like lesions",
        "pigmented benign keratosis",
        "seborrheic keratosis",
        "seborrhoeic keratosis",
        "solar lentigo",
        "lichen planus like keratosis",
    ),
    "df": ("dermatofibromas",),
    "mel": ("melanomas", "malignant melanoma"),
    "nv": (
        "nevus",
        "naevus",
        "nevi",
        "naevi",
        "mole",
        "moles",
        "melanocytic nevus",
        "melanocytic nevi",
        "melanocytic naevi",
    ),
    "vasc": ("vascular", "vascular lesions", "angioma", "hemangioma", "haemangioma", "pyogenic granuloma"),
    "benign": ("benign lesions",),
    "malignant": ("malignant lesions",),
}
"""What else a class folder may be called, besides the code and the full name of its diagnosis."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_LONGEST_NAME = 120


def read_image_folder(
    src: str | Path, *, classes: Mapping[str, str] | None = None, name: str = "", licence: str = ""
) -> Source:
    """Lists the pictures of a folder (or a zip archive) that holds one folder a class.

    The class folders may stand under train, val and test (or valid, validation, training, testing); that split is kept
    in the rows. Single folders around the whole are passed over. Names are compared without regard to case, `_`, `-`.

    Args:
        src: the folder or the zip archive.
        classes: class folders that have a name of their own, and the diagnosis code of each; an empty code leaves
            that folder out.
        name: what the source is called in the dataset's provenance; by default the name of `src`.
        licence: under which its pictures may be used, for the provenance.

    Returns:
        A row for each picture, sorted by its path. Names are made safe and unique. No lesion is known.

    Raises:
        DatasetError: a class folder whose diagnosis is not known, split folders beside class folders, or no picture.
    """
    src = Path(src)
    files = list_files(src)
    pictures = [file for file in files if is_picture(file.path)]
    if not pictures:
        archives = [file.member for file in files if file.path.suffix.lower() == ".zip"]
        raise DatasetError(
            f"{src} holds no pictures. Wanted: one folder a class, with the pictures in it."
            + (f" It holds {name_some(archives)}: name that, or unpack it." if archives else "")
        )
    codes = _codes(classes or {})
    depth = _depth_of_classes(src, pictures, codes)

    rows: list[SourceRow] = []
    unknown: set[str] = set()
    unused = [file.member for file in files if not is_picture(file.path)]
    names = _safe_names(pictures, depth)
    for file in pictures:
        folders = file.path.parts[depth:-1]
        split = SPLIT_FOLDERS.get(folders[0].lower(), "") if folders else ""
        class_folders = folders[1:] if split else folders
        code = codes.get(_plain(class_folders[0])) if class_folders else ""
        if code is None:
            unknown.add(class_folders[0])
        elif code:
            rows.append(SourceRow(names[file], file, code, split=split))
        else:
            unused.append(file.member)
    if unknown:
        raise DatasetError(_unknown_classes(src, sorted(unknown)))
    _check_splits(src, rows)
    return Source(name or src.stem, licence, tuple(rows), tuple(sorted(unused)))


def _codes(classes: Mapping[str, str]) -> dict[str, str]:
    """Returns the code of each plain folder name."""
    codes = {}
    for code, diagnosis in DIAGNOSES.items():
        for known in (code, diagnosis.name, *SYNONYMS[code]):
            codes[_plain(known)] = code
    for folder, code in classes.items():
        codes[_plain(folder)] = get_diagnosis(code).code if code else ""
    return codes


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", name.replace("'", "").replace("\u2019", "")).casefold().split())


def _depth_of_classes(src: Path, pictures: list[SourceFile], codes: Mapping[str, str]) -> int:
    """Returns how many folders stand around all the pictures before the split or class folders begin."""
    depth = 0
    while True:
        here = {file.path.parts[depth] if len(file.path.parts) > depth + 1 else "" for file in pictures}
        if here == {""}:
            raise DatasetError(
                f"{src} holds pictures, but no folders that name their classes. Sort them into some."
            )
        (only, *more) = sorted(here)
        if more or only.lower() in SPLIT_FOLDERS or _plain(only) in codes:
            return depth
        depth += 1


def _check_splits(src: Path, rows: list[SourceRow]) -> None:
    if not rows:
        raise DatasetError(f"{src} holds no picture in a class folder.")
    without = [row.name for row in rows if not row.split]
    if 0 < len(without) < len(rows):
        raise DatasetError(
            f"{src} has pictures under train, val or test and {len(without)} beside them: {name_some(without)}. "
            "Put all of them under a split, or none."
        )


def _unknown_classes(src: Path, unknown: list[str]) -> str:
    known = ", ".join(f"{code} ({diagnosis.name})" for code, diagnosis in DIAGNOSES.items())
    example = f'--class "{unknown[0]}=CODE"' if " " in unknown[0] else f"--class {unknown[0]}=CODE"
    folders = "a folder" if len(unknown) == 1 else f"{len(unknown)} folders"
    return (
        f"{src} has {folders} whose diagnosis is not known: {name_some(unknown)}. Known: {known}. "
        f"Tell what it is with {example} (nothing after = leaves the folder out)."
    )


def _safe_names(pictures: list[SourceFile], depth: int) -> dict[SourceFile, str]:
    """Returns a file name for each picture: its own where no other has it, else with its folders in front."""
    wanted: dict[str, list[SourceFile]] = defaultdict(list)
    for file in pictures:
        wanted[_safe(file.path.name).casefold()].append(file)
    names: dict[SourceFile, str] = {}
    taken = {name for name, group in wanted.items() if len(group) == 1}
    for file in pictures:
        name = _safe(file.path.name)
        if len(wanted[name.casefold()]) > 1:
            name = _free(_safe("-".join(file.path.parts[depth:])), taken)
            taken.add(name.casefold())
        names[file] = name
    return names


def _safe(name: str) -> str:
    """Returns a name that every file system takes: ASCII letters, digits, '.', '_' and '-', not too long."""
    # Decomposed, so that an umlaut gives the same name however the file system writes it.
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", name) if not unicodedata.combining(mark))
    path = PurePosixPath(re.sub(r"[^A-Za-z0-9._-]+", "_", plain).lstrip("._-") or "picture")
    stem, suffix = path.stem[:_LONGEST_NAME], path.suffix.lower()
    return f"_{stem}{suffix}" if _RESERVED.match(stem) else f"{stem}{suffix}"


def _free(name: str, taken: set[str]) -> str:
    path = PurePosixPath(name)
    count = 1
    while name.casefold() in taken:
        count += 1
        name = f"{path.stem}-{count}{path.suffix}"
    return name
