"""Measures explanation methods on photographs whose lesions experts outlined, with intervals over lesions.

What each figure is stands in derm_core.explanation: localisation.py, curves.py, sanity.py. All methods explain the most
probable diagnosis of the same photographs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derm_core.data.table import Dataset
from derm_core.diagnoses import Task
from derm_core.errors import DatasetError
from derm_core.evaluation.intervals import REPLICATES, bootstrap_over_lesions, percentile_interval
from derm_core.explanation.curves import curve_areas
from derm_core.explanation.localisation import centre_map, energy_inside, peak_inside, uniform_map
from derm_core.explanation.masks import LesionMasks
from derm_core.serving.attribution import Attributor
from derm_core.serving.map_stability import measure_map_stability
from derm_core.serving.preparation import PreparedPicture, place, prepare
from derm_core.serving.sanity_checks import Progress, check_sanity

BASELINES: Mapping[str, Callable[[int, int], NDArray[np.float32]]] = {
    "centre": centre_map,
    "uniform": uniform_map,
}
"""Maps that know nothing of the picture, measured beside the methods."""
MEASURES = ("energy", "pointing", "deletion", "insertion")


@dataclass
class _Rows:
    """What was measured of one method: a value a photograph for each measure, and the seconds that its maps took."""

    values: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})
    seconds: list[float] = field(default_factory=list)


def choose_photographs(dataset: Dataset, task: Task, masks: LesionMasks, limit: int | None = None) -> Dataset:
    """Returns the photographs of a task that have an outline; of more than `limit`, each diagnosis keeps its share.

    Raises:
        DatasetError: none has.
    """
    table = dataset.for_task(task).table
    table = table[[name in masks for name in table["image"]]]
    if table.empty:
        raise DatasetError(
            f"No photograph of {dataset.folder} has a mask in {masks.place}. Name its own masks."
        )
    if limit is not None and limit < len(table):
        # Every diagnosis in turn by its share: the k-th of n photographs stands at (k + 1/2) / n of the way.
        place_within = table.groupby("diagnosis").cumcount() + 0.5
        count = table.groupby("diagnosis")["image"].transform("size")
        table = table.loc[(place_within / count).sort_values(kind="stable").index[:limit]].sort_index()
    return replace(dataset, table=table.reset_index(drop=True))


def measure_methods(
    attributor: Attributor,
    dataset: Dataset,
    masks: LesionMasks,
    *,
    methods: Sequence[str],
    task: Task,
    classes: Sequence[str],
    sanity_photographs: int = 8,
    bootstrap: int = REPLICATES,
    seed: int = 0,
    progress: Progress = lambda indices, total, what: indices,
) -> dict[str, Any]:
    """Measures methods, and the BASELINES, on all photographs of a dataset.

    Args:
        attributor: of the model.
        dataset: as choose_photographs gives it.
        masks: holds an outline of each photograph.
        methods: names of METHODS that suit the network.
        task: the model's.
        classes: the model's own, in order.
        sanity_photographs: on how many of them, spread over the dataset, the sanity checks are made; 0 for none.
        bootstrap: how many sets of lesions are drawn for the intervals.
        seed: of all draws.
        progress: wraps indices, of which it is told the number and what is done with them.

    Returns:
        `n`, `lesions`, and `methods`: for each, `energy`, `pointing`, `deletion`, `insertion` (means over photographs),
        `ci95` of these by bootstrap over lesions, `energy_beyond_centre` [low, high] (the interval of the difference to
        the map "centre" on the same photographs), `undefined` (how many maps were all zeros), `seconds` (median) and
        `predictions` (that in plain passes of the same photographs). With the sanity checks also what `check_sanity`
        returns, and on the same photographs `map_stability`, as measure_map_stability returns it.
    """
    pictures = [_prepared(attributor, dataset, index) for index in range(len(dataset))]
    rows = {name: _Rows() for name in (*methods, *BASELINES)}
    passes: list[float] = []
    tops: list[int] = []
    for index in progress(range(len(dataset)), len(dataset), "measuring"):
        picture = pictures[index]
        started = time.perf_counter()
        tops.append(int(attributor.logits(picture.pixels[None])[0].argmax()))
        passes.append(time.perf_counter() - started)
        mask = masks.mask(dataset.table["image"].iloc[index], picture.size)
        for name, heatmap, seconds in _maps(attributor, picture, tops[-1], methods):
            rows[name].seconds.append(seconds)
            measured = _measured(attributor, picture, heatmap, mask, tops[-1], seed)
            for measure, value in zip(MEASURES, measured, strict=True):
                rows[name].values[measure].append(value)
    plain = float(np.median(passes))
    figures: dict[str, Any] = {
        "n": len(dataset),
        "lesions": len(set(dataset.lesions)),
        "bootstrap": {"replicates": bootstrap, "seed": seed},
        "methods": {
            name: _summary(rows[name], rows["centre"], dataset.lesions, plain, bootstrap=bootstrap, seed=seed)
            for name in rows
        },
    }
    if sanity_photographs:
        pixels = np.stack([picture.pixels for picture in pictures])
        figures["map_stability"] = measure_map_stability(
            attributor, pixels, photographs=sanity_photographs, methods=methods, progress=progress
        )
        figures |= check_sanity(
            attributor,
            pixels,
            [classes.index(task.labels[code]) for code in dataset.table["diagnosis"]],
            photographs=sanity_photographs,
            methods=methods,
            seed=seed,
            progress=progress,
        )
    return figures


def _prepared(attributor: Attributor, dataset: Dataset, index: int) -> PreparedPicture:
    return prepare(dataset.image_path(index), attributor.preprocessing, attributor.description.quality)


def _maps(
    attributor: Attributor, picture: PreparedPicture, top: int, methods: Sequence[str]
) -> Iterator[tuple[str, NDArray[np.float32], float]]:
    """Yields name, map (h, w) over the network's input, and seconds."""
    for name in methods:
        started = time.perf_counter()
        heatmap = attributor.heatmap(picture.pixels, top, name)
        yield name, heatmap, time.perf_counter() - started
    side = attributor.preprocessing.image_size
    for name, draw in BASELINES.items():
        yield name, draw(side, side), 0.0


