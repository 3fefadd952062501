"""The training runs of this machine: begun, continued, measured and registered, each by a job. Draws no page.

A run is the core's run folder `runs/<name>` under DERM_HOME; what the desk knows of it, such as the dataset, is beside
it in `training/runs/<name>`. Runs that were trained otherwise and lie in `runs` are runs as well.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from derm_core import ConfigError, DermError, default_registry, load_dataset, read_run_config
from desktop.texts import say
from desktop.training_job import Job, write_values
from desktop.training_records import Epoch, Plan, best_epoch, read_epochs
from desktop.uploads import home

RunState = Literal["running", "stopping", "stopped", "failed", "cut off", "trained"]
VALIDATION, TEST = "val", "test"
_RECORD = "run.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TrainingRun:
    """One run, whoever began it.

    Args:
        name: of its folder; letters, digits, dots, dashes and underscores.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = home() / "runs" / name
        self.desk_folder = _desk() / "runs" / name
        self.training = Job(self.desk_folder / "train")
        self.registering = Job(self.desk_folder / "register")

    def evaluation(self, split: str) -> Job:
        """Returns the job that measures the run on VALIDATION or TEST pictures."""
        return Job(self.desk_folder / f"evaluate-{split}")

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All that can be at the run."""
        return self.training, self.evaluation(VALIDATION), self.evaluation(TEST), self.registering

    @property
    def active(self) -> Job | None:
        """The job that a process is at."""
        return next((job for job in self.jobs if job.state().is_active), None)

    @property
    def is_own(self) -> bool:
        """Whether the app began it."""
        return (self.desk_folder / _RECORD).exists()

    @property
    def about(self) -> dict[str, Any]:
        """Its `dataset`, `recipe` and `overrides`; empty ones for a run that was trained otherwise."""
        known: dict[str, Any] = {"dataset": "", "recipe": "", "overrides": []}
        with suppress(OSError, ValueError):
            known |= json.loads((self.desk_folder / _RECORD).read_text("utf-8"))
        return known

    @property
    def plan(self) -> Plan:
        """What it was made for; empty before its settings stand in its folder."""
        with suppress(DermError):
            config, _ = read_run_config(self.folder)
            return Plan(config.name, config.data.task, config.training.epochs, config.evaluation.metric)
        return Plan(self.about["recipe"])

    def epochs(self) -> tuple[Epoch, ...]:
        """Returns what the epochs so far left, in order."""
        return read_epochs(self.folder)

    @property
    def best(self) -> Epoch | None:
        """The epoch that its plan's metric chooses."""
        return best_epoch(self.epochs(), self.plan)

    @property
    def state(self) -> RunState:
        """What became of its training."""
        told = self.training.state().state
        if told == "done":
            return "trained"
        if told:
            return told
        return "trained" if 0 < self.plan.epochs <= len(self.epochs()) else "stopped"

    @property
    def began(self) -> float:
        """When it was begun, or last made otherwise: seconds since 1970."""
        for place in (self.desk_folder / _RECORD, self.folder):
            with suppress(OSError):
                return place.stat().st_mtime
        return 0.0

    def begin(self, dataset: Path, recipe: str, overrides: list[str]) -> None:
        """Starts its training.

        Raises:
            ConfigError: there is such a run, or another one is being trained.
            OSError: it cannot be written.
        """
        _check_free()
        if not _NAME.fullmatch(self.name):
            raise ConfigError(say("training-bad-name", name=self.name))
        try:
            if self.folder.exists():
                raise FileExistsError
            self.desk_folder.mkdir(mode=0o700, parents=True)
        except FileExistsError as err:
            raise ConfigError(say("training-name-taken", name=self.name)) from err
        about = {"dataset": str(dataset), "recipe": recipe, "overrides": overrides}
        write_values(self.desk_folder / _RECORD, about)
        self._train(about, resume=False)

    def resume(self, dataset: str = "") -> None:
        """Goes on where it was stopped, killed or cut off; `dataset` is for a run whose own is not known.

        Raises ConfigError where that is not known either, or another run is being trained.
        """
        _check_free()
        self._train(self._with_dataset(dataset), resume=True)

    def evaluate(self, split: str, dataset: str = "") -> None:
        """Measures its best epoch on VALIDATION or TEST pictures.

        Raises as resume does, and DatasetError where the dataset has no such split.
        """
        about = self._with_dataset(dataset)
        self._check_idle()
        if split != VALIDATION:
            load_dataset(about["dataset"]).subset(split)
        best = self.best
        self.evaluation(split).start(
            {
                "do": "evaluate",
                "run": str(self.folder),
                "dataset": about["dataset"],
                "split": "" if split == VALIDATION else split,
                "epoch": best.number if best else 0,
            }
        )

    def register(self, name: str, dataset: str = "") -> None:
        """Makes its best epoch a registered model.

        Raises as resume does, and BundleError for a name that no model can have.
        """
        about = self._with_dataset(dataset)
        self._check_idle()
        default_registry().next_version(name)
        told = {"do": "register", "run": str(self.folder), "dataset": about["dataset"], "name": name}
        self.registering.start(told)

    def _train(self, about: dict[str, Any], *, resume: bool) -> None:
        self.training.start({"do": "train", "run": str(self.folder), "resume": resume, **about})

    def _with_dataset(self, dataset: str) -> dict[str, Any]:
        about = self.about
        about["dataset"] = about["dataset"] or dataset
        if not about["dataset"]:
            raise ConfigError(say("training-no-dataset", name=self.name))
        return about

    def _check_idle(self) -> None:
        if self.active is not None:
            raise ConfigError(say("training-busy-run", name=self.name))


def known_runs() -> list[TrainingRun]:
    """Returns the runs of this machine, the one begun last first."""
    files = (*(home() / "runs").glob("*/config.toml"), *(_desk() / "runs").glob(f"*/{_RECORD}"))
    names = {file.parent.name for file in files if _NAME.fullmatch(file.parent.name)}
    return sorted(map(TrainingRun, names), key=lambda run: (-run.began, run.name))


def find_run(name: str) -> TrainingRun | None:
    """Returns the run of this name, where there is one."""
    return next((run for run in known_runs() if run.name == name), None)


def free_name(recipe: str) -> str:
    """Returns a name that no run has: the recipe and the date, and a number where that is taken."""
    taken = {run.name for run in known_runs()}
    plain = f"{recipe}-{datetime.now().astimezone():%Y-%m-%d}"
    numbered = (f"{plain}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (plain, *numbered) if name not in taken)


def _check_free() -> None:
    for run in known_runs():
        if run.training.state().is_active:
            raise ConfigError(say("training-busy", name=run.name))


def _desk() -> Path:
    return home() / "training"
