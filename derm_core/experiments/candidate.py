"""A run as it would serve: its best epoch's weights in a predictor, and what that answers. Chooses nothing."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from derm_core.data.table import Dataset
from derm_core.diagnoses import DIAGNOSES, get_task
from derm_core.errors import ConfigError
from derm_core.experiments.bundle_settings import CHOSEN_BY, commands_of, settings_of
from derm_core.images import load_image
from derm_core.serving.bundle import load_bundle, save_bundle
from derm_core.serving.context import PatientContext
from derm_core.serving.description import DESCRIPTION_FILE, BundleDescription, OperatingPoint
from derm_core.serving.devices import choose_device
from derm_core.serving.prediction import Prediction
from derm_core.serving.predictor import Predictor
from derm_core.training.checkpoint import LAST, load_best, load_last, load_last_weights
from derm_core.training.config import RunConfig, changed_settings
from derm_core.training.extra_pictures import open_extra
from derm_core.training.run_folder import MADE_WITH, read_run_config
from derm_core.training.sources import select_pictures

Progress = Callable[[Iterable[Prediction], int], Iterable[Prediction]]


@dataclass(frozen=True)
class Candidate:
    """A run, or the average of several, on the dataset it was trained on, and the size at which it sees pictures.

    The size may be larger than in training: a network trained on augmented pictures sees lesions at several scales, and
    often answers better a little above the size it was trained at (Touvron et al. 2019, arXiv 1906.06423). It is
    chosen on validation pictures like everything else. `config` and `made_with` are those of the last of the runs, and
    so is `epoch`, the one whose weights were taken. `commands` made all of them; `ingredients` names what is averaged.
    `origin` is what a bundle that stands for a run says of its weights; empty for a run.
    """

    runs: tuple[Path, ...]
    config: RunConfig
    dataset: Dataset
    image_size: int
    epoch: int
    state: dict[str, Any]
    made_with: dict[str, Any]
    commands: tuple[str, ...]
    ingredients: tuple[str, ...]
    origin: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Codes in the order of the logits."""
        return get_task(self.config.data.task).classes

    def split(self, name: str) -> Dataset:
        """Returns the pictures of a split that the task has labels for, limited as the run's own were."""
        return select_pictures(self.dataset, self.config, name)

    @property
    def extra(self) -> Dataset | None:
        """The pictures of a second dataset that the run learnt from beside the first; None where there is none."""
        extra = open_extra(self.config, self.dataset)
        return extra.dataset if extra is not None else None

    def labels(self, subset: Dataset) -> np.ndarray:
        """Returns int64 (N,), index into `classes`."""
        return subset.labels(get_task(self.config.data.task))

    def describe(self, *, name: str, version: str, origin: str = "") -> BundleDescription:
        """Returns what is known of the bundle before anything is calibrated or measured."""
        start = "ImageNet weights" if self.config.model.pretrained else "a random start"
        if self.config.model.start:
            start = "the weights of an earlier run"
        recipe = self.config.name
        return BundleDescription(
            name=name,
            version=version,
            architecture=self.config.model.architecture,
            head_units=self.config.model.head_units,
            views=self.config.evaluation.views,
            task=self.config.data.task,
            classes=self.classes,
            preprocessing=replace(self.config.preprocessing, image_size=self.image_size),
            temperature=1.0,
            operating_points=(OperatingPoint("unset", 0.5),),
            default_operating_point="unset",
            data=self._describe_data(),
            licence=str(self.dataset.provenance.get("licence", "")),
            origin=origin
            or self.origin
            or f"Trained by the recipe {recipe} from {start} on {data_name(self.dataset)}.",
            training={
                "recipe": recipe,
                **{
                    f"command {number}" if len(self.commands) > 1 else "command": command
                    for number, command in enumerate(self.commands, start=1)
                },
                **self._describe_weights(),
                "image size in training": self.config.data.image_size,
                "best_epoch": self.epoch,
                "epochs": self.config.training.epochs,
                "epoch chosen by": CHOSEN_BY.format(
                    self.config.evaluation.metric, self.config.data.valid_split
                ),
                **self.made_with,
            },
        )

    def predictor(self, description: BundleDescription, *, half: bool = True) -> Predictor:
        """Returns a predictor of these weights, rounded as a bundle stores them."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "bundle"
            save_bundle(folder, model_state=self.state, description=description, half=half)
            # What the environment says of the clinic has no part in how a model is set and measured.
            return Predictor(load_bundle(folder), device=choose_device())

    def _describe_weights(self) -> dict[str, str]:
        if len(self.ingredients) > 1:
            return {"weights": f"mean of {', '.join(self.ingredients)}"}
        return {"weights": f"those of {self.ingredients[0]}"} if len(self.commands) > 1 else {}

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
        run: the run folder; or the last.pt in one, for the weights that it ended with; or the folder of a bundle that
            was made of such a run.
        dataset: what it was trained on.
        image_size: None for that of its training, or that of the bundle.

    Raises:
        ConfigError: the folder is not a run's, or its run was trained on other data.
        CheckpointError: there is no such checkpoint, or it is not whole.
        BundleError: the bundle is incomplete or altered.
    """
    return _open(run, dataset, image_size, first_command=1)


