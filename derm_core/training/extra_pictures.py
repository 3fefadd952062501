"""Pictures of a second dataset, learnt from beside the first: some perhaps known only as benign or malignant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from derm_core.data.sampling import limit_by_class
from derm_core.data.split_names import split_names
from derm_core.data.table import Dataset, load_dataset
from derm_core.diagnoses import Task, get_diagnosis, get_task
from derm_core.errors import ConfigError
from derm_core.training.sections import RunConfig

SIDES = ("benign", "malignant")
"""Labels behind those of the task's classes: a picture of which no more is known."""


@dataclass(frozen=True)
class ExtraPictures:
    """The pictures of the second dataset that may be learnt from.

    Attributes:
        dataset: those pictures.
        labels: int64 (N,); an index of the task's C classes, or C for benign and C + 1 for malignant.
    """

    dataset: Dataset
    labels: np.ndarray


def open_extra(config: RunConfig, dataset: Dataset) -> ExtraPictures | None:
    """Returns the pictures that `data.extra` adds to the training split; None where it names no dataset.

    Of the second dataset, the pictures of the split of the same name are taken. One of a lesion that the first dataset
    knows has that lesion's diagnosis, and is left out unless the lesion is one to train on; so no lesion that is
    validated or tested on is learnt from. Other pictures have their own diagnosis, or their side where the task does
    not tell more.

    Args:
        config: the settings.
        dataset: the whole first dataset.

    Raises:
        ConfigError: the second dataset has no picture to add.
        DatasetError: it cannot be read, or has no such split.
    """
    if not config.data.extra:
        return None
    task, split = get_task(config.data.task), config.data.train_split
    known = dataset.table.drop_duplicates("lesion_id").set_index("lesion_id")
    known = known[known.index != ""]
    extra = limit_by_class(load_dataset(Path(config.data.extra)).subset(split), config.data.limit)
    labels = []
    for lesion, diagnosis in zip(extra.table["lesion_id"], extra.table["diagnosis"], strict=True):
        if lesion not in known.index:
            labels.append(_label(task, diagnosis))
        elif known.at[lesion, "split"] in split_names(split):
            labels.append(task.index_of(known.at[lesion, "diagnosis"]))
        else:
            labels.append(None)
    kept = np.array([label is not None for label in labels])
    if not kept.any():
        raise ConfigError(
            f"data.extra is {config.data.extra!r}, which has no picture to add to {dataset.folder}: its lesions are "
            "validated or tested on there, or of no class of the task. Name another dataset, or none."
        )
    table = extra.table[kept].reset_index(drop=True)
    return ExtraPictures(
        replace(extra, table=table),
        np.array([label for label in labels if label is not None], dtype=np.int64),
    )


def side_members(task: Task) -> np.ndarray:
    """Returns bool (2, C): which classes of the task are benign, and which malignant."""
    malignant = np.array([get_diagnosis(code).malignant for code in task.classes])
    return np.stack([~malignant, malignant])


def _label(task: Task, diagnosis: str) -> int | None:
    index = task.index_of(diagnosis)
    if index is None and diagnosis in SIDES:
        return len(task.classes) + SIDES.index(diagnosis)
    return index
