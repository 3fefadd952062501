"""What TensorBoard and MLflow are sent. TensorBoard is the real one, MLflow a stand-in that keeps what it is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from derm_core.data.table import Dataset
from derm_core.errors import ConfigError
from derm_core.experiments.tracking import (
    EpochObserver,
    MLflowObserver,
    Observers,
    TensorBoardObserver,
    figures_of,
)
from derm_core.training.loop import fit
from derm_core.training.records import read_records
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.tiny import tiny_config


class Stopped(Exception):
    pass


class StopAfter(EpochObserver):
    """Ends training at the end of an epoch, as a kill would."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        if record["epoch"] == self.epoch:
            raise Stopped


class FakeMlflow:
    """As much of MLflow as is used: experiments, runs, parameters, metrics and tags, in dictionaries."""

    MlflowException = type("MlflowException", (Exception,), {})

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, SimpleNamespace] = {}

    def MlflowClient(self, tracking_uri: str) -> FakeMlflow:
        if not tracking_uri.startswith("http://"):
            raise self.MlflowException("No such store.")
        return self

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = str(len(self.experiments))
        return self.experiments[name]

    def create_run(self, experiment_id: str, tags: dict[str, str], run_name: str) -> SimpleNamespace:
        info = SimpleNamespace(run_id=f"run-{len(self.runs)}", run_name=run_name, status="RUNNING")
        run = SimpleNamespace(info=info, experiment=experiment_id, tags=tags, params={}, metrics=[])
        self.runs[info.run_id] = run
        return run

    def search_runs(self, experiment_ids: list[str], wanted: str, max_results: int) -> list[SimpleNamespace]:
        name, value = wanted.removeprefix("tags.`").removesuffix("'").split("` = '")
        found = [
            run for run in self.runs.values() if run.experiment in experiment_ids and run.tags[name] == value
        ]
        return found[:max_results]

    def update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id].info.status = status

    set_terminated = update_run

    def log_param(self, run_id: str, key: str, value: Any) -> None:
        assert key not in self.runs[run_id].params, "MLflow refuses another value"
        self.runs[run_id].params[key] = value

    def log_metric(self, run_id: str, key: str, value: float, step: int) -> None:
        self.runs[run_id].metrics.append((key, step, value))

    def set_tag(self, run_id: str, key: str, value: Any) -> None:
        self.runs[run_id].tags[key] = value


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeMlflow:
    fake = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)  # type: ignore[arg-type]
    return fake


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return coloured_dataset(tmp_path_factory.mktemp("tracking") / "set", train=12, valid=6)


def train_in_two_parts(observe: Callable[[], Any], dataset: Dataset, run: Path) -> None:
    """Trains two epochs, is stopped after the first, and goes on."""
    config = tiny_config()
    with pytest.raises(Stopped), observe() as observer:
        fit(config, dataset, run, observer=Observers(observer, StopAfter(1)))
    with observe() as observer:
        fit(config, dataset, run, resume=True, observer=observer)


def test_mlflow_gets_settings_and_every_epoch_in_one_run(
    mlflow: FakeMlflow, dataset: Dataset, tmp_path: Path
) -> None:
    run, statuses = tmp_path / "it's mine", []

    def observe() -> MLflowObserver:
        statuses.extend(known.info.status for known in mlflow.runs.values())
        return MLflowObserver("http://127.0.0.1:5000", run, tiny_config())

    train_in_two_parts(observe, dataset, run)
    (logged,) = mlflow.runs.values()
    assert statuses == ["FAILED"]
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "it's mine"
    assert logged.params["training.epochs"] == 2
    assert logged.params["model.architecture"] == tiny_config().model.architecture
    records = read_records(run)
    errors = [(step, value) for key, step, value in logged.metrics if key == "error/validation"]
    assert errors == list(zip(records["epoch"], records["valid_errs"], strict=True))
    assert logged.tags["best_epoch"] in (1, 2)


def test_two_runs_are_two_in_mlflow(mlflow: FakeMlflow, tmp_path: Path) -> None:
    for name in ("one", "two", "one"):
        with MLflowObserver("http://host", tmp_path / name, tiny_config()) as observer:
            observer.begin_epoch(1, 2, 3, 0, 8)
    assert [run.info.run_name for run in mlflow.runs.values()] == ["one", "two", "one"]
    assert len(mlflow.experiments) == 1


def test_an_address_that_mlflow_refuses_is_one_sentence_before_training(
    mlflow: FakeMlflow, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"MLflow cannot log to file:x: No such store\."):
        MLflowObserver("file:x", tmp_path / "run", tiny_config())


def test_tensorboard_gets_every_epoch_once(dataset: Dataset, tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tmp_path / "run"
    train_in_two_parts(lambda: TensorBoardObserver(tmp_path / "board", run, tiny_config()), dataset, run)
    read = accumulators.EventAccumulator(str(tmp_path / "board" / "run"))
    read.Reload()
    records = read_records(run)
    scalars = read.Scalars("error/validation")
    assert [scalar.step for scalar in scalars] == [1, 2]
    assert [scalar.value for scalar in scalars] == pytest.approx(list(records["valid_errs"]))
    assert set(read.Tags()["histograms"]) == {"classifier/weight", "classifier/bias"}
    assert "settings/text_summary" in read.Tags()["tensors"]


@pytest.mark.parametrize(
    ("module", "observe", "message"),
    [
        (
            "mlflow",
            lambda folder: MLflowObserver("http://host", folder, tiny_config()),
            "pip install mlflow-skinny",
        ),
        (
            "torch.utils.tensorboard",
            lambda folder: TensorBoardObserver(folder, folder, tiny_config()),
            "pip install tensorboard",
        ),
    ],
)
def test_a_package_that_is_missing_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, observe: Callable[[Path], Any], message: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        observe(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_several_observers_are_told_the_same_in_their_order() -> None:
    told: list[tuple[str, Any]] = []

    class Listener(EpochObserver):
        def __init__(self, name: str) -> None:
            self.name = name

        def prepare(self, pictures: int) -> Callable[[int], object]:
            return lambda decoded: told.append((self.name, decoded))

        def begin_epoch(self, *numbers: int) -> None:
            told.append((self.name, numbers))

        def end_step(self, loss: float, metric: float | None) -> None:
            told.append((self.name, loss))

        def end_epoch(self, record: dict[str, Any], best: bool) -> None:
            told.append((self.name, best))

    both = Observers(Listener("a"), Listener("b"))
    both.prepare(9)(4)
    both.begin_epoch(1, 2, 3, 0, 8)
    both.end_step(0.5, None)
    both.end_epoch({"epoch": 1}, True)
    assert told == [(name, what) for what in (4, (1, 2, 3, 0, 8), 0.5, True) for name in ("a", "b")]


def test_what_is_undefined_is_not_sent() -> None:
    record = {
        "lr": 0.1,
        "macro_auc": None,
        "accuracy": float("nan"),
        "valid_errs": 0.25,
        "name": "x",
        "epoch": 3,
    }
    assert figures_of(record) == {"learning_rate": 0.1, "error/validation": 0.25}
