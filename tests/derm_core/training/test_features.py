"""A frozen body is run once: what it gave stands for it, and is shared between runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from derm_core.data.batch_augmentation import BatchAugmentation
from derm_core.data.cache import open_pixels
from derm_core.data.dataset import ResumableBatches, TrainingPictures
from derm_core.data.table import Dataset
from derm_core.diagnoses import get_task
from derm_core.models import build_model, classifier_layer
from derm_core.training import features
from derm_core.training.checkpoint import load_best, load_last
from derm_core.training.features import FeatureSource, split_at_weights
from derm_core.training.hardware import Hardware
from derm_core.training.loop import fit
from derm_core.training.records import read_records
from derm_core.training.sections import RunConfig
from derm_core.training.validation import predict_logits
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.tiny import lively_network, saved_start, tiny_config

CPU = Hardware(torch.device("cpu"), torch.float32)
TASK = get_task("nv-bkl-mel")
FROZEN = {"frozen": -1}
FLIPS = {"flips": True, "brightness": 0.4}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Twelve pictures to train on and six to check on, with a cache of their own."""
    return coloured_dataset(tmp_path / "set", train=12, valid=6)


def frozen_config(architecture: str = "mobilenet_v3_small", **settings: Any) -> RunConfig:
    model = {**FROZEN, **settings.pop("model", {})}
    return tiny_config(architecture, model=model, **{"batch_size": 4, "augmentation": {}, **settings})


def network_of(config: RunConfig, dataset: Dataset) -> torch.nn.Module:
    pixels = open_pixels(dataset, config.preprocessing)
    images = config.preprocessing.tensor(np.array(pixels))
    return lively_network(config.model.architecture, images, head_units=config.model.head_units)


def source_of(dataset: Dataset, config: RunConfig, network: torch.nn.Module) -> FeatureSource:
    subsets = dataset.subset("train"), dataset.subset("val")
    pixels = tuple(open_pixels(subset, config.preprocessing) for subset in subsets)
    return FeatureSource(config, network, subsets, (pixels[0], pixels[1]), subsets[0].labels(TASK), CPU)


def kept(dataset: Dataset) -> set[str]:
    return {path.name for path in (dataset.folder / "cache").glob("features-*")}


@pytest.mark.parametrize(
    "architecture", ["mobilenet_v3_small", "shufflenet_v2_x0_5", "alexnet", "densenet121"]
)
@torch.no_grad()
def test_a_network_is_cut_behind_all_that_has_no_weights(architecture: str) -> None:
    torch.manual_seed(0)
    network = build_model(architecture, 3).eval()
    front, back = split_at_weights(network, architecture)
    pictures = torch.randn(2, 3, 64, 64)
    rows = front(pictures)
    assert rows.ndim == 2
    assert torch.equal(back(rows), network(pictures))
    first = next(iter(back.children()))
    assert list(first.parameters())


@pytest.mark.parametrize("views", [1, 8])
@pytest.mark.parametrize("architecture", ["mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_features_answer_the_validation_pictures_as_the_whole_network_does(
    architecture: str, views: int, dataset: Dataset
) -> None:
    config = frozen_config(architecture, evaluation={"views": views})
    network = network_of(config, dataset).train()
    source = source_of(dataset, config, network)
    logits = source.valid_logits(network)
    assert all(module.training for module in network.modules())
    pixels = open_pixels(dataset.subset("val"), config.preprocessing)
    expected = predict_logits(network, pixels, config, CPU)
    assert (logits.shape, logits.dtype) == ((6, 3), np.float32)
    # Kept as float16: 11 bits of each feature.
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logits, expected, atol=2e-3 * np.abs(expected).max())


