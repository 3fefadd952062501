"""A run as it would serve: its best epoch's weights in a predictor, and what that answers. Chooses nothing."""

from __future__ import annotations

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
from derm_core.images import load_image
from derm_core.serving.bundle import save_bundle
from derm_core.serving.description import BundleDescription, OperatingPoint
from derm_core.serving.prediction import Prediction
from derm_core.serving.predictor import Predictor, load_predictor
from derm_core.training.checkpoint import load_best
from derm_core.training.config import RunConfig, changed_settings
from derm_core.training.run_folder import read_run_config

Progress = Callable[[Iterable[Prediction], int], Iterable[Prediction]]


@dataclass(frozen=True)
class Candidate:
    """A run on the dataset it was trained on, with the size at which its network is to see pictures.

    That may be larger than in training: a network trained on augmented pictures sees lesions at several scales, and
    often answers better a little above the size it was trained at (Touvron et al. 2019, arXiv 1906.06423). It is
    chosen on validation pictures like everything else.
    """

    run: Path
    config: RunConfig
    dataset: Dataset
    image_size: int
    epoch: int
    state: dict[str, Any]
    made_with: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """Codes in the order of the logits."""
        return get_task(self.config.data.task).classes

    def split(self, name: str) -> Dataset:
        """Returns the pictures of a split that the task has labels for, limited as the run's own were."""
        return limit_by_class(
            self.dataset.for_task(get_task(self.config.data.task)).subset(name), self.config.data.limit
        )

    def labels(self, subset: Dataset) -> np.ndarray:
        """Returns int64 (N,), index into `classes`."""
        return subset.labels(get_task(self.config.data.task))

    def describe(self, *, name: str, version: str, origin: str = "") -> BundleDescription:
        """Returns what is known of the bundle before anything is calibrated or measured."""
        start = "ImageNet weights" if self.config.model.pretrained else "a random start"
        if self.config.model.start:
            start = f"the weights of {Path(self.config.model.start).name}"
        recipe = self.config.name
        return BundleDescription(
            name=name,
            version=version,
            architecture=self.config.model.architecture,
            task=self.config.data.task,
            classes=self.classes,
            preprocessing=replace(self.config.preprocessing, image_size=self.image_size),
            temperature=1.0,
            operating_points=(OperatingPoint("unset", 0.5),),
            default_operating_point="unset",
            data=self._describe_data(),
            licence=str(self.dataset.provenance.get("licence", "")),
            origin=origin or f"Trained by the recipe {recipe} from {start} on {data_name(self.dataset)}.",
            training={
                "recipe": recipe,
                "command": shlex.join(
                    [
                        "scripts/train.py",
                        recipe,
                        *changed_settings(self.config),
                        "--data",
                        "DATASET",
                        "--out",
                        "RUN",
                    ]
                ),
                "image size in training": self.config.data.image_size,
                "best_epoch": self.epoch,
                "epochs": self.config.training.epochs,
                "epoch chosen by": f"{self.config.evaluation.metric} on the {self.config.data.valid_split} split",
                **self.made_with,
            },
        )

    def predictor(self, description: BundleDescription, *, half: bool = True) -> Predictor:
        """Returns a predictor of these weights, rounded as a bundle stores them."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "bundle"
            save_bundle(folder, model_state=self.state, description=description, half=half)
            return load_predictor(folder)

    def _describe_data(self) -> dict[str, Any]:
        train = self.split(self.config.data.train_split)
        labels = self.labels(train)
        first = load_image(train.image_path(0))
        counts = {"photographs trained on": len(train), "lesions trained on": len(set(train.lesions))}
        for index, code in enumerate(self.classes):
            counts[f"photographs of {DIAGNOSES[code].name.lower()}"] = int((labels == index).sum())
        return {
            "name": data_name(self.dataset),
            "fingerprint": self.dataset.fingerprint(),
            "licence": str(self.dataset.provenance.get("licence", "")),
            "split": dict(self.dataset.provenance.get("split", {})),
            "picture_size": [first.width, first.height],
            "counts": counts,
        }


def open_candidate(run: Path, dataset: Dataset, *, image_size: int | None = None) -> Candidate:
    """Reads a run's settings and the weights of its best epoch.

    Args:
        run: the run folder.
        dataset: what it was trained on.
        image_size: None for that of its training.

    Raises:
        ConfigError: the folder is not a run's, or its run was trained on other data.
        CheckpointError: there is no whole best.pt.
    """
    config, made_with = read_run_config(run)
    if made_with["data_fingerprint"] != dataset.fingerprint():
        raise ConfigError(
            f"{run} was trained on other data than {dataset.folder}: its validation pictures may be training pictures "
            "here. Give the dataset folder that it was trained on."
        )
    best = load_best(run)
    size = image_size or config.data.image_size
    return Candidate(run, config, dataset, size, best["epoch"], best["model"], made_with)


def answer_split(predictor: Predictor, subset: Dataset, progress: Progress | None = None) -> list[Prediction]:
    """Returns what a predictor answers to each picture, in order."""
    answers: Iterable[Prediction] = predictor.predict_many(
        subset.image_path(index) for index in range(len(subset))
    )
    return list(answers if progress is None else progress(answers, len(subset)))


def probability_table(answers: Sequence[Prediction]) -> np.ndarray:
    """Returns float64 (N, C) in bundle order."""
    return np.array([list(answer.probabilities.values()) for answer in answers])


def data_name(dataset: Dataset) -> str:
    """Returns what people call the dataset."""
    return str(dataset.provenance.get("source") or dataset.folder.resolve().name)