def _measured(
    attributor: Attributor,
    picture: PreparedPicture,
    heatmap: NDArray[np.float32],
    mask: NDArray[np.bool_],
    top: int,
    seed: int,
) -> tuple[float, float, float, float]:
    placed = place(heatmap, attributor.preprocessing, picture.size, None)

    def probability(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        logits = attributor.logits(pixels).astype(np.float64)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        share: NDArray[np.float64] = shares[:, top] / shares.sum(axis=1)
        return share

    over_input = attributor.preprocessing.place_heatmap(heatmap, *picture.pixels.shape[:2])
    areas = curve_areas(picture.pixels, over_input, probability, seed=seed)
    return energy_inside(placed, mask), peak_inside(placed, mask), areas.deletion, areas.insertion


def _summary(
    rows: _Rows, centre: _Rows, lesions: np.ndarray, plain: float, *, bootstrap: int, seed: int
) -> dict[str, Any]:
    columns = {name: np.array(values) for name, values in rows.values.items()}
    beyond = columns["energy"] - np.array(centre.values["energy"])

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {
            name: _weighted_mean(values, weights) for name, values in (columns | {"beyond": beyond}).items()
        }

    drawn = bootstrap_over_lesions(lesions, statistics, replicates=bootstrap, seed=seed)
    once = np.ones((1, len(lesions)))
    means = {name: float(_weighted_mean(values, once)[0]) for name, values in columns.items()}
    seconds = float(np.median(rows.seconds))
    return {name: _or_none(value) for name, value in means.items()} | {
        "ci95": {name: percentile_interval(drawn[name], value) for name, value in means.items()},
        "energy_beyond_centre": percentile_interval(drawn["beyond"], float(_weighted_mean(beyond, once)[0])),
        "undefined": int(np.isnan(columns["energy"]).sum()),
        "seconds": seconds,
        "predictions": seconds / plain,
    }


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of (N,) for each weighting (B, N), without the values that are NaN; NaN where no other is left."""
    known = np.isfinite(values)
    total = weights[:, known].sum(axis=1)
    sums = weights[:, known] @ values[known]
    return np.divide(sums, total, out=np.full(len(weights), np.nan), where=total > 0)


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
