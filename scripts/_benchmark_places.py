"""Fresh copies of a dataset's pictures for a contest, where nothing is cached yet. Decodes none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
from _benchmark_sides import PICTURES

from derm_core.data.sampling import limit_by_class
from derm_core.data.table import Dataset, write_dataset
from derm_core.diagnoses import get_task
from derm_core.errors import ConfigError
from derm_core.training.sections import RunConfig
from derm_core.training.sources import select_pictures

PEERS_PLACE = "peers"


@contextmanager
def places_of(
    dataset: Dataset, config: RunConfig, pictures: int, ours: Sequence[str]
) -> Iterator[tuple[dict[str, Path], dict[str, int]]]:
    """Copies the pictures to where nothing is cached yet: for each of our sides, and by class for the peers."""
    train, valid = (select_pictures(dataset, config, split) for split in ("train", "val"))
    if pictures and pictures < len(train):
        share = pictures / len(train)
        train, valid = (
            limit_by_class(train, pictures),
            limit_by_class(valid, max(1, round(share * len(valid)))),
        )
    batch = config.training.batch_size
    if len(train) < batch:
        raise ConfigError(
            f"There are {len(train)} training pictures, fewer than a batch of {batch}. Raise --pictures, or name a "
            "larger dataset."
        )
    counts = {"training_pictures": len(train), "validation_pictures": len(valid)}
    chosen = replace(train, table=pd.concat([train.table, valid.table], ignore_index=True))
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        places = {side: Path(folder) / str(number) for number, side in enumerate(ours)}
        for place in places.values():
            contents = (chosen.image_path(index).read_bytes() for index in range(len(chosen)))
            write_dataset(place / PICTURES, chosen.table, contents)
        places[PEERS_PLACE] = Path(folder) / PEERS_PLACE
        _sort_by_class(chosen, config, places[PEERS_PLACE])
        yield places, counts


def _sort_by_class(dataset: Dataset, config: RunConfig, folder: Path) -> None:
    task = get_task(config.data.task)
    names = [f"{index:02d}-{code}" for index, code in enumerate(task.classes)]
    for split in ("train", "val"):
        for name in names:
            (folder / split / name).mkdir(parents=True)
    for index, label in enumerate(dataset.labels(task)):
        path = dataset.image_path(index)
        split = dataset.table["split"].iloc[index]
        shutil.copyfile(path, folder / split / names[label] / f"{index:06d}{path.suffix}")
