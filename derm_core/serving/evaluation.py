"""Measures a predictor on a dataset, through the very path that serves. Computes no figure itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from derm_core.data.acquisition import acquisition_of
from derm_core.data.table import Dataset
from derm_core.diagnoses import DIAGNOSES, Task, get_task
from derm_core.errors import DatasetError
from derm_core.evaluation.intervals import REPLICATES
from derm_core.evaluation.malignancy import Figures
from derm_core.evaluation.metrics import evaluate_malignancy, evaluate_probabilities
from derm_core.evaluation.subgroups import subgroups_of
from derm_core.images import load_image
from derm_core.serving.answer_figures import figures_of_answers
from derm_core.serving.context import contexts_of
from derm_core.serving.prediction import ADVICE, Prediction

if TYPE_CHECKING:
    from derm_core.serving.predictor import Predictor

ALL = "all"
"""The name of no split: every photograph of the dataset."""
MALIGNANCY_ONLY = "malignancy only"
"""`scope` where the dataset says no more than benign or malignant of what the model tells apart further."""

Progress = Callable[[Iterable[Prediction], int], Iterable[Prediction]]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What a predictor answered to the photographs that were measured.

    Attributes:
        figures: what `evaluate_predictor` measured of them.
        labels: int64 (N,), index into the classes; None where the malignancy alone was measured.
        probabilities: float64 (N, C), in the order of the classes.
        risk: float64 (N,), the probability of malignancy.
        malignant: bool (N,), the truth.
        lesions: str (N,).
    """

    figures: Figures
    labels: np.ndarray | None
    probabilities: np.ndarray
    risk: np.ndarray
    malignant: np.ndarray
    lesions: np.ndarray


def evaluate_predictor(
    predictor: Predictor,
    dataset: Dataset,
    *,
    split: str = "test",
    batch_size: int = 32,
    bootstrap: int = REPLICATES,
    seed: int = 0,
    use_context: bool = True,
    progress: Progress | None = None,
) -> Evaluated:
    """Asks the predictor about every photograph of a split and measures the answers.

    Photographs whose diagnosis the model's task leaves out are left out and counted. Where that would be all of them
    (a benign/malignant dataset and a model of seven diagnoses), the risk of malignancy alone is measured, and figures
    over classes are None.

    Where the model has learnt to use age, sex and body site, and the dataset knows any of them, the answers use them,
    and what the photographs alone give is measured beside that.

    Args:
        predictor: answers through `predict_many`.
        dataset: the whole dataset; its fingerprint is noted.
        split: one of the dataset's splits, or "all".
        batch_size: pictures per pass of the network.
        bootstrap: how many sets of lesions are drawn for the intervals.
        seed: of the draw.
        use_context: False for the photographs alone.
        progress: wraps the answers, of which it is told the number, to show how far it is.

    Returns:
        The answers, whose `figures` have the keys of `derm_core.evaluation.metrics.KEYS` and of
        `derm_core.serving.answer_figures.ADDED`, and: `scope` ("classes" or "malignancy only"), `left_out` (how many
        photographs), `context` (of how many photographs the answers used age, sex or site), `photograph_alone` (all of
        this without them; None where `context` is 0), `advice` (how many times each was given), `model` {name, version,
        sha256, task} and `data` {name, split, fingerprint}.

    Raises:
        DatasetError: the dataset has no such split.
        ConfigError: the model's task is not known.
        InvalidImageError: a photograph cannot be read.
    """
    task = get_task(predictor.description.task)
    part = dataset if split == ALL else dataset.subset(split)
    by_class, measured = _measurable(part, task)
    model = predictor.description.context if use_context else None
    contexts = contexts_of(measured) if model else []
    known = sum(bool(model.uses(context)) for context in contexts) if model else 0
    paths = (measured.image_path(index) for index in range(len(measured)))
    answers: Iterable[Prediction] = predictor.predict_many(
        paths, contexts=contexts if known else (), batch_size=batch_size
    )
    predictions = list(progress(answers, len(measured)) if progress else answers)
    first, description = predictions[0], predictor.description
    draw: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
    point = description.context_operating_point if known else description.operating_point
    taken = [acquisition_of(load_image(measured.image_path(index))) for index in range(len(measured))]
    groups = subgroups_of(measured.table, taken)
    about: dict[str, Any] = {
        "classes": list(predictor.classes),
        "lesions": measured.lesions,
        "operating_threshold": point.threshold,
        "operating_name": description.default_operating_point,
        "groups": groups,
    }
    risk = np.array([prediction.malignant_probability for prediction in predictions])
    malignant = np.array([DIAGNOSES[code].malignant for code in measured.table["diagnosis"]])
    labels = _labels(measured, task, predictor.classes) if by_class else None
    probabilities = np.array(
        [[prediction.probabilities[code] for code in predictor.classes] for prediction in predictions]
    )
    if labels is not None:
        figures = evaluate_probabilities(
            labels,
            probabilities,
            malignant=[DIAGNOSES[code].malignant for code in predictor.classes],
            malignant_probability=risk,
            **about,
            **draw,
        )
    else:
        figures = evaluate_malignancy(malignant, risk, **about, **draw)
    figures |= figures_of_answers(
        description,
        predictions,
        is_malignant=malignant,
        labels=labels,
        lesions=measured.lesions,
        groups=groups,
        with_context=bool(known),
        **draw,
    )
    alone = None
    if known:
        alone = evaluate_predictor(
            predictor,
            dataset,
            split=split,
            batch_size=batch_size,
            **draw,
            use_context=False,
            progress=progress,
        ).figures
    figures |= {
        "context": known,
        "photograph_alone": alone,
        "scope": "classes" if by_class else MALIGNANCY_ONLY,
        "left_out": len(part) - len(measured),
        "advice": {name: sum(prediction.advice == name for prediction in predictions) for name in ADVICE},
        "model": {
            "name": first.model_name,
            "version": first.model_version,
            "sha256": first.model_sha256,
            "task": task.name,
        },
        "data": {"name": dataset.folder.resolve().name, "split": split, "fingerprint": dataset.fingerprint()},
    }
    return Evaluated(figures, labels, probabilities, risk, malignant, measured.lesions)


def _measurable(part: Dataset, task: Task) -> tuple[bool, Dataset]:
    """Returns whether there are photographs with a class of the task, and those; otherwise all photographs."""
    if not len(part):
        raise DatasetError(f"{part.folder} has no photograph to measure on.")
    known = part.table["diagnosis"].isin(list(task.labels))
    if not known.any():
        return False, part
    return True, replace(part, table=part.table[known].reset_index(drop=True))


def _labels(dataset: Dataset, task: Task, classes: Iterable[str]) -> np.ndarray:
    """Returns int64 (N,): index into the bundle's own classes, whatever order the task lists them in."""
    columns = {code: column for column, code in enumerate(classes)}
    return np.array([columns[task.labels[code]] for code in dataset.table["diagnosis"]], dtype=np.int64)
