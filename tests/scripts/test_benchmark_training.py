"""The training benchmark: the same for every side, and figures that follow from the times. No time is asserted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import _benchmark_options
import _benchmark_peak
import _benchmark_sides as sides
import _benchmark_training as training
import numpy as np
import pytest
import torch
from _benchmark_loop import Loop, balanced_accuracy, random_changes
from _benchmark_places import PEERS_PLACE, places_of
from _benchmark_results import Result, compare, judge, readable
from _benchmark_training_page import training_page
from _benchmark_turns import Epoch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from derm_core.data.augmentation import Augmentation
from derm_core.data.table import load_dataset
from derm_core.diagnoses import TASKS
from derm_core.errors import ConfigError
from derm_core.evaluation.metrics import evaluate_probabilities
from derm_core.experiments.cost import network_cost
from derm_core.models import build_model
from derm_core.training.checkpoint import load_best
from tests.derm_core.data.coloured import coloured_dataset

SIZE = 32


class Record:
    """A turn that never waits, and keeps what it is given."""

    def __init__(self) -> None:
        self.begun = 0
        self.epochs: list[dict[str, float]] = []

    def begin(self) -> None:
        self.begun += 1

    def end_epoch(self, **figures: float) -> None:
        self.epochs.append(figures)


def options(dataset: Path, **changes: object) -> training.Options:
    chosen: dict[str, object] = {
        "dataset": dataset,
        "pictures": 0,
        "epochs": 2,
        "image_size": SIZE,
        "first_image_size": 0,
        "workers": 0,
        "threads": 1,
        "target": None,
        "peers": ("plain",),
        "contests": ("full",),
        "frozen_architecture": "mobilenet_v3_small",
        "pretrained": False,
    }
    return training.Options(**(chosen | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coloured_dataset(tmp_path_factory.mktemp("benchmark") / "set", train=36, valid=12).folder


# timm leaves the files that it reads to the garbage collector.
OPEN_FILES = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize(
    "name",
    [
        "ours",
        "plain",
        pytest.param("timm", marks=OPEN_FILES),
        pytest.param("timm-bfloat16", marks=OPEN_FILES),
    ],
)
def test_every_side_hands_in_its_epochs(name: str, pictures: Path) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    run: Callable[..., None] = sides.train_ours if name == "ours" else training.PEERS[name]
    config = training.frozen_config(options(pictures))
    record = Record()
    with places_of(load_dataset(pictures), config, 0, ["ours"]) as (places, _):
        run(sides.Assignment(config, places["ours" if name == "ours" else PEERS_PLACE], 1), record)
    assert record.begun == 1
    assert [epoch["pictures"] for epoch in record.epochs] == [32, 32]
    for epoch in record.epochs:
        assert 0 <= epoch["balanced_accuracy"] <= 1
        assert 0 <= epoch["waiting_seconds"] <= epoch["training_seconds"]
    assert not nn.modules.module._global_forward_pre_hooks


def test_peers_start_from_the_weights_that_the_engine_starts_from(pictures: Path, tmp_path: Path) -> None:
    config = training.frozen_config(options(pictures, epochs=1))
    with places_of(load_dataset(pictures), config, 0, ["ours"]) as (places, _):
        sides.train_ours(sides.Assignment(config, places["ours"], 1), Record())
        trained = load_best(places["ours"] / sides.RUN)["model"]
    body = {
        name: tensor
        for name, tensor in Loop(sides.Assignment(config, tmp_path, 1), Record())
        .build_model()
        .state_dict()
        .items()
        if name.startswith("features.")
    }
    assert body
    assert all(torch.equal(tensor, trained[name]) for name, tensor in body.items())


def test_random_changes_to_pil_pictures_are_the_squares_eight_symmetries() -> None:
    picture = Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2), "L")
    change = v2.Compose(random_changes(Augmentation(flips=True)))
    torch.manual_seed(0)
    assert len({change(picture).tobytes() for _ in range(200)}) == 8


def test_balanced_accuracy_is_the_engines() -> None:
    labels, seen = np.array([0, 0, 0, 2]), np.array([0, 1, 0, 2])
    assert balanced_accuracy(labels, seen) == pytest.approx((2 / 3 + 1) / 2)
    figures = evaluate_probabilities(
        labels,
        np.eye(3)[seen],
        classes=("nv", "mel", "bkl"),
        malignant=(False, True, False),
        lesions=np.arange(4),
        operating_threshold=None,
        bootstrap=1,
    )
    assert figures["balanced_accuracy"] == pytest.approx(balanced_accuracy(labels, seen))


def test_places_hold_the_same_pictures_and_no_cache(pictures: Path) -> None:
    config = training.full_config(options(pictures))
    with places_of(load_dataset(pictures), config, 33, ["a", "b"]) as (places, counts):
        assert counts == {"training_pictures": 33, "validation_pictures": 12}
        copies = [load_dataset(places[side] / sides.PICTURES) for side in "ab"]
        for copy in copies:
            assert sorted(path.name for path in copy.folder.iterdir()) == ["images", "metadata.csv"]
        classes = sorted(path.name for path in (places[PEERS_PLACE] / "train").iterdir())
        assert [name.partition("-")[2] for name in classes] == list(TASKS["ham7"].classes)
        theirs = sorted(path.read_bytes() for path in places[PEERS_PLACE].rglob("*.png"))
        ours = sorted(copies[0].image_path(index).read_bytes() for index in range(len(copies[0])))
        assert theirs == ours
        for index, code in enumerate(copies[0].table["diagnosis"]):
            split = copies[0].table["split"].iloc[index]
            (folder,) = (places[PEERS_PLACE] / split).glob(f"*-{code}")
            assert copies[0].image_path(index).read_bytes() in {
                path.read_bytes() for path in folder.iterdir()
            }
        folder = places["a"]
    assert not folder.exists()


def test_fewer_pictures_than_a_batch_are_one_clear_sentence(pictures: Path) -> None:
    config = training.full_config(options(pictures))
    with (
        pytest.raises(ConfigError, match="9 training pictures, fewer than a batch of 32"),
        places_of(load_dataset(pictures), config, 9, []),
    ):
        pass


def test_waiting_ends_when_a_network_in_training_has_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(sides.time, "perf_counter", lambda: now[0])
    network, batch = nn.Linear(2, 2), torch.zeros(1, 2)
    with sides.Waiting() as waiting:
        waiting.begin()
        now[0] = 2.0
        v2.RandomHorizontalFlip()(batch)
        now[0] = 3.0
        network(batch)
        now[0] = 10.0
        network(batch)
        waiting.begin()
        now[0] = 20.0
        network.eval()(batch)
        assert waiting.take() == 3.0
        assert waiting.take() == 0.0
    assert not nn.modules.module._global_forward_pre_hooks


def epoch(seconds: float, accuracy: float) -> Epoch:
    figures = {
        "balanced_accuracy": accuracy,
        "pictures": 100,
        "training_seconds": 4.0,
        "waiting_seconds": 1.0,
    }
    return Epoch(seconds, 2 * seconds, figures)


def test_a_side_is_judged_by_all_of_its_time_and_the_first_epoch_at_the_target() -> None:
    ours = judge([epoch(20, 0.3), epoch(5, 0.5), epoch(5, 0.4)], 0.5, seconds_at_peak=0.02)
    assert (ours.seconds, ours.images_per_second, ours.steps_images_per_second) == (30, 10, 25)
    assert (ours.share_of_peak, ours.waiting_share) == (0.5, 0.25)
    assert (ours.target_epoch, ours.seconds_to_target) == (2, 25)
    theirs = judge([epoch(50, 0.3), epoch(50, 0.4), epoch(50, 0.5)], 0.5, seconds_at_peak=None)
    assert (theirs.target_epoch, theirs.seconds_to_target, theirs.share_of_peak) == (3, 150, None)
    assert compare("ours", ours, "plain", theirs) == {
        "what": "ours",
        "against": "plain",
        "times_as_fast": 5.0,
        "times_as_fast_to_target": 6.0,
        "times_the_processor": 5.0,
    }


def contest_of(name: str, ours: Result, plain: Result, target: float) -> dict[str, Any]:
    """What a contest against the plain loop hands in."""
    return {
        "contest": name,
        "network": "resnet18",
        "start": "random",
        "image_size": 128,
        "training_pictures": 2000,
        "validation_pictures": 254,
        "epochs": len(plain.epoch_seconds),
        "workers": 2,
        "target": target,
        "target_of": "given",
        "results": {"ours": vars(ours), "plain": vars(plain)},
        "comparisons": [compare("ours", ours, "plain", plain)],
    }


def test_a_target_that_nobody_reached_is_told(pictures: Path) -> None:
    ours = judge([epoch(20, 0.3)], 0.9, seconds_at_peak=None)
    assert ours.target_epoch is None
    assert compare("ours", ours, "plain", ours)["times_as_fast_to_target"] is None
    contest = contest_of("frozen", ours, ours, 0.9)
    text = "\n".join(readable(contest))
    assert "target not reached" in text
    assert "to the target no comparison" in text


def test_the_page_tells_ratios_by_the_first_peer_and_what_the_processor_allows() -> None:
    ours = judge([epoch(5, 0.3), epoch(5, 0.6)], 0.5, seconds_at_peak=0.01)
    plain = judge([epoch(10, 0.3), epoch(20, 0.5)], 0.5, seconds_at_peak=0.032)
    contest = contest_of("full", ours, plain, 0.5)
    machine = {"processor": "a processor", "cores": "2", "torch": "2.15"}
    report = {
        "machine": machine,
        "matrix_peak": {"float32": 100e9, "bfloat16": 240e9},
        "contests": [contest],
    }
    page = training_page(report, command="measure it")
    assert "Made by `measure it`, in one run on a processor, 2 cores, PyTorch 2.15." in page
    assert "resnet18 from a random start at 128 pixels, 2,000 training and 254 validation pictures" in page
    assert "| Dermatrace | 3.00 | 3.00 | 0.33 | 25% | 25% | 0.600 |" in page
    assert "| plain loop, float32 | 1.00 | 1.00 | 1.00 | 80% | 25% | 0.500 |" in page
    assert "bfloat16 is 2.40 times that in float32 here, of which the plain loop, float32 reaches 80%" in page
    assert "more than 3.0 times as fast" in page
    one_peak = training_page(report | {"matrix_peak": {"float32": 100e9}}, command="measure it")
    assert "bfloat16 is" not in one_peak


def test_the_page_says_where_the_target_was_not_reached() -> None:
    ours = judge([epoch(20, 0.3)], 0.9, seconds_at_peak=None)
    contest = contest_of("frozen", ours, ours, 0.9)
    report = {
        "machine": {"processor": "p", "cores": "1", "torch": "2"},
        "matrix_peak": {},
        "contests": [contest],
    }
    page = training_page(report, command="measure it")
    assert "| Dermatrace | 1.00 | not reached | 1.00 |  |  | 0.300 |" in page


def test_a_steps_operations_are_those_of_a_pass_forward_and_two_backward(pictures: Path) -> None:
    config = training.full_config(options(pictures))
    forward = 2 * network_cost(build_model("resnet18", 7), SIZE).multiply_adds
    # Nobody wants the gradient of the pictures: the first convolution (7 x 7, 3 to 64 channels, stride 2) has one less.
    first = 2 * 7 * 7 * 3 * 64 * (SIZE // 2) ** 2
    assert _benchmark_peak.step_operations(config) == 3 * forward - first


def test_a_peer_that_is_not_installed_is_left_out_with_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: None)
    assert training._installed(["plain", "timm"]) == ["plain"]
    assert capsys.readouterr().out == "timm is left out: timm is not installed.\n"
    with pytest.raises(ConfigError, match="nothing to measure against"):
        training._installed(["fastai"])


def test_the_peers_that_the_command_names_are_those_there_are() -> None:
    assert {*_benchmark_options.PEERS, *_benchmark_options.MORE_PEERS} == set(training.PEERS)
