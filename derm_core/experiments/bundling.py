"""Makes a run into a model bundle: calibrated on validation pictures, measured on test pictures. Ranks nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from derm_core.data.table import Dataset
from derm_core.evaluation.malignancy import Figures, measure_operating_point
from derm_core.experiments.calibrating import Certainty, calibrate
from derm_core.experiments.candidate import Candidate, Progress, data_name, open_average
from derm_core.experiments.reference_fitting import fit_reference
from derm_core.serving.bundle import check_free, save_bundle
from derm_core.serving.conformal import ConformalSets
from derm_core.serving.description import BundleDescription
from derm_core.serving.evaluation import evaluate_predictor
from derm_core.serving.model_card import write_model_card
from derm_core.serving.operating_point import OperatingPoint
from derm_core.serving.prediction import Prediction


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
    adjustment: float | None = 0.0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> BundleDescription:
    """Makes a model bundle of a run's best epoch, or of the average of several runs.

    Temperature, operating points and the thresholds of plausible diagnoses are set on the last run's validation split,
    through the predictor itself, so that what is rounded when the weights are stored is rounded there too. Where the
    data knows age, sex or body site, the bundle learns to use them, with thresholds of their own. What the training
    photographs are like is kept, so that pictures of other things are not answered. Figures come from the test split,
    where the dataset has one.

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
        adjustment: how far answers lean to rare diagnoses, from 0 for not at all
            (derm_core.evaluation.logit_adjustment); None chooses it on the validation split.
        overwrite: replace a bundle in `folder`.
        progress: wraps the answers and their number, to show how far it is.

    Raises:
        ConfigError: as open_average; or the validation split holds no malignant picture.
        CheckpointError: as open_average.
        DatasetError: the second dataset that the last run learnt from, its `data.extra`, cannot be read.
        BundleError: the folder exists.
    """
    check_free(folder, overwrite=overwrite)
    candidate = open_average(runs, dataset, image_size=image_size)
    description = candidate.describe(name=name, version=version, origin=origin)
    certainty = calibrate(candidate, description, half=half, adjustment=adjustment, progress=progress)
    reference = fit_reference(
        candidate.predictor(certainty.description, half=half),
        candidate.split(candidate.config.data.train_split),
        candidate.split(candidate.config.data.valid_split),
        extra=candidate.extra,
        progress=progress,
    )
    description = replace(
        certainty.description,
        reference_statistics=reference,
        training=dict(certainty.description.training) | _tried_adjustments(certainty),
    )
    certainty = replace(certainty, description=description)
    if test_split in set(dataset.table["split"]):
        predictor = candidate.predictor(description, half=half)
        metrics = evaluate_predictor(predictor, dataset, split=test_split, progress=progress).figures
        # The predictor was made of a bundle with the same weights: the description has its SHA-256.
        description = replace(
            _measured(predictor.description, metrics, _where(candidate, test_split)),
            metrics=metrics | {"command": evaluate_command},
        )
    else:
        description = _measured_where_set(certainty, _where(candidate, None))
    return save_bundle(
        folder,
        model_state=candidate.state,
        description=description,
        model_card=write_model_card(_plain(description)),
        half=half,
        overwrite=overwrite,
    )


def _tried_adjustments(certainty: Certainty) -> dict[str, str]:
    """Returns what leaning to rare diagnoses gave on the validation split, for the card; empty where none was tried."""
    if not certainty.adjustments:
        return {}
    tried = "; ".join(
        f"{one.strength:g}: accuracy {one.accuracy:.3f}, balanced {one.balanced_accuracy:.3f}, ECE {one.ece:.3f}"
        for one in certainty.adjustments
    )
    return {"logit adjustments on validation": tried}


def _measured(description: BundleDescription, metrics: Figures, measured_on: str) -> BundleDescription:
    """Returns the description with what an evaluation found at its operating points and of its sets.

    Answers that know of the patients are measured where the data knows any; what is of them stays empty elsewhere.
    """
    alone = metrics["photograph_alone"] or metrics
    told = metrics if metrics["context"] else None
    conformal = description.conformal
    if conformal is not None:
        conformal = replace(conformal, photograph=_measured_sets(conformal.photograph, alone, measured_on))
        if conformal.context is not None and told:
            conformal = replace(conformal, context=_measured_sets(conformal.context, told, measured_on))
    context_points = description.context_operating_points
    if told:
        context_points = _measured_points(context_points, told["operating_points"], measured_on)
    return replace(
        description,
        conformal=conformal,
        operating_points=_measured_points(
            description.operating_points, alone["operating_points"], measured_on
        ),
        context_operating_points=context_points,
    )


def _measured_where_set(certainty: Certainty, measured_on: str) -> BundleDescription:
    """Returns the description with the operating points as measured on the pictures that they were set on."""
    description = certainty.description

    def points(which: Sequence[OperatingPoint], answers: Sequence[Prediction]) -> tuple[OperatingPoint, ...]:
        risk = np.array([answer.malignant_probability for answer in answers])
        figures = [
            measure_operating_point(risk, certainty.malignant, certainty.valid.lesions, point.threshold)
            for point in which
        ]
        return _measured_points(which, figures, measured_on)

    return replace(
        description,
        operating_points=points(description.operating_points, certainty.alone),
        context_operating_points=points(description.context_operating_points, certainty.told),
    )


def _measured_points(
    points: Sequence[OperatingPoint], figures: Sequence[Figures], measured_on: str
) -> tuple[OperatingPoint, ...]:
    return tuple(
        replace(
            point,
            sensitivity=found["sensitivity"],
            specificity=found["specificity"],
            sensitivity_ci95=_interval(found["sensitivity_ci95"]),
            specificity_ci95=_interval(found["specificity_ci95"]),
            lesions=found["lesions"],
            photographs=found["photographs"],
            measured_on=measured_on,
        )
        for point, found in zip(points, figures, strict=True)
    )


def _measured_sets(sets: ConformalSets, metrics: Figures, measured_on: str) -> ConformalSets:
    return replace(sets, measured=metrics["plausible"] | {"measured_on": measured_on})


def _where(candidate: Candidate, measured_split: str | None) -> str:
    valid_split, source = candidate.config.data.valid_split, f"split of {data_name(candidate.dataset)}"
    if measured_split is None:
        return f"{valid_split} {source}, on which the threshold was set"
    return f"{measured_split} {source}; the threshold was set on its {valid_split} split"


def _interval(ends: list[float] | None) -> tuple[float, float] | None:
    return None if ends is None else (ends[0], ends[1])


def _plain(description: BundleDescription) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(description.to_json())
    return values
