"""Model selection: runs compared on validation pictures, and the chosen one made into a bundle. Trains nothing.

The test split is read once, after the choice, to measure what the bundle says of itself.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from derm_core.data.sampling import limit_by_class
from derm_core.data.table import Dataset
from derm_core.diagnoses import DIAGNOSES, get_task
from derm_core.errors import ConfigError
from derm_core.evaluation.calibration import fit_temperature, operating_threshold
from derm_core.evaluation.malignancy import measure_operating_point
from derm_core.evaluation.metrics import evaluate_probabilities
from derm_core.images import load_image
from derm_core.serving.bundle import save_bundle
from derm_core.serving.description import BundleDescription, OperatingPoint
from derm_core.serving.evaluation import evaluate_predictor
from derm_core.serving.model_card import write_model_card
from derm_core.serving.prediction import Prediction
from derm_core.serving.predictor import Predictor, load_predictor
from derm_core.training.checkpoint import load_best
from derm_core.training.config import RunConfig, changed_settings
from derm_core.training.run_folder import read_run_config

SENSITIVITIES = (0.95, 0.90)
"""Operating points that a bundle carries; advice follows the first."""
Progress = Callable[[Iterable[Prediction], int], Iterable[Prediction]]


@dataclass(frozen=True)
class RankedRun:
    """A run's best epoch on the validation split: the metric with its 95% interval over lesions."""

    run: Path
    name: str
    epoch: int
    metric: str
    value: float
    ci95: tuple[float, float]
    lesions: int


def rank_runs(
    runs: Sequence[Path], dataset: Dataset, metric: str, *, progress: Progress | None = None
) -> list[RankedRun]:
    """Returns the runs, best first, each by its best epoch's weights on its validation split.

    Raises:
        ConfigError: a folder is not a run's, a run was trained on other data, or the runs differ in their task.
        CheckpointError: a run has no whole best.pt.
    """
    configs = {run: _config_for(run, dataset) for run in runs}
    if len({config.data.task for config in configs.values()}) > 1:
        tasks = ", ".join(f"{run} ({config.data.task})" for run, config in configs.items())
        raise ConfigError(
            f"Runs of different tasks cannot be ranked together: {tasks}. Select within one task."
        )
    ranked = [_rank(run, config, dataset, metric, progress) for run, config in configs.items()]
    return sorted(ranked, key=lambda entry: entry.value, reverse=True)


def make_bundle(
    run: Path,
    dataset: Dataset,
    folder: Path,
    *,
    name: str,
    version: str,
    origin: str = "",
    evaluate_command: str = "",
    test_split: str = "test",
    half: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> BundleDescription:
    """Makes a model bundle of a run's best epoch.

    Temperature and operating points are set on the run's validation split, through the predictor itself, so that
    what is rounded when the weights are stored is rounded there too. Figures come from the test split, where the
    dataset has one.

    Args:
        run: the run folder.
        dataset: what it was trained on.
        folder: where the bundle goes.
        name, version: how answers name the model.
        origin: where the weights come from; default: the recipe and what it started from.
        evaluate_command: how the card tells readers to make the figures again.
        half: store kernels and matrices as float16.
        overwrite: replace a bundle in `folder`.
        progress: wraps the answers and their number, to show how far it is.

    Raises:
        ConfigError, CheckpointError: as rank_runs; or the validation split holds no malignant picture.
        DatasetError: a picture of the splits is missing.
        BundleError: the folder exists.
    """
    config = _config_for(run, dataset)
    best = load_best(run)
    description = _describe(run, config, dataset, best["epoch"], name, version, origin)
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch) / "bundle"
        save_bundle(trial, model_state=best["model"], description=description, half=half)
        temperature = _fitted_temperature(load_predictor(trial), config, dataset, progress)
        description = replace(description, temperature=temperature)
        save_bundle(trial, model_state=best["model"], description=description, half=half, overwrite=True)
        points = _operating_points(load_predictor(trial), config, dataset, test_split, progress)
        description = replace(description, operating_points=points, default_operating_point=points[0].name)
        save_bundle(trial, model_state=best["model"], description=description, half=half, overwrite=True)
        if test_split in set(dataset.table["split"]):
            metrics = evaluate_predictor(load_predictor(trial), dataset, split=test_split, progress=progress)
            description = replace(description, metrics=metrics | {"command": evaluate_command})
        written = save_bundle(
            trial, model_state=best["model"], description=description, half=half, overwrite=True
        )
    return save_bundle(
        folder,
        model_state=best["model"],
        description=written,
        model_card=write_model_card(_plain(written)),
        half=half,
        overwrite=overwrite,
    )


def _config_for(run: Path, dataset: Dataset) -> RunConfig:
    config, made = read_run_config(run)
    if made["data_fingerprint"] != dataset.fingerprint():
        raise ConfigError(
            f"{run} was trained on other data than {dataset.folder}: its validation pictures may be training pictures "
            "here. Give the dataset folder that it was trained on."
        )
    return config


def _rank(
    run: Path, config: RunConfig, dataset: Dataset, metric: str, progress: Progress | None
) -> RankedRun:
    best = load_best(run)
    description = _describe(run, config, dataset, best["epoch"], config.name, "0", "")
    with tempfile.TemporaryDirectory() as scratch:
        save_bundle(Path(scratch) / "bundle", model_state=best["model"], description=description, half=True)
        predictor = load_predictor(Path(scratch) / "bundle")
    subset, answers = _validation_answers(predictor, config, dataset, progress)
    figures = evaluate_probabilities(
        subset.labels(get_task(config.data.task)),
        _probabilities(answers),
        classes=description.classes,
        malignant=description.malignant,
        lesions=subset.lesions,
        operating_threshold=None,
    )
    if figures.get(metric) is None:
        known = ", ".join(key for key in figures["ci95"] if figures.get(key) is not None)
        raise ConfigError(
            f"{metric!r} cannot be computed on the validation split of {run}. What can: {known}."
        )
    low, high = figures["ci95"][metric]
    return RankedRun(
        run, config.name, best["epoch"], metric, figures[metric], (low, high), figures["lesions"]
    )