def test_more_pictures_than_a_batch_are_answered_in_their_order(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = frozen_config(evaluation={"views": 2})
    network = network_of(config, dataset)
    whole = source_of(dataset, config, network).valid_logits(network)
    monkeypatch.setattr(features, "_BATCH", 4)
    np.testing.assert_allclose(
        source_of(dataset, config, network).valid_logits(network), whole, atol=1e-5, rtol=0
    )


def test_rows_of_a_batch_answer_as_its_pictures_do(dataset: Dataset) -> None:
    config = frozen_config(augmentation=FLIPS, feature_views=2, model={"head_units": 8})
    network = network_of(config, dataset)
    source, subset = source_of(dataset, config, network), dataset.subset("train")
    pictures = TrainingPictures(
        open_pixels(subset, config.preprocessing),
        subset.labels(TASK),
        config.training.augmentation,
        seed=config.training.seed,
    )
    answers = []
    for epoch in range(3):
        batches = ResumableBatches(12, 4, seed=0)
        (order, *_) = list(batches)
        ((rows, labels), *_) = list(source.loader(batches, epoch))
        assert labels.tolist() == subset.labels(TASK)[order].tolist()
        # Each view is that of the epoch of its number, and comes again once all had their turn.
        pictures.epoch = epoch % 2
        (images, numbers), _ = pictures[order]
        shown = BatchAugmentation(config.training.augmentation)(images, numbers).permute(0, 2, 3, 1)
        with torch.no_grad():
            expected = network(config.preprocessing.tensor(shown))
            logits = source.network(network.eval())(source.inputs(rows, epoch))
        torch.testing.assert_close(logits, expected, rtol=0, atol=2e-3 * float(expected.abs().max()))
        answers.append(logits)
    assert torch.equal(answers[0], answers[2])
    assert not torch.allclose(answers[0], answers[1], atol=1e-2)


def test_a_picture_that_is_drawn_again_brings_the_same_features(dataset: Dataset) -> None:
    config = frozen_config()
    source = source_of(dataset, config, network_of(config, dataset))
    shares = torch.tensor([0.0] * 11 + [1.0])
    ((rows, labels), *_) = list(source.loader(ResumableBatches(12, 4, seed=0, shares=shares), 0))
    assert (rows == rows[0]).all()
    assert set(labels.tolist()) == {2}


def runs_of_the_body(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures went through a body, batch by batch."""
    seen: list[int] = []
    cut = features.split_at_weights

    def counted(model: torch.nn.Module, architecture: str) -> Any:
        body, head = cut(model, architecture)
        body.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
        return body, head

    monkeypatch.setattr(features, "split_at_weights", counted)
    return seen


def test_features_are_computed_once_and_shared_by_runs_of_another_learning_rate(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = runs_of_the_body(monkeypatch)
    config = frozen_config(augmentation=FLIPS, feature_views=3, epochs=4)
    fit(config, dataset, tmp_path / "first")
    # Three views of twelve pictures and one of six, however many epochs there are.
    assert seen == [12, 12, 12, 6]
    files = kept(dataset)
    assert len(files) == 4
    other = frozen_config(
        augmentation=FLIPS, feature_views=3, epochs=2, learning_rate=0.1, class_weights="none", sampler="sqrt"
    )
    fit(other, dataset, tmp_path / "second")
    assert sum(seen) == 42
    assert kept(dataset) == files


@pytest.mark.parametrize(
    ("changed", "anew"),
    [
        ({"seed": 1}, [12, 6]),
        ({"augmentation": {"flips": True}}, [12]),
        ({"augmentation": FLIPS, "image_size": 64}, [12, 6]),
        ({"augmentation": FLIPS, "data": {"normalization": "rescale"}}, [12, 6]),
        ({"augmentation": FLIPS, "precision": "bfloat16"}, [12, 6]),
        ({"augmentation": FLIPS, "evaluation": {"views": 2}}, [12]),
    ],
)
def test_what_changes_the_features_makes_them_anew(
    changed: dict[str, Any],
    anew: list[int],
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit(frozen_config(augmentation=FLIPS, epochs=1), dataset, tmp_path / "first")
    seen, before = runs_of_the_body(monkeypatch), kept(dataset)
    # Another seed is another random body, too.
    fit(frozen_config(**{"augmentation": FLIPS, "epochs": 1, **changed}), dataset, tmp_path / "second")
    assert seen == anew
    assert len(kept(dataset) - before) == len(anew)


def test_nothing_but_the_head_learns(dataset: Dataset, tmp_path: Path) -> None:
    config = frozen_config("shufflenet_v2_x0_5", epochs=3, ema_decay=0.9, weight_decay=0.5)
    out = fit(config, dataset, tmp_path / "run")
    torch.manual_seed(0)
    before = build_model("shufflenet_v2_x0_5", 3).state_dict()
    for state in (load_last(out)["model"], load_best(out)["model"]):
        moved = {name for name, value in state.items() if not torch.equal(value, before[name])}
        assert moved == {"fc.weight", "fc.bias"}


def test_the_kept_network_answers_as_was_recorded(dataset: Dataset, tmp_path: Path) -> None:
    network = network_of(frozen_config(), dataset)
    start = {"start": saved_start(tmp_path / "start", network)}
    config = frozen_config(epochs=2, model=start, evaluation={"views": 2})
    out = fit(config, dataset, tmp_path / "run")
    network.load_state_dict(load_last(out)["model"])
    subset = dataset.subset("val")
    logits = torch.from_numpy(predict_logits(network, open_pixels(subset, config.preprocessing), config, CPU))
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(subset.labels(TASK)))
    assert read_records(out)["valid_loss"].iloc[-1] == pytest.approx(loss.item(), rel=1e-3)


def test_a_head_learns_from_features(dataset: Dataset, tmp_path: Path) -> None:
    network = network_of(frozen_config("shufflenet_v2_x0_5"), dataset)
    config = frozen_config(
        "shufflenet_v2_x0_5",
        model={"start": saved_start(tmp_path / "start", network)},
        epochs=8,
        learning_rate=0.01,
        warmup_epochs=0,
        augmentation={"flips": True},
        feature_views=2,
    )
    losses = read_records(fit(config, dataset, tmp_path / "run"))["train_loss"]
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]


def test_a_person_is_told_of_the_features_that_are_made(dataset: Dataset, tmp_path: Path) -> None:
    told: list[str] = []

    class Notes:
        def prepare(self, pictures: int) -> Callable[[int], object]:
            told.append(f"prepare {pictures}")
            return lambda count: told.append(f"done {count}")

        def begin_epoch(self, *arguments: int) -> None:
            told.append("begin")

        def end_step(self, loss: float, metric: float | None) -> None:
            pass

        def end_epoch(self, record: dict[str, Any], best: bool) -> None:
            pass

    config = frozen_config(epochs=1)
    fit(config, dataset, tmp_path / "run", observer=Notes())
    # Pixels of both splits, then features of both.
    assert told == ["prepare 12", "done 12", "prepare 6", "done 6"] * 2 + ["begin"]


def test_features_of_timms_networks_do_not_depend_on_the_classifier(dataset: Dataset) -> None:
    pytest.importorskip("timm", reason="timm is not installed: its networks are not tested")
    config = frozen_config("test_resnet")
    torch.manual_seed(0)
    network = build_model("test_resnet", 3)
    source = source_of(dataset, config, network)
    files = kept(dataset)
    with torch.no_grad():
        classifier_layer(network).weight.add_(1)
    again = source_of(dataset, config, network)
    assert kept(dataset) == files
    expected = predict_logits(network, open_pixels(dataset.subset("val"), config.preprocessing), config, CPU)
    for made in (source, again):
        np.testing.assert_allclose(made.valid_logits(network), expected, atol=2e-3 * np.abs(expected).max())
