"""A run, or the folds of a recipe, measured on validation pictures: what it answers and how well. Ranks nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from derm_core.errors import ConfigError
from derm_core.evaluation.metrics import evaluate_probabilities
from derm_core.experiments.candidate import Candidate, Progress, answer_split, probability_table
from derm_core.experiments.comparison import Comparison
from derm_core.experiments.cost import Cost, network_cost
from derm_core.experiments.folds import valid_pictures
from derm_core.serving.bundle import Bundle
from derm_core.serving.prediction import Prediction

LOWER_IS_BETTER = ("ece", "brier")


@dataclass(frozen=True)
class RankedRun:
    """A run's best epoch, or the average of several, on the validation split: the metric with its 95% interval.

    `image_size` is the side in pixels at which the network saw the pictures; the interval is over lesions. `seconds`
    is the median time of an answer on this machine, decoding included. `versus_best` compares it with the first of the
    ranking, which itself has none. `fold_epochs` are the epochs of the runs where they are folds of one recipe, each on
    its own validation split; empty where they are not.
    """

    runs: tuple[Path, ...]
    name: str
    epoch: int
    image_size: int
    metric: str
    value: float
    ci95: tuple[float, float]
    lesions: int
    architecture: str
    cost: Cost
    seconds: float = field(compare=False)
    versus_best: Comparison | None = field(default=None, compare=False)
    fold_epochs: tuple[int, ...] = ()

    @property
    def tied(self) -> bool:
        """Whether it is the first of the ranking or cannot be told apart from it at 95%."""
        return self.versus_best is None or not self.versus_best.told_apart


@dataclass(frozen=True)
class MeasuredRun:
    """What was answered to the validation pictures, in the order of the dataset.

    Attributes:
        entry: the figures of the ranking, compared with nothing yet.
        probabilities: float64 (N, C).
        malignant: C flags.
        labels: int64 (N,), class indices.
        lesions: str (N,).
    """

    entry: RankedRun
    probabilities: np.ndarray
    malignant: tuple[bool, ...]
    labels: np.ndarray
    lesions: np.ndarray

    @property
    def order(self) -> tuple[float, Cost]:
        """What sorts the best first, and of equals the cheapest."""
        sign = 1 if self.entry.metric in LOWER_IS_BETTER else -1
        return sign * self.entry.value, self.entry.cost


def measure(parts: Sequence[Candidate], metric: str, progress: Progress | None) -> MeasuredRun:
    """Asks each of the parts about its own validation pictures, and measures the answers of all together.

    Args:
        parts: a run, or the runs of one recipe over several folds.
        metric: a figure of evaluation that has an interval.
        progress: wraps the answers of a part and their number.

    Raises:
        ConfigError: the metric cannot be computed on these pictures.
    """
    last, subsets = parts[-1], [valid_pictures(part) for part in parts]
    answers: list[Prediction] = []
    for part, subset in zip(parts, subsets, strict=True):
        description = part.describe(name=part.config.name, version="0")
        answers += answer_split(part.predictor(description), subset, progress)
    images = np.concatenate([subset.table["image"] for subset in subsets])
    order = np.argsort(pd.Index(last.dataset.table["image"]).get_indexer(images))
    probabilities = probability_table(answers)[order]
    labels = np.concatenate([last.labels(subset) for subset in subsets])[order]
    lesions = np.concatenate([subset.lesions for subset in subsets])[order]
    figures = evaluate_probabilities(
        labels,
        probabilities,
        classes=last.classes,
        malignant=description.malignant,
        lesions=lesions,
        operating_threshold=None,
    )
    if figures["ci95"].get(metric) is None:
        known = ", ".join(name for name, interval in figures["ci95"].items() if interval is not None)
        raise ConfigError(
            f"{metric!r} cannot be computed on the validation split of {last.runs[-1]}. What can: {known}."
        )
    low, high = figures["ci95"][metric]
    network = Bundle(last.runs[-1], description, last.state).build_model()
    entry = RankedRun(
        tuple(run for part in parts for run in part.runs),
        last.config.name,
        last.epoch,
        last.image_size,
        metric,
        figures[metric],
        (low, high),
        figures["lesions"],
        last.config.model.architecture,
        network_cost(network, last.image_size, description.views),
        median(answer.seconds for answer in answers),
        fold_epochs=tuple(part.epoch for part in parts) if len(parts) > 1 else (),
    )
    return MeasuredRun(entry, probabilities, tuple(description.malignant), labels, lesions)