def _validation_answers(
    predictor: Predictor, config: RunConfig, dataset: Dataset, progress: Progress | None
) -> tuple[Dataset, list[Prediction]]:
    """Returns the validation pictures and what the predictor answers to each."""
    subset = limit_by_class(
        dataset.for_task(get_task(config.data.task)).subset(config.data.valid_split), config.data.limit
    )
    return subset, _answers(predictor, subset, progress)


def _answers(predictor: Predictor, subset: Dataset, progress: Progress | None) -> list[Prediction]:
    answers: Iterable[Prediction] = predictor.predict_many(
        subset.image_path(index) for index in range(len(subset))
    )
    return list(answers if progress is None else progress(answers, len(subset)))


def _probabilities(answers: Sequence[Prediction]) -> np.ndarray:
    """Returns float64 (N, C) in bundle order."""
    return np.array([list(answer.probabilities.values()) for answer in answers])


def _fitted_temperature(
    predictor: Predictor, config: RunConfig, dataset: Dataset, progress: Progress | None
) -> float:
    subset, answers = _validation_answers(predictor, config, dataset, progress)
    # Logits are known but for a constant a row, which softmax does not see.
    logits = np.log(np.maximum(_probabilities(answers), np.finfo(np.float64).tiny))
    return fit_temperature(logits, subset.labels(get_task(config.data.task)))


def _operating_points(
    predictor: Predictor, config: RunConfig, dataset: Dataset, measured_split: str, progress: Progress | None
) -> tuple[OperatingPoint, ...]:
    """Sets the thresholds on the validation split, and measures them on another where there is one."""
    source = f"split of {_data_name(dataset)}"
    chosen = _risks(predictor, *_validation_answers(predictor, config, dataset, progress))
    if not chosen.malignant.any():
        raise ConfigError(
            f"The {config.data.valid_split} split of {dataset.folder} holds no malignant picture, so no operating "
            "point can be set. Split it anew with prepare_data."
        )
    if measured_split in set(dataset.table["split"]):
        subset = dataset.for_task(get_task(config.data.task)).subset(measured_split)
        seen = _risks(predictor, subset, _answers(predictor, subset, progress))
        measured_on = (
            f"{measured_split} {source}; the threshold was set on its {config.data.valid_split} split"
        )
    else:
        seen, measured_on = chosen, f"{config.data.valid_split} {source}, on which the threshold was set"
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


def _risks(predictor: Predictor, subset: Dataset, answers: Sequence[Prediction]) -> _Risks:
    labels = subset.labels(get_task(predictor.description.task))
    return _Risks(
        np.array([answer.malignant_probability for answer in answers]),
        np.array(predictor.description.malignant)[labels],
        subset.lesions,
    )


def _interval(ends: list[float] | None) -> tuple[float, float] | None:
    return None if ends is None else (ends[0], ends[1])


def _describe(
    run: Path, config: RunConfig, dataset: Dataset, epoch: int, name: str, version: str, origin: str
) -> BundleDescription:
    _, made = read_run_config(run)
    classes = get_task(config.data.task).classes
    start = "ImageNet weights" if config.model.pretrained else "a random start"
    return BundleDescription(
        name=name,
        version=version,
        architecture=config.model.architecture,
        task=config.data.task,
        classes=classes,
        preprocessing=config.preprocessing,
        temperature=1.0,
        operating_points=(OperatingPoint("unset", 0.5),),
        default_operating_point="unset",
        data=_describe_data(dataset, config),
        licence=str(dataset.provenance.get("licence", "")),
        origin=origin or f"Trained by the recipe {config.name} from {start} on {_data_name(dataset)}.",
        training={
            "recipe": config.name,
            "command": shlex.join(
                [
                    "scripts/train.py",
                    config.name,
                    *changed_settings(config),
                    "--data",
                    "DATASET",
                    "--out",
                    "RUN",
                ]
            ),
            "best_epoch": epoch,
            "epochs": config.training.epochs,
            "chosen_by": f"{config.evaluation.metric} on the {config.data.valid_split} split",
            **made,
        },
    )


def _describe_data(dataset: Dataset, config: RunConfig) -> dict[str, Any]:
    task = get_task(config.data.task)
    train = limit_by_class(dataset.for_task(task).subset(config.data.train_split), config.data.limit)
    first = load_image(train.image_path(0))
    counts = {"photographs trained on": len(train), "lesions trained on": len(set(train.lesions))}
    for index, code in enumerate(task.classes):
        counts[f"photographs of {DIAGNOSES[code].name.lower()}"] = int((train.labels(task) == index).sum())
    return {
        "name": _data_name(dataset),
        "fingerprint": dataset.fingerprint(),
        "licence": str(dataset.provenance.get("licence", "")),
        "split": dict(dataset.provenance.get("split", {})),
        "picture_size": [first.width, first.height],
        "counts": counts,
    }


def _data_name(dataset: Dataset) -> str:
    return str(dataset.provenance.get("source") or dataset.folder.resolve().name)


def _plain(description: BundleDescription) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(description.to_json())
    return values
