"""Lesions of one dataset that another one knows: takes their ids from it, finds or leaves out their pictures.

Public sets often repeat each other's pictures without their lesion ids. Pictures are compared as the audit compares
them: copies are found also where they were resized, recompressed, mirrored or cropped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from derm_core.data.audit import run_audit
from derm_core.data.audit_set import AuditSet, read_audit_sets
from derm_core.data.inspection import Progress
from derm_core.data.source import Source, SourceRow
from derm_core.data.table import Dataset
from derm_core.errors import DatasetError


def adopt_lesions(
    source: Source, known: Path, *, workers: int | None = None, progress: Progress | None = None
) -> Source:
    """Returns the source with a lesion id for every picture that shows a lesion of the known dataset.

    Split by picture, such a lesion would lie on both sides. Copies within the source share an id too. An id that the
    source has stays.

    Args:
        source: its rows may lack lesion ids.
        known: a dataset folder, or anything else that the audit reads.
        workers: processes that decode.
        progress: as in `inspection.inspect_pictures`.

    Raises:
        DatasetError: `known` is not there or holds no picture.
    """
    sets = [AuditSet(source.name, Path(), source.rows), *read_audit_sets([known])]
    audit = run_audit(sets, workers=workers, progress=progress)
    own, theirs = audit.places_of
    ids: dict[int, str] = {}
    for place in theirs:
        row = audit.pictures[place].row
        ids.setdefault(int(audit.lesions[place]), row.lesion_id or row.image)
    members: dict[int, list[SourceRow]] = {}
    for place in own:
        members.setdefault(int(audit.lesions[place]), []).append(audit.pictures[place].row)
    for lesion, rows in members.items():
        if len(rows) > 1:
            ids.setdefault(lesion, next((row.lesion_id for row in rows if row.lesion_id), rows[0].image))
    adopted = [
        row if row.lesion_id else replace(row, lesion_id=ids.get(int(audit.lesions[place]), ""))
        for place, row in zip(own, source.rows, strict=True)
    ]
    return replace(source, rows=tuple(adopted))


def without_lesions_of(
    dataset: Dataset, known: Path, *, workers: int | None = None, progress: Progress | None = None
) -> Dataset:
    """Returns the photographs of lesions of which the known dataset has no picture.

    What a model learnt from one dataset is measured on another by these alone.

    Args:
        dataset: all or some of the photographs of a dataset folder.
        known, workers, progress: as in `adopt_lesions`.

    Raises:
        DatasetError: `known` is not there, is the same dataset, or knows all of the lesions.
    """
    table = dataset.table[~known_photographs(dataset, known, workers=workers, progress=progress)]
    if table.empty:
        raise DatasetError(f"{known} has pictures of every lesion of {dataset.folder}: none is left.")
    return replace(dataset, table=table.reset_index(drop=True))


def known_photographs(
    dataset: Dataset, known: Path, *, workers: int | None = None, progress: Progress | None = None
) -> NDArray[np.bool_]:
    """Tells which photographs show a lesion of which the known dataset has a picture.

    Args:
        dataset: all or some of the photographs of a dataset folder.
        known, workers, progress: as in `adopt_lesions`.

    Returns:
        bool (N,), in the order of the dataset's table.

    Raises:
        DatasetError: `known` is not there or is the same dataset.
    """
    own, other = read_audit_sets([dataset.folder, known])
    images = set(dataset.table["image"])
    own = replace(own, rows=tuple(row for row in own.rows if row.image in images))
    audit = run_audit([own, other], workers=workers, progress=progress)
    places, others = audit.places_of
    shared = set(audit.lesions[others].tolist())
    found = {audit.pictures[place].row.image for place in places if int(audit.lesions[place]) in shared}
    return dataset.table["image"].isin(found).to_numpy()
