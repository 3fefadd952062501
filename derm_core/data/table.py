"""The dataset folder: its table `metadata.csv`, its `images/`, and where they came from. Decodes no picture."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from derm_core.data.source import name_some
from derm_core.data.split_names import split_names
from derm_core.data.splits import SPLITS, lesions_across_splits
from derm_core.diagnoses import DIAGNOSES, Task
from derm_core.errors import DatasetError, unknown_name

COLUMNS = ("image", "diagnosis", "lesion_id", "age", "sex", "site", "confirmed_by", "split")
TABLE_NAME = "metadata.csv"
IMAGES_NAME = "images"
PROVENANCE_NAME = "dataset.json"
_FOLD = re.compile(r"fold-\d+")


@dataclass(frozen=True)
class Dataset:
    """Some or all of the photographs of a dataset folder.

    `table` has the columns `COLUMNS`: str, empty where unknown, except `age`: float64 in years, NaN where unknown.
    `provenance` is what `dataset.json` tells: source, licence, seed, shares; empty where there is none.
    """

    folder: Path
    table: pd.DataFrame
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    def image_path(self, index: int) -> Path:
        """Returns the path of the photograph in row `index` (0 is the first, whatever the table's own index says)."""
        return self.folder / IMAGES_NAME / self.table["image"].iloc[index]

    def image_paths(self, start: int = 0, stop: int | None = None) -> list[Path]:
        """Returns the paths of the photographs in rows `start` up to `stop`, all by default."""
        folder = self.folder / IMAGES_NAME
        return [folder / name for name in self.table["image"].iloc[start:stop]]

    def subset(self, split: str) -> Dataset:
        """Returns the photographs of one split, or of several, such as "fold-1+fold-2".

        Raises DatasetError where there are none of one of them.
        """
        named, there = split_names(split), set(self.table["split"])
        for name in named:
            if name not in there:
                found = ", ".join(sorted(there)) or "none"
                raise DatasetError(f"{self.folder} has no split {name!r}. It has: {found}.")
        kept = self.table[self.table["split"].isin(named)]
        return replace(self, table=kept.reset_index(drop=True))

    def for_task(self, task: Task) -> Dataset:
        """Returns the photographs that have a label in the task; raises DatasetError where there are none."""
        kept = self.table[self.table["diagnosis"].isin(list(task.labels))]
        if kept.empty:
            found = ", ".join(sorted(set(self.table["diagnosis"])))
            raise DatasetError(
                f"{self.folder} has nothing for the task {task.name!r}. Its diagnoses are: {found}."
            )
        return replace(self, table=kept.reset_index(drop=True))

    def labels(self, task: Task) -> np.ndarray:
        """Returns int64 (N,): the class index of each photograph in `task.classes`.

        Raises:
            DatasetError: a diagnosis has no label in the task; take `for_task` first.
        """
        indices = [task.index_of(code) for code in self.table["diagnosis"]]
        if None in indices:
            code = self.table["diagnosis"].iloc[indices.index(None)]
            raise DatasetError(
                f"The task {task.name!r} has no label for {code!r}. Take dataset.for_task(task) first."
            )
        return np.array(indices, dtype=np.int64)

    @property
    def lesions(self) -> np.ndarray:
        """str (N,): the lesion of each photograph; one that has no `lesion_id` is a lesion of its own."""
        return np.array(_lesions(self.table), dtype=str)

    def fingerprint(self) -> str:
        """Returns a SHA-256 (hex) over every row and the length of each picture's file, in the table's order.

        No picture is read: a picture that was replaced by another one of the same length goes unnoticed.
        """
        digest = hashlib.sha256()
        for path, row in zip(self.image_paths(), self.table.itertuples(index=False), strict=True):
            values = [*_to_text(row), str(path.stat().st_size)]
            digest.update(json.dumps(values, ensure_ascii=True).encode() + b"\n")
        return digest.hexdigest()


def load_dataset(folder: str | Path) -> Dataset:
    """Reads and checks a dataset folder.

    Raises:
        DatasetError: the folder or its table does not exist, a column is missing, a diagnosis, age or split is not
            known, a picture is listed twice or not there, or a lesion is in more than one split.
    """
    folder = Path(folder)
    path = folder / TABLE_NAME
    if not path.is_file():
        raise DatasetError(
            f"{folder} is not a dataset folder: it has no {TABLE_NAME}. Make one with prepare_data."
        )
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8-sig")
    except (ValueError, OSError) as err:
        raise DatasetError(f"{path} cannot be read as a table ({err}).") from err
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DatasetError(f"{path} has no column {', '.join(missing)}. Wanted: {', '.join(COLUMNS)}.")
    table = _typed(table[list(COLUMNS)], path)
    _check_table(table, path)
    absent = [name for name in table["image"] if not (folder / IMAGES_NAME / name).is_file()]
    if absent:
        raise DatasetError(
            f"{folder / IMAGES_NAME} lacks {len(absent)} of {len(table)} pictures: {name_some(absent)}."
        )
    return Dataset(folder, table, _read_provenance(folder / PROVENANCE_NAME))


def write_dataset(
    out: str | Path,
    table: pd.DataFrame,
    pictures: Iterable[bytes],
    *,
    provenance: Mapping[str, Any] | None = None,
) -> Dataset:
    """Writes a dataset folder that is either complete or not there.

    It grows under a temporary name beside `out`, which is removed again if anything goes wrong, an interrupt included.

    Args:
        out: must not exist yet.
        table: the columns `COLUMNS`, as in `Dataset`.
        pictures: the files' contents in the order of the table, written as they are. May be lazy.
        provenance: plain values for `dataset.json`.

    Raises:
        DatasetError: `out` exists, the table is not a dataset's, or there are more or fewer pictures than rows.
    """
    out = Path(out)
    check_free(out)
    table = _typed(table[list(COLUMNS)], out).reset_index(drop=True)
    _check_table(table, out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        growing = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    except OSError as err:
        raise DatasetError(f"Nothing can be written beside {out} ({err}). Name another folder.") from err
    try:
        _write_pictures(growing / IMAGES_NAME, list(table["image"]), pictures)
        _write_table(growing / TABLE_NAME, table)
        if provenance:
            text = json.dumps(dict(provenance), indent=2, ensure_ascii=False) + "\n"
            (growing / PROVENANCE_NAME).write_text(text, encoding="utf-8", newline="\n")
        # mkdtemp makes it private; a dataset is as readable as any other new folder.
        growing.chmod((growing / IMAGES_NAME).stat().st_mode)
        _sync([*growing.rglob("*"), growing])
        check_free(out)
        growing.rename(out)
        _sync([out.parent])
    except BaseException:
        shutil.rmtree(growing, ignore_errors=True)
        raise
    return Dataset(out, table, dict(provenance or {}))


def check_free(out: str | Path) -> None:
    """Raises DatasetError where a dataset cannot be written to `out` because something is there."""
    if os.path.lexists(out):
        raise DatasetError(f"{out} exists already. Name another folder, or remove it first.")


def _write_pictures(folder: Path, names: list[str], pictures: Iterable[bytes]) -> None:
    folder.mkdir()
    written = 0
    for content in pictures:
        if written == len(names):
            raise DatasetError(f"There are more pictures than the {len(names)} rows of the table.")
        path = folder / names[written]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written += 1
    if written < len(names):
        raise DatasetError(f"There are {written} pictures for the {len(names)} rows of the table.")


def _sync(paths: list[Path]) -> None:
    """Returns when all that was written to the files and folders is on the disk, where the system can tell."""
    if os.name != "posix":
        return
    # Each one waits for the disk; many that wait together wait about as long as one.
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_to_text(row) for row in table.itertuples(index=False))


def _to_text(row: Iterable[Any]) -> list[str]:
    values = dict(zip(COLUMNS, row, strict=True))
    age = float(values["age"])
    values["age"] = "" if math.isnan(age) else repr(age)
    return [str(value) for value in values.values()]


def _typed(table: pd.DataFrame, where: Path) -> pd.DataFrame:
    typed = {name: table[name].fillna("").astype(str) for name in COLUMNS if name != "age"}
    try:
        age = pd.to_numeric(table["age"].replace("", None)).astype("float64")
    except (ValueError, TypeError) as err:
        raise DatasetError(
            f"{where} has an age that is not a number ({err}). Unknown ages are left empty."
        ) from err
    return pd.DataFrame({name: age if name == "age" else typed[name] for name in COLUMNS})


def _check_table(table: pd.DataFrame, where: Path) -> None:
    if table.empty:
        raise DatasetError(f"{where} lists no picture.")
    for name in table["image"]:
        if not name or "\\" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DatasetError(
                f"{where} lists a picture named {name!r}; wanted: a file name within {IMAGES_NAME}/."
            )
    repeated = sorted(set(table["image"][table["image"].str.casefold().duplicated()]))
    if repeated:
        raise DatasetError(f"{where} lists {len(repeated)} pictures more than once: {name_some(repeated)}.")
    for code in sorted(set(table["diagnosis"])):
        if code not in DIAGNOSES:
            raise DatasetError(f"{where}: {unknown_name('diagnosis', code, DIAGNOSES)}")
    splits = set(table["split"])
    if not (splits <= set(SPLITS) or all(_FOLD.fullmatch(name) for name in splits)):
        raise DatasetError(
            f"{where} has the splits {', '.join(repr(name) for name in sorted(splits))}; "
            f"wanted: {', '.join(SPLITS)}, or fold-0, fold-1, ... for all."
        )
    crossing = lesions_across_splits(_lesions(table), list(table["split"]))
    if crossing:
        raise DatasetError(
            f"{where} has {len(crossing)} lesions in more than one split: {name_some(crossing)}. Split by lesion."
        )


def _lesions(table: pd.DataFrame) -> list[str]:
    pairs = zip(table["lesion_id"], table["image"], strict=True)
    return [lesion_id or f"image:{image}" for lesion_id, image in pairs]


def _read_provenance(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        provenance = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as err:
        raise DatasetError(f"{path} is not JSON that can be read ({err}). Mend or remove it.") from err
    if not isinstance(provenance, dict):
        raise DatasetError(f"{path} holds no JSON object. Mend or remove it.")
    return provenance
