"""From an inspected source to a dataset folder: who is left out, who goes into which split, what is written down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derm_core.data.inspection import KINDS, Inspection, Progress
from derm_core.data.source import Source, SourceRow
from derm_core.data.splits import check_folds, exact_shares, k_folds, split_by_lesion
from derm_core.data.table import COLUMNS, Dataset, write_dataset
from derm_core.errors import ConfigError

DEFAULT_SHARE = 0.2


@dataclass(frozen=True)
class SplitPlan:
    """How the lesions are to be split.

    With nothing given, the split that the source has is kept; where it has none, validation and test get a fifth each.
    `folds` replaces train, val and test. Where only one of `val` and `test` is given, the other stays what the source
    says, and is empty where it says nothing.
    """

    val: float | None = None
    test: float | None = None
    folds: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.folds is not None and (self.val is not None or self.test is not None):
            raise ConfigError("Folds take the place of val and test shares. Give one or the other.")
        exact_shares(val=self.val or 0.0, test=self.test or 0.0)
        if self.folds is not None:
            check_folds(self.folds)

    def assign(self, rows: Sequence[SourceRow]) -> tuple[np.ndarray, dict[str, Any]]:
        """Returns the split of each row, str (N,), and how it came about in plain values."""
        lesions = [row.lesion for row in rows]
        diagnoses = [row.diagnosis for row in rows]
        if self.folds is not None:
            splits = k_folds(lesions, diagnoses, folds=self.folds, seed=self.seed)
            return splits, {"folds": self.folds, "seed": self.seed}
        own = np.array([row.split for row in rows], dtype="<U5")
        if self.val is None and self.test is None:
            if all(row.split for row in rows):
                return own, {"kept": sorted(set(own.tolist()))}
            val = test = DEFAULT_SHARE
            stays = np.zeros(len(rows), dtype=bool)
        else:
            val, test = self.val or 0.0, self.test or 0.0
            stays = ((own == "val") & (self.val is None)) | ((own == "test") & (self.test is None))
        shared_out = np.flatnonzero(~stays)
        own[shared_out] = split_by_lesion(
            [lesions[i] for i in shared_out],
            [diagnoses[i] for i in shared_out],
            val=val,
            test=test,
            seed=self.seed,
        )
        kept = sorted(set(own[stays].tolist()))
        return own, {"val": val, "test": test, "seed": self.seed} | ({"kept": kept} if kept else {})


def prepare(
    source: Source,
    inspection: Inspection,
    out: str | Path,
    *,
    plan: SplitPlan | None = None,
    task: str = "",
    leave_out: Collection[str] = (),
    progress: Progress | None = None,
) -> Dataset:
    """Writes the dataset folder of a source whose pictures were inspected.

    Args:
        source: what a reader returned.
        inspection: of `source.rows`.
        out: must not exist yet; is either complete in the end or not there.
        plan: how to split; by default as `SplitPlan()` says.
        task: the name of the task that the source was restricted to, for the provenance.
        leave_out: the kinds of bad pictures (`inspection.KINDS`) to go on without.
        progress: as in `inspect_pictures`.

    Raises:
        DatasetError: pictures that are not left out are bad, or `out` exists.
        ConfigError: shares or folds that make no split, or a kind that is not known.
    """
    rows = inspection.accept(leave_out=leave_out)
    splits, split_provenance = (plan or SplitPlan()).assign(rows)
    provenance = {
        "source": source.name,
        "licence": source.licence,
        "task": task,
        "split": split_provenance,
        "left_out": {kind: len(found) for kind in KINDS if (found := inspection.of_kind(kind))},
    }
    contents: Iterable[bytes] = (row.file.read_bytes() for row in rows if row.file is not None)
    if progress is not None:
        contents = progress(contents, len(rows), "writing pictures")
    return write_dataset(out, _to_table(rows, splits), contents, provenance=provenance)


def _to_table(rows: Sequence[SourceRow], splits: np.ndarray) -> pd.DataFrame:
    values = [
        (row.image, row.diagnosis, row.lesion_id, row.age, row.sex, row.site, row.confirmed_by, split)
        for row, split in zip(rows, splits.tolist(), strict=True)
    ]
    return pd.DataFrame(values, columns=list(COLUMNS))
