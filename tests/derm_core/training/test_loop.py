"""The training loop: whole runs of a small network."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from derm_core.data.augmentation import Augmentation
from derm_core.data.cache import open_pixels
from derm_core.data.table import Dataset
from derm_core.errors import ConfigError, DatasetError, WeightsNotFoundError
from derm_core.models import build_model, classifier_layer
from derm_core.training import loop, sources
from derm_core.training.checkpoint import KEYS, load_best, load_last
from derm_core.training.hardware import Hardware
from derm_core.training.loop import fit
from derm_core.training.records import COLUMNS, read_records
from derm_core.training.validation import predict_logits, validate
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.tiny import FORKS, differences, tiny_config

CPU = Hardware(torch.device("cpu"), torch.float32)


class Notes:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.losses: list[float] = []
        self.metrics: list[float | None] = []

    def prepare(self, pictures: int) -> Callable[[int], object]:
        self.told.append(f"prepare {pictures}")
        return lambda count: self.told.append(f"decoded {count}")

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        self.told.append(f"begin {epoch}/{epochs} at {position}/{batches} of {batch_size}")

    def end_step(self, loss: float, metric: float | None) -> None:
        self.told.append("step")
        self.losses.append(loss)
        self.metrics.append(metric)

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        self.told.append(f"end {record['epoch']}")


@pytest.fixture(scope="module")
def finished(coloured: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Notes]:
    """A run of three epochs with a moving average."""
    notes = Notes()
    out = tmp_path_factory.mktemp("finished") / "run"
    config = tiny_config(epochs=3, batch_size=7, ema_decay=0.9, label_smoothing=0.1, clip_norm=1.0)
    assert fit(config, coloured, out, observer=notes) == out
    return out, notes


def test_a_run_leaves_the_files_that_were_agreed_on(finished: tuple[Path, Notes]) -> None:
    out, _ = finished
    assert sorted(path.name for path in out.iterdir()) == [
        "best.pt",
        "checksums.json",
        "config.toml",
        "last.pt",
        "log.jsonl",
        "previous.pt",
        "records",
    ]
    assert sorted(path.name for path in (out / "records").iterdir()) == [
        f"epoch-000{epoch}.parquet" for epoch in (1, 2, 3)
    ]


def test_a_checkpoint_has_the_keys_that_were_agreed_on(finished: tuple[Path, Notes]) -> None:
    state = torch.load(finished[0] / "last.pt", weights_only=True)
    assert tuple(state) == KEYS
    assert (state["epoch"], state["step"], state["sampler"]["position"]) == (3, 9, 0)
    assert state["config"]["training"]["epochs"] == 3


def test_a_person_is_told_of_each_step_and_epoch(finished: tuple[Path, Notes]) -> None:
    notes = finished[1]
    # 24 pictures in batches of 7 are three whole batches.
    epochs = [[f"begin {n}/3 at 0/3 of 7", "step", "step", "step", f"end {n}"] for n in (1, 2, 3)]
    begin = notes.told.index("begin 1/3 at 0/3 of 7")
    assert notes.told[begin:] == [word for epoch in epochs for word in epoch]
    assert [word for word in notes.told[:begin] if word.startswith("prepare")] == ["prepare 24", "prepare 9"]
    assert notes.metrics[:3] == [None] * 3
    assert None not in notes.metrics[3:]


def test_each_epoch_has_a_record_whose_figures_agree(finished: tuple[Path, Notes]) -> None:
    out, notes = finished
    records = read_records(out)
    assert tuple(records.columns) == COLUMNS
    assert records["epoch"].tolist() == [1, 2, 3]
    assert set(records["name"]) == {"tiny"}
    assert records["used_data_augmentation"].all()
    for row in records.to_dict("records"):
        matrix = np.stack(row["confusion_matrix"])
        # Nine validation pictures, three of each diagnosis, truth in rows.
        assert matrix.sum(axis=1).tolist() == [3, 3, 3]
        assert row["accuracy"] == pytest.approx(np.trace(matrix) / 9)
        assert row["valid_errs"] == pytest.approx(1 - row["accuracy"])
        assert row["balanced_accuracy"] == pytest.approx((np.diag(matrix) / 3).mean())
        # 21 of the 24 pictures are shown in an epoch.
        assert row["train_errs"] * 21 == pytest.approx(round(row["train_errs"] * 21))
        assert row["images_per_second"] == pytest.approx(21 / row["seconds"])
    assert records["train_loss"].tolist() == pytest.approx(
        [notes.losses[2], notes.losses[5], notes.losses[8]]
    )
    # One epoch of warm-up, then half of a cosine over two: 1, 1/2, 0 of the learning rate.
    assert records["lr"].tolist() == pytest.approx([2e-3, 1e-3, 0.0])


def test_the_record_holds_the_classifier_that_was_checked(finished: tuple[Path, Notes]) -> None:
    out, _ = finished
    network = build_model("shufflenet_v2_x0_5", 3)
    averaged = {
        name.removeprefix("module."): tensor
        for name, tensor in load_last(out)["ema"].items()
        if name.startswith("module.")
    }
    network.load_state_dict(averaged)
    row = read_records(out).iloc[-1]
    assert np.allclose(np.stack(row["classifier.weight"]), classifier_layer(network).weight.detach())
    assert np.allclose(row["classifier.bias"], classifier_layer(network).bias.detach())


def test_the_best_weights_are_the_averaged_ones_of_the_best_epoch(
    finished: tuple[Path, Notes], coloured: Dataset
) -> None:
    out, _ = finished
    best = load_best(out)
    records = read_records(out)
    assert best["epoch"] == int(records["macro_f1"].idxmax()) + 1
    assert best["best"] == {"epoch": best["epoch"], "metric": records["macro_f1"].max()}
    network = build_model("shufflenet_v2_x0_5", 3)
    network.load_state_dict(best["model"])
    row = records.iloc[best["epoch"] - 1]
    assert np.allclose(np.stack(row["classifier.weight"]), classifier_layer(network).weight.detach())
    config, subset = tiny_config(), coloured.subset("val")
    answers = predict_logits(network, open_pixels(subset, config.preprocessing), config, CPU).argmax(axis=1)
    assert (answers != np.array([0, 1, 2] * 3)).mean() == pytest.approx(row["valid_errs"])


def test_a_network_learns_the_colours(coloured: Dataset, tmp_path: Path) -> None:
    config = tiny_config(epochs=25, learning_rate=5e-3, ema_decay=0.9, augmentation={"flips": True})
    records = read_records(fit(config, coloured, tmp_path / "run"))
    assert records["train_loss"].tail(5).mean() < 0.6 * records["train_loss"].head(5).mean()
    assert records["macro_auc"].tail(5).mean() > 0.75


def test_used_data_augmentation_is_true_only_where_pictures_are_changed(
    coloured: Dataset, tmp_path: Path
) -> None:
    assert tiny_config(augmentation={"hue": 0.01}).training.augmentation.active
    config = tiny_config(epochs=1, augmentation={})
    assert config.training.augmentation == Augmentation()
    assert not read_records(fit(config, coloured, tmp_path / "run"))["used_data_augmentation"].any()


def test_the_same_settings_give_the_same_weights_and_another_seed_gives_others(
    coloured: Dataset, tmp_path: Path
) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        # What was drawn before a run begins has no part in it.
        torch.rand(seed + len(name))
        fit(tiny_config("mobilenet_v3_small", seed=seed), coloured, tmp_path / name)
    one, again, other = (load_last(tmp_path / name)["model"] for name in ("one", "again", "other"))
    assert differences(one, again) == []
    assert len(differences(one, other)) > 50


def test_every_epoch_shows_the_pictures_in_another_order_and_augmented_anew(
    coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[int, list[tuple[int, bytes]]] = {}

    class Watched(sources.TrainingPictures):
        def __getitem__(self, keys: list[int]) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
            (pictures, numbers), labels = super().__getitem__(keys)
            rows = [row.numpy().tobytes() for row in numbers]
            shown.setdefault(self.epoch, []).extend(zip(keys, rows, strict=True))
            return (pictures, numbers), labels

    monkeypatch.setattr(sources, "TrainingPictures", Watched)
    fit(tiny_config(), coloured, tmp_path / "run")
    assert list(shown) == [0, 1]
    orders = [[index for index, _ in epoch] for epoch in shown.values()]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(24))
    assert not any(dict(shown[0])[index] == numbers for index, numbers in shown[1])


@FORKS
def test_a_worker_process_changes_nothing_about_the_weights(coloured: Dataset, tmp_path: Path) -> None:
    states = []
    for workers in (0, 1):
        out = fit(
            tiny_config(
                "mobilenet_v3_small",
                workers=workers,
                ema_decay=0.9,
                augmentation={"flips": True, "randaugment": 5},
            ),
            coloured,
            tmp_path / f"{workers}",
        )
        states.append(load_last(out))
    for key in ("model", "ema", "optimizer", "rng"):
        assert differences(states[0][key], states[1][key]) == []


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_both_number_formats_train(precision: str, coloured: Dataset, tmp_path: Path) -> None:
    config = tiny_config(precision=precision, epochs=4, first_image_size=32, image_size=64, augmentation={})
    records = read_records(fit(config, coloured, tmp_path / "run"))
    assert np.isfinite(records["train_loss"]).all()
    assert records["train_loss"].iloc[-1] < records["train_loss"].iloc[0]
    weights = load_last(tmp_path / "run")["model"]
    assert all(tensor.dtype == torch.float32 for tensor in weights.values() if tensor.is_floating_point())


def test_a_moving_average_is_kept_only_where_it_is_asked_for(
    finished: tuple[Path, Notes], coloured: Dataset, tmp_path: Path
) -> None:
    out = fit(tiny_config(epochs=1), coloured, tmp_path / "run")
    assert load_last(out)["ema"] is None
    assert differences(load_best(out)["model"], load_last(out)["model"]) == []
    state = load_last(finished[0])
    assert state["ema"]["n_averaged"].item() == 9
    assert any(
        not torch.equal(state["ema"][f"module.{name}"], tensor) for name, tensor in state["model"].items()
    )


def test_biases_and_factors_of_normalisation_are_not_decayed(finished: tuple[Path, Notes]) -> None:
    decayed, others = load_last(finished[0])["optimizer"]["param_groups"]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.05, 0.0)
    network = build_model("shufflenet_v2_x0_5", 3)
    matrices = sum(parameter.ndim > 1 for parameter in network.parameters())
    assert len(decayed["params"]) == matrices
    assert len(others["params"]) == len(list(network.parameters())) - matrices


def test_a_missing_file_of_weights_leaves_no_run_folder_behind(coloured: Dataset, tmp_path: Path) -> None:
    config = tiny_config(pretrained=True)
    with pytest.raises(WeightsNotFoundError):
        fit(config, coloured, tmp_path / "run", weights_dir=tmp_path)
    assert not (tmp_path / "run").exists()


def test_a_missing_file_of_weights_is_told_before_any_picture_is_decoded(tmp_path: Path) -> None:
    pictures = coloured_dataset(tmp_path / "set", train=3, valid=3)
    with pytest.raises(WeightsNotFoundError):
        fit(tiny_config(pretrained=True), pictures, tmp_path / "run", weights_dir=tmp_path)
    assert not (pictures.folder / "cache").exists()


def test_the_last_step_of_each_epoch_is_logged_however_few_there_are(
    coloured: Dataset, tmp_path: Path
) -> None:
    log = (fit(tiny_config(batch_size=8), coloured, tmp_path / "run") / "log.jsonl").read_text()
    assert [(line["step"], line["epoch"]) for line in map(json.loads, log.splitlines())] == [(3, 1), (6, 2)]


def test_a_split_that_is_not_there_leaves_no_run_folder_behind(coloured: Dataset, tmp_path: Path) -> None:
    config = tiny_config(data={"valid_split": "fold-1"})
    with pytest.raises(DatasetError, match=r"no split 'fold-1'. It has: train, val"):
        fit(config, coloured, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_limit_leaves_pictures_out_of_both_splits(coloured: Dataset, tmp_path: Path) -> None:
    notes = Notes()
    config = tiny_config(data={"limit": 6}, epochs=1, batch_size=4)
    fit(config, coloured, tmp_path / "run", observer=notes)
    assert [word for word in notes.told if word.startswith("prepare")] == ["prepare 6", "prepare 6"]


def scripted(monkeypatch: pytest.MonkeyPatch, metrics: list[float]) -> None:
    """Makes the validation of each epoch give the next of these figures."""
    left = iter(metrics)

    def measured(*arguments: Any) -> tuple[dict[str, Any], float]:
        record, _ = validate(*arguments)
        return record, next(left)

    monkeypatch.setattr(loop, "validate", measured)


def test_training_ends_after_as_many_epochs_without_a_better_one_as_it_has_patience(
    coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The third is no better than the second, for it is only as good.
    scripted(monkeypatch, [0.3, 0.5, 0.5, 0.4, 0.9])
    config = tiny_config(epochs=9, batch_size=24, patience=2)
    out = fit(config, coloured, tmp_path / "run")
    assert read_records(out)["epoch"].tolist() == [1, 2, 3, 4]
    assert load_best(out)["best"] == {"epoch": 2, "metric": 0.5}
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    fit(config, coloured, out, resume=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_without_patience_every_epoch_is_trained(
    coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [0.9, 0.1, 0.1, 0.1])
    out = fit(tiny_config(epochs=4, batch_size=24), coloured, tmp_path / "run")
    assert len(read_records(out)) == 4


def test_the_log_has_a_line_for_a_step_however_many_batches_it_gathers(
    coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_STEPS_BETWEEN_LOGS", 2)
    # Six batches are steps of three, two times over; four steps in two epochs.
    config = tiny_config(batch_size=4, accumulation=3)
    log = (fit(config, coloured, tmp_path / "run") / "log.jsonl").read_text()
    assert [json.loads(line)["step"] for line in log.splitlines()] == [2, 4]
    assert load_last(tmp_path / "run")["step"] == 4


@pytest.mark.parametrize(
    "training",
    [
        {"optimizer": "sgd", "schedule": "constant"},
        {"loss": "focal", "class_weights": "effective", "sampler": "sqrt"},
        {"augmentation": {"randaugment": 9, "mixup": 0.4, "cutmix": 1.0}, "label_smoothing": 0.1},
    ],
)
def test_every_way_of_training_gives_finite_figures(
    training: dict[str, Any], coloured: Dataset, tmp_path: Path
) -> None:
    records = read_records(fit(tiny_config(epochs=1, **training), coloured, tmp_path / "run"))
    assert np.isfinite(records[["train_loss", "valid_loss"]].to_numpy()).all()
    assert 0 <= records["train_errs"].item() <= 1


class Unbounded(nn.Module):
    """A loss that is no number from the fourth step on."""

    calls = 0

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return logits.sum() * (math.nan if self.calls > 3 else 0.0)


def test_a_run_that_diverges_ends_with_one_sentence_and_keeps_its_last_good_checkpoint(
    coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "build_loss", lambda *arguments, **options: Unbounded())
    with pytest.raises(ConfigError) as raised:
        fit(tiny_config(batch_size=12, checkpoint_seconds=0.0), coloured, tmp_path / "run")
    assert "Training diverged in epoch 2, step 4: the loss is nan." in str(raised.value)
    assert "Lower training.learning_rate (now 0.002)" in str(raised.value)
    assert load_last(tmp_path / "run")["step"] == 3


def test_a_finished_run_is_not_trained_again(finished: tuple[Path, Notes], coloured: Dataset) -> None:
    out, _ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    config = tiny_config(epochs=3, batch_size=7, ema_decay=0.9, label_smoothing=0.1, clip_norm=1.0)
    notes = Notes()
    fit(config, coloured, out, resume=True, observer=notes)
    assert "step" not in notes.told
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    with pytest.raises(ConfigError, match="exists already"):
        fit(config, coloured, out)


class StopsAfter:
    """Says stop when it is asked for the time of that number, and writes down how often it was asked."""

    def __init__(self, times: int) -> None:
        self.times, self.asked = times, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked == self.times


@pytest.mark.parametrize(("times", "place"), [(1, None), (3, (0, 2)), (4, (1, 0))])
def test_a_run_that_is_stopped_goes_on_to_the_same_weights(
    times: int, place: tuple[int, int] | None, finished: tuple[Path, Notes], coloured: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(epochs=3, batch_size=7, ema_decay=0.9, label_smoothing=0.1, clip_norm=1.0)
    out, stop = tmp_path / "run", StopsAfter(times)
    fit(config, coloured, out, stop=stop)
    assert stop.asked == times
    # It is asked before an epoch and after each of its three steps but the last.
    assert (out / "last.pt").exists() is (place is not None)
    if place is not None:
        state = load_last(out)
        assert (state["epoch"], state["sampler"]["position"]) == place
    fit(config, coloured, out, resume=True)
    states = [load_last(run) for run in (finished[0], out)]
    for key in ("model", "ema", "optimizer", "rng", "best"):
        assert differences(states[0][key], states[1][key], key) == []


def test_a_run_that_gathers_batches_is_stopped_between_two_gatherings(
    coloured: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(epochs=1, batch_size=4, accumulation=2)
    fit(config, coloured, tmp_path / "run", stop=StopsAfter(2))
    assert load_last(tmp_path / "run")["sampler"]["position"] == 2


def test_nobody_is_asked_to_stop_a_run_that_is_done(finished: tuple[Path, Notes], coloured: Dataset) -> None:
    config = tiny_config(epochs=3, batch_size=7, ema_decay=0.9, label_smoothing=0.1, clip_norm=1.0)
    stop = StopsAfter(1)
    fit(config, coloured, finished[0], resume=True, stop=stop)
    assert stop.asked == 0
