"""Makes a run into a model bundle: calibrated on validation pictures, measured on test pictures. Ranks nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from derm_core.data.table import Dataset
from derm_core.errors import ConfigError
from derm_core.evaluation.calibration import fit_temperature, operating_threshold
from derm_core.evaluation.malignancy import measure_operating_point
from derm_core.experiments.candidate import (
    Candidate,
    Progress,
    answer_split,
    data_name,
    open_average,
    probability_table,
)
from derm_core.experiments.context_fitting import fit_context_model, fit_weight
from derm_core.serving.bundle import check_free, save_bundle
from derm_core.serving.context import ContextModel, contexts_of
from derm_core.serving.description import BundleDescription, OperatingPoint
from derm_core.serving.evaluation import evaluate_predictor
from derm_core.serving.model_card import write_model_card
from derm_core.serving.predictor import Predictor

SENSITIVITIES = (0.95, 0.90)
"""Operating points that a bundle carries; advice follows the first."""


def make_bundle(
    runs: Sequence[Path],
    dataset: Dataset,
    folder: Path,
    *,
    name: str,
    version: str,
    image_size: int | None = None,
    origin: str = "",
    evaluate_command: str = "",
    test_split: str = "test",
    half: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> BundleDescription:
    """Makes a model bundle of a run's best epoch, or of the average of several runs.

    Temperature and operating points are set on the last run's validation split, through the predictor itself, so that
    what is rounded when the weights are stored is rounded there too. Where the data knows age, sex or body site, the
    bundle learns to use them, with operating points of their own. Figures come from the test split, where the
    dataset has one.

    Args:
        runs: the run folder, or several whose weights are averaged; or the last.pt in them.
        dataset: what it was trained on.
        folder: where the bundle goes.
        name, version: how answers name the model.
        image_size: the side in pixels at which the network sees pictures; None for that of its training.
        origin: where the weights come from; default: the recipe and what it started from.
        evaluate_command: how the card tells readers to make the figures again.
        test_split: read once, after everything is set.
        half: store kernels and matrices as float16.
        overwrite: replace a bundle in `folder`.
        progress: wraps the answers and their number, to show how far it is.

    Raises:
        ConfigError: as open_average; or the validation split holds no malignant picture.
        CheckpointError: as open_average.
        BundleError: the folder exists.
    """
    check_free(folder, overwrite=overwrite)
    candidate = open_average(runs, dataset, image_size=image_size)
    description = candidate.describe(name=name, version=version, origin=origin)
    temperature = _fit_temperature(candidate, candidate.predictor(description, half=half), progress)
    description = replace(description, temperature=temperature)
    points = _operating_points(candidate, candidate.predictor(description, half=half), test_split, progress)
    description = replace(description, operating_points=points, default_operating_point=points[0].name)
    context = _fit_context(candidate, candidate.predictor(description, half=half), progress)
    if context is not None:
        description = replace(description, context=context)
        predictor = candidate.predictor(description, half=half)
        with_context = _operating_points(candidate, predictor, test_split, progress)
        description = replace(description, context_operating_points=with_context)
    if test_split in set(dataset.table["split"]):
        predictor = candidate.predictor(description, half=half)
        metrics = evaluate_predictor(predictor, dataset, split=test_split, progress=progress)
        # The predictor was made of a bundle with the same weights: the description has its SHA-256.
        description = replace(predictor.description, metrics=metrics | {"command": evaluate_command})
    return save_bundle(
        folder,
        model_state=candidate.state,
        description=description,
        model_card=write_model_card(_plain(description)),
        half=half,
        overwrite=overwrite,
    )


def _fit_temperature(candidate: Candidate, predictor: Predictor, progress: Progress | None) -> float:
    subset = candidate.split(candidate.config.data.valid_split)
    probabilities = probability_table(answer_split(predictor, subset, progress))
    # Logits are known but for a constant a row, which softmax does not see.
    return fit_temperature(
        np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)), candidate.labels(subset)
    )


def _fit_context(
    candidate: Candidate, predictor: Predictor, progress: Progress | None
) -> ContextModel | None:
    train = candidate.split(candidate.config.data.train_split)
    model = fit_context_model(train, candidate.labels(train), len(candidate.classes))
    if model is None:
        return None
    valid = candidate.split(candidate.config.data.valid_split)
    contexts = contexts_of(valid)
    known = np.array([bool(model.uses(context)) for context in contexts])
    if not known.any():
        return None
    # Scaled by the temperature, and known but for a constant a row, which softmax does not see.
    probabilities = probability_table(answer_split(predictor, valid, progress))
    logits = predictor.description.temperature * np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    evidence = np.stack([model.evidence(context) for context in contexts])
    weight, temperature = fit_weight(logits[known], evidence[known], candidate.labels(valid)[known])
    return replace(model, weight=weight, temperature=temperature)


def _operating_points(
    candidate: Candidate, predictor: Predictor, measured_split: str, progress: Progress | None
) -> tuple[OperatingPoint, ...]:
    """Sets the thresholds on the validation split, and measures them on another where there is one."""
    valid_split, dataset = candidate.config.data.valid_split, candidate.dataset
    source = f"split of {data_name(dataset)}"
    chosen = _risks(candidate, predictor, valid_split, progress)
    if not chosen.malignant.any():
        raise ConfigError(
            f"The {valid_split} split of {dataset.folder} holds no malignant picture, so no operating point can be "
            "set. Split it anew with prepare_data."
        )
    if measured_split in set(dataset.table["split"]):
        seen = _risks(candidate, predictor, measured_split, progress)
        measured_on = f"{measured_split} {source}; the threshold was set on its {valid_split} split"
    else:
        seen, measured_on = chosen, f"{valid_split} {source}, on which the threshold was set"
    points = []
    for sensitivity in SENSITIVITIES:
        threshold = operating_threshold(chosen.risk, chosen.malignant, sensitivity)
        figures = measure_operating_point(seen.risk, seen.malignant, seen.lesions, threshold)
        points.append(
            OperatingPoint(
                name=f"sensitivity-{sensitivity:.2f}",
                threshold=threshold,
                sensitivity=figures["sensitivity"],
                specificity=figures["specificity"],
                sensitivity_ci95=_interval(figures["sensitivity_ci95"]),
                specificity_ci95=_interval(figures["specificity_ci95"]),
                lesions=figures["lesions"],
                photographs=figures["photographs"],
                measured_on=measured_on,
            )
        )
    return tuple(points)


@dataclass(frozen=True)
class _Risks:
    """risk: float64 (N,); malignant: bool (N,); lesions: str (N,)."""

    risk: np.ndarray
    malignant: np.ndarray
    lesions: np.ndarray


def _risks(candidate: Candidate, predictor: Predictor, split: str, progress: Progress | None) -> _Risks:
    subset = candidate.split(split)
    answers = answer_split(predictor, subset, progress, contexts=contexts_of(subset))
    return _Risks(
        np.array([answer.malignant_probability for answer in answers]),
        np.array(predictor.description.malignant)[candidate.labels(subset)],
        subset.lesions,
    )


def _interval(ends: list[float] | None) -> tuple[float, float] | None:
    return None if ends is None else (ends[0], ends[1])


def _plain(description: BundleDescription) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(description.to_json())
    return values