def _open(run: Path, dataset: Dataset, image_size: int | None, *, first_command: int) -> Candidate:
    if (run / DESCRIPTION_FILE).is_file():
        return _open_bundle(run, dataset, image_size, first_command)
    folder = run.parent if run.name == LAST else run
    config, made_with = read_run_config(folder)
    if made_with["data_fingerprint"] != dataset.fingerprint():
        raise ConfigError(
            f"{folder} was trained on other data than {dataset.folder}: its validation pictures may be training "
            "pictures here. Give the dataset folder that it was trained on."
        )
    if run.name == LAST:
        epoch, state = load_last(folder)["epoch"], load_last_weights(folder)
    else:
        best = load_best(folder)
        epoch, state = best["epoch"], best["model"]
    command = [
        "scripts/train.py",
        config.name,
        *changed_settings(config),
        "--data",
        "DATASET",
        "--out",
        folder.name if folder.is_absolute() else str(folder),
    ]
    return Candidate(
        runs=(run,),
        config=config,
        dataset=dataset,
        image_size=image_size or config.data.image_size,
        epoch=epoch,
        state=state,
        made_with={key: value for key, value in made_with.items() if value},
        commands=(shlex.join(command),),
        ingredients=(str(Path(*run.parts[-2:])) if run.is_absolute() else str(run),),
    )


def _open_bundle(folder: Path, dataset: Dataset, image_size: int | None, first_command: int) -> Candidate:
    bundle = load_bundle(folder)
    description, training = bundle.description, dict(bundle.description.training)
    if description.data.get("fingerprint") != dataset.fingerprint():
        raise ConfigError(
            f"The bundle in {folder} was made of other data than {dataset.folder}. Give the dataset folder that it was "
            "made of."
        )
    commands = commands_of(description)
    last_command = first_command + len(commands) - 1
    numbers = f"commands {first_command} to" if len(commands) > 1 else "command"
    return Candidate(
        runs=(folder,),
        config=settings_of(description),
        dataset=dataset,
        image_size=image_size or description.preprocessing.image_size,
        epoch=int(training.get("best_epoch", 0)),
        state=dict(bundle.model_state),
        made_with={key: str(training[key]) for key in MADE_WITH if training.get(key)},
        commands=commands,
        ingredients=(
            f"the bundle {description.name} {description.version} of {numbers} {last_command} "
            f"(SHA-256 {description.weights_sha256[:12]})",
        ),
        origin=description.origin,
    )


def open_average(runs: Sequence[Path], dataset: Dataset, *, image_size: int | None = None) -> Candidate:
    """Returns the mean of several runs' weights, a "soup" (Wortsman et al. 2022, arXiv 2203.05482).

    It makes sense for runs that share their beginning, as where one starts from the other; it costs no time to answer.

    Raises:
        ConfigError, CheckpointError: as open_candidate; or the runs differ in their network or task.
    """
    parts: list[Candidate] = []
    for run in runs:
        first_command = 1 + sum(len(part.commands) for part in parts)
        parts.append(_open(run, dataset, image_size, first_command=first_command))
    kinds = {
        (part.config.model.architecture, part.config.data.task, part.config.model.head_units)
        for part in parts
    }
    if len(kinds) > 1:
        found = ", ".join(f"{architecture} for {task}" for architecture, task, _ in sorted(kinds))
        raise ConfigError(
            f"Weights of different networks cannot be averaged: {found}. Name runs of one kind."
        )
    last = parts[-1]
    if len(parts) == 1:
        # Its weights as they are, to the bit: the mean of one turns a negative zero into a positive one.
        return last
    state = {
        name: torch.stack([part.state[name] for part in parts]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in last.state.items()
    }
    return replace(
        last,
        runs=tuple(runs),
        state=state,
        commands=tuple(command for part in parts for command in part.commands),
        ingredients=tuple(name for part in parts for name in part.ingredients),
        origin="",
    )


def answer_split(
    predictor: Predictor,
    subset: Dataset,
    progress: Progress | None = None,
    *,
    contexts: Sequence[PatientContext] = (),
) -> list[Prediction]:
    """Returns what a predictor answers to each picture, in order, knowing no more of the patients than is given."""
    answers: Iterable[Prediction] = predictor.predict_many(
        (subset.image_path(index) for index in range(len(subset))), contexts=contexts
    )
    return list(answers if progress is None else progress(answers, len(subset)))


def probability_table(answers: Sequence[Prediction]) -> np.ndarray:
    """Returns float64 (N, C) in bundle order."""
    return np.array([list(answer.probabilities.values()) for answer in answers])


def data_name(dataset: Dataset) -> str:
    """Returns what people call the dataset."""
    return str(dataset.provenance.get("source") or dataset.folder.resolve().name)
