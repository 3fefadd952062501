"""Measures an index of similar cases on photographs of other lesions, beside what needs no network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derm_core.ahead import run_ahead
from derm_core.data.table import Dataset
from derm_core.errors import DatasetError, InvalidImageError
from derm_core.evaluation.intervals import REPLICATES
from derm_core.evaluation.retrieval import AT, chance_precision, precision_at, precision_figures
from derm_core.serving.decoding import decode
from derm_core.serving.similar_cases import SimilarCases, unit_vectors

if TYPE_CHECKING:
    from pathlib import Path

    from derm_core.serving.predictor import Predictor

LEVELS = 8
"""Levels of each channel in a colour histogram."""

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]


def measure_similar_cases(
    index: SimilarCases,
    predictor: Predictor,
    dataset: Dataset,
    *,
    split: str,
    confirmed_only: bool = True,
    bootstrap: int = REPLICATES,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Asks the index about every photograph of a split, its own lesion left out, and counts the right diagnoses.

    Two baselines stand beside it: cases drawn at random, and those with the most similar colours (cosine of the square
    roots of colour histograms, which is the Bhattacharyya coefficient). The second is left out where the indexed
    photographs are not in the dataset's folder.

    Args:
        index: made with the predictor's model.
        predictor: sees the photographs of the split.
        dataset: the photographs to ask about, and for the colours those of the index.
        split: of the dataset.
        confirmed_only: as in `SimilarCases.query`; of the split, too, only confirmed photographs are asked about then.
        bootstrap, seed: how many sets of lesions are drawn for the intervals, and the seed of the draw.
        progress: wraps the loops over photographs; it is told their number and what is done.

    Returns:
        Plain values: `n`, `lesions`, `index` {photographs, lesions}, `model`, `data`, and under `network`, `colours`
        (None where left out) and `chance` what `precision_figures` returns, by k.

    Raises:
        DatasetError: there is no such split or nothing to ask about in it, or a photograph cannot be read.
    """
    asked, cases = dataset.subset(split), index.cases
    if confirmed_only:
        asked = replace(asked, table=asked.table[asked.table["confirmed_by"] != ""].reset_index(drop=True))
        cases = cases[cases["confirmed_by"] != ""]
    if not len(asked):
        raise DatasetError(
            f"{dataset.folder} has no confirmed photograph in {split!r}. Fill in the column confirmed_by, or measure "
            "unconfirmed cases as well."
        )
    truth, paths = list(asked.table["diagnosis"]), [asked.image_path(row) for row in range(len(asked))]

    def figures(precision: NDArray[np.float64], names: Sequence[str]) -> dict[str, Any]:
        return precision_figures(
            precision, truth, asked.lesions, names=names, replicates=bootstrap, seed=seed
        )

    def measured(searched: SimilarCases, seen: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
        found = [
            searched.query(vector, k=max(AT), lesion_id=lesion, confirmed_only=confirmed_only)
            for vector, lesion in zip(seen, asked.lesions, strict=True)
        ]
        precision = precision_at(truth, [[case.diagnosis for case in row] for row in found])
        return figures(precision, [str(k) for k in AT])

    network = measured(index, _each(predictor.features, paths, progress, "looking at photographs"))
    indexed = [dataset.folder / path for path in index.cases["image_path"]]
    colours = None
    if all(path.is_file() for path in indexed):
        side = predictor.description.preprocessing.decoding_side

        def histogram(path: Path) -> NDArray[np.float32]:
            return colour_histogram(np.asarray(decode(path, min_side=side).image))

        vectors = np.stack(_each(histogram, indexed, progress, "counting colours of the index"))
        by_colour = replace(index, vectors=unit_vectors(vectors))
        colours = measured(by_colour, _each(histogram, paths, progress, "counting colours"))
    shares = cases.drop_duplicates("lesion")["diagnosis"].value_counts(normalize=True).to_dict()
    return {
        "n": len(asked),
        "lesions": len(set(asked.lesions)),
        "confirmed_only": confirmed_only,
        "index": {"photographs": len(cases), "lesions": int(cases["lesion"].nunique()), **index.data},
        "model": dict(index.model),
        "data": {
            "name": dataset.folder.resolve().name,
            "split": split,
            "fingerprint": dataset.fingerprint(),
        },
        "bootstrap": {"replicates": bootstrap, "seed": seed},
        "network": network,
        "colours": colours,
        "chance": figures(chance_precision(truth, shares), ["any"]),
    }


def colour_histogram(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns float32 (LEVELS**3,): the share of pixels, uint8 (H, W, 3), in each cell of RGB."""
    level = pixels // (256 // LEVELS)
    cells = (level[..., 0].astype(np.intp) * LEVELS + level[..., 1]) * LEVELS + level[..., 2]
    counts = np.bincount(cells.ravel(), minlength=LEVELS**3)
    shares: NDArray[np.float32] = (counts / counts.sum()).astype(np.float32)
    return shares


def _each(
    work: Callable[[Path], NDArray[np.float32]],
    paths: Sequence[Path],
    progress: Progress | None,
    doing: str,
) -> list[NDArray[np.float32]]:
    """Works on photographs in threads; raises DatasetError for one that cannot be read."""

    def attempt(path: Path) -> NDArray[np.float32]:
        try:
            return work(path)
        except InvalidImageError as err:
            raise DatasetError(f"{path} cannot be measured: {err}") from err

    workers = os.cpu_count() or 1
    with closing(run_ahead(attempt, paths, workers=workers, ahead=2 * workers)) as ready:
        return list(progress(ready, len(paths), doing) if progress else ready)
