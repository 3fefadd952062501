"""Observers that send a run to TensorBoard or MLflow as it goes, for those who use them. Needs neither to be imported.

Both get the same: the settings once, then after each epoch the figures of its record. A run that is resumed goes on
where it was.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from derm_core.errors import ConfigError
from derm_core.training.config import RunConfig, flat_settings
from derm_core.training.observer import Observer

NAMES = {
    "lr": "learning_rate",
    "train_errs": "error/training",
    "valid_errs": "error/validation",
    "train_loss": "loss/training",
    "valid_loss": "loss/validation",
    "accuracy": "validation/accuracy",
    "balanced_accuracy": "validation/balanced_accuracy",
    "macro_f1": "validation/macro_f1",
    "macro_auc": "validation/macro_auc",
    "malignant_auc": "validation/malignant_auc",
    "seconds": "speed/seconds",
    "images_per_second": "speed/images_per_second",
}
"""What is sent: a column of the records -> its name there."""
EXPERIMENT = "dermatrace"
_RUN_TAG = "dermatrace.run"


class EpochObserver:
    """Part of an observer that only cares about epochs; a context manager, so that it is closed whatever happens."""

    def prepare(self, pictures: int) -> Callable[[int], object]:
        """Decoding is of no interest."""
        return lambda decoded: None

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        """An epoch begins; the first one that does is where a resumed run goes on."""

    def end_step(self, loss: float, metric: float | None) -> None:
        """Steps are of no interest."""

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        """An epoch is recorded."""

    def close(self, *, failed: bool = False) -> None:
        """Sends what is still waiting; `failed` where training ended with an error."""

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(failed=kind is not None)


class TensorBoardObserver(EpochObserver):
    """Writes event files for TensorBoard, with the classifier's weights as histograms.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, run: Path, config: RunConfig) -> None:
        """Gets ready to write.

        Args:
            folder: what `tensorboard --logdir` is given; the run gets a folder of its name in it.
            run: the run folder.
            config: its settings.
        """
        self._writers = _load("torch.utils.tensorboard", "tensorboard", "TensorBoard")
        self._folder, self._config = folder / run.name, config
        self._writer: Any = None

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        """Opens the file at the first epoch; what an earlier, killed attempt wrote of it and later is dropped."""
        if self._writer is None:
            self._writer = self._writers.SummaryWriter(str(self._folder), purge_step=epoch)
            settings = flat_settings(self._config.to_dict())
            lines = "\n".join(f"    {key} = {value}" for key, value in settings.items())
            self._writer.add_text("settings", lines, epoch)

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        """Writes the figures of the epoch."""
        epoch = record["epoch"]
        for name, value in figures_of(record).items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.add_histogram("classifier/weight", np.array(record["classifier.weight"]), epoch)
        self._writer.add_histogram("classifier/bias", np.array(record["classifier.bias"]), epoch)
        self._writer.flush()

    def close(self, *, failed: bool = False) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()


class MLflowObserver(EpochObserver):
    """Logs a run to MLflow.

    Raises:
        ConfigError: MLflow is not installed, or cannot use the address.
    """

    def __init__(self, uri: str, run: Path, config: RunConfig) -> None:
        """Gets ready to log.

        Args:
            uri: of the tracking server, or of a store that MLflow keeps itself, such as sqlite:///mlflow.db.
            run: the run folder; it names the run.
            config: its settings.
        """
        mlflow = _load("mlflow", "mlflow-skinny", "MLflow")
        self._run, self._config = run, config
        self._id: str | None = None
        try:
            self._client = mlflow.MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(EXPERIMENT)
            self._experiment = found.experiment_id if found else self._client.create_experiment(EXPERIMENT)
        except mlflow.MlflowException as err:
            raise ConfigError(f"MLflow cannot log to {uri}: {err} Name a server or sqlite:///FILE.") from err

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        """Begins the run at its first epoch; one that is resumed is found by its folder, and continued."""
        if self._id is not None:
            return
        # MLflow's filters quote a value in single quotes and know no escape.
        tag = str(self._run.resolve()).replace("'", "")
        if epoch > 1 or position:
            same = f"tags.`{_RUN_TAG}` = '{tag}'"
            for earlier in self._client.search_runs([self._experiment], same, max_results=1):
                self._id = earlier.info.run_id
                self._client.update_run(self._id, status="RUNNING")
                return
        begun = self._client.create_run(self._experiment, tags={_RUN_TAG: tag}, run_name=self._run.name)
        self._id = begun.info.run_id
        for key, value in flat_settings(self._config.to_dict()).items():
            self._client.log_param(self._id, key, value)

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        """Logs the figures of the epoch, and the number of the best one so far."""
        for name, value in figures_of(record).items():
            self._client.log_metric(self._id, name, value, step=record["epoch"])
        if best:
            self._client.set_tag(self._id, "best_epoch", record["epoch"])

    def close(self, *, failed: bool = False) -> None:
        """Ends the run."""
        if self._id is not None:
            self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")


class Observers:
    """Tells several observers of everything, in their order."""

    def __init__(self, *observers: Observer) -> None:
        """Takes those to be told."""
        self._observers = observers

    def prepare(self, pictures: int) -> Callable[[int], object]:
        """Passes on what is decoded."""
        reports = [observer.prepare(pictures) for observer in self._observers]

        def report(decoded: int) -> None:
            for each in reports:
                each(decoded)

        return report

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        """Passes on that an epoch begins."""
        for observer in self._observers:
            observer.begin_epoch(epoch, epochs, batches, position, batch_size)

    def end_step(self, loss: float, metric: float | None) -> None:
        """Passes on that a batch is done."""
        for observer in self._observers:
            observer.end_step(loss, metric)

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        """Passes on the record of an epoch."""
        for observer in self._observers:
            observer.end_epoch(record, best)


def figures_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Returns the defined figures of an epoch's record by their NAMES."""
    return {
        name: float(record[column])
        for column, name in NAMES.items()
        if record.get(column) is not None and math.isfinite(record[column])
    }


def _load(module: str, package: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise ConfigError(
            f"{name} is not installed. Install it with: pip install {package}, or train without it."
        ) from err
