"""Pictures on their way to the network: which ones, how normalised, how large, in how many views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from derm_core.data.batch_augmentation import BatchAugmentation
from derm_core.data.cache import open_pixels
from derm_core.data.dataset import ResumableBatches
from derm_core.data.table import Dataset
from derm_core.diagnoses import get_task
from derm_core.training.checkpoint import load_last
from derm_core.training.hardware import Hardware
from derm_core.training.loop import fit
from derm_core.training.records import read_records
from derm_core.training.run_folder import read_run_config
from derm_core.training.sources import PictureSource, channel_statistics, select_pictures
from derm_core.training.validation import predict_logits
from tests.derm_core.training.tiny import lively_network, saved_start, tiny_config

CPU = Hardware(torch.device("cpu"), torch.float32)
TASK = get_task("nv-bkl-mel")


def counts(subset: Dataset) -> list[int]:
    return np.bincount(subset.labels(TASK), minlength=3).tolist()


def test_a_cap_holds_for_the_pictures_that_are_trained_on_and_for_no_others(coloured: Dataset) -> None:
    config = tiny_config(data={"per_class": 2})
    assert counts(select_pictures(coloured, config, "train")) == [2, 2, 2]
    assert counts(select_pictures(coloured, config, "val")) == [3, 3, 3]
    assert counts(select_pictures(coloured, tiny_config(), "train")) == [8, 8, 8]


def test_a_cap_is_taken_of_what_a_limit_has_left(coloured: Dataset) -> None:
    config = tiny_config(data={"limit": 12, "per_class": 3})
    assert counts(select_pictures(coloured, config, "train")) == [3, 3, 3]
    kept = set(select_pictures(coloured, config, "train").table["image"])
    limited = select_pictures(coloured, tiny_config(data={"limit": 12}), "train")
    assert kept < set(limited.table["image"])


def test_a_fold_is_left_out_by_naming_the_others(coloured: Dataset) -> None:
    lesions = np.unique(coloured.lesions)
    fold_of = {lesion: f"fold-{place % 3}" for place, lesion in enumerate(lesions)}
    folds = replace(coloured, table=coloured.table.assign(split=[fold_of[one] for one in coloured.lesions]))
    config = tiny_config(data={"train_split": "fold-1+fold-2", "valid_split": "fold-0"})
    train = select_pictures(folds, config, config.data.train_split)
    valid = select_pictures(folds, config, config.data.valid_split)
    assert set(train.table["split"]) == {"fold-1", "fold-2"}
    assert set(valid.table["split"]) == {"fold-0"}
    assert len(train) + len(valid) == len(folds.for_task(TASK))
    assert not set(train.lesions) & set(valid.lesions)
    capped = tiny_config(data={"train_split": "fold-1+fold-2", "valid_split": "fold-0", "per_class": 2})
    assert counts(select_pictures(folds, capped, capped.data.train_split)) == [2, 2, 2]


def test_statistics_of_channels_are_those_of_the_hand() -> None:
    pixels = np.zeros((2, 1, 2, 3), np.uint8)
    pixels[0, 0] = [(255, 51, 0), (255, 153, 0)]
    pixels[1, 0] = [(0, 51, 0), (0, 153, 0)]
    mean, std = channel_statistics(pixels)
    # 1, 1, 0, 0; then 0.2, 0.6 twice; the last channel has no spread, and is kept from dividing by nothing.
    assert mean == pytest.approx((0.5, 0.4, 0.0))
    assert std == pytest.approx((0.5, 0.2, 0.001))


def test_featurewise_pictures_have_a_mean_of_0_and_a_deviation_of_1(
    coloured: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(data={"normalization": "featurewise"}, epochs=1)
    found, _ = read_run_config(fit(config, coloured, tmp_path / "run"))
    pixels = open_pixels(coloured.subset("train"), config.preprocessing)
    assert (found.data.mean, found.data.std) == channel_statistics(pixels)
    seen = found.preprocessing.tensor(np.array(pixels))
    torch.testing.assert_close(seen.mean(dim=(0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(seen.std(dim=(0, 2, 3)), torch.ones(3), rtol=0, atol=1e-3)


def test_statistics_that_are_given_are_not_found_again(coloured: Dataset, tmp_path: Path) -> None:
    given = {"normalization": "featurewise", "mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0]}
    out = fit(tiny_config(data=given, epochs=1), coloured, tmp_path / "run")
    found, _ = read_run_config(out)
    assert (found.data.mean, found.data.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert torch.load(out / "last.pt", weights_only=True)["config"]["data"]["mean"] == (0.1, 0.2, 0.3)


def test_a_batch_is_normalised_and_shrunk_to_the_size_of_its_epoch(coloured: Dataset) -> None:
    config = tiny_config(image_size=64, first_image_size=32, epochs=4, augmentation={})
    subset = coloured.subset("train")
    pixels = open_pixels(subset, config.preprocessing)
    source = PictureSource(config, (pixels, pixels), subset.labels(TASK), CPU)
    batches = ResumableBatches(24, 8, seed=0)
    (order, *_), ((shown, labels), *_) = list(batches), list(source.loader(batches, 0))
    assert labels.tolist() == subset.labels(TASK)[order].tolist()
    whole = source.inputs(shown, 3)
    torch.testing.assert_close(whole, config.preprocessing.tensor(np.array(pixels[order])))
    assert whole.is_contiguous(memory_format=torch.channels_last)
    small = source.inputs(shown, 0)
    assert small.shape == (8, 3, 32, 32)
    torch.testing.assert_close(small.mean(dim=(2, 3)), whole.mean(dim=(2, 3)), rtol=0, atol=0.02)


def test_a_batch_is_changed_as_its_settings_and_its_numbers_say(coloured: Dataset) -> None:
    config = tiny_config(augmentation={"flips": True, "rotation": 30.0, "contrast": 0.3})
    subset = coloured.subset("train")
    pixels = open_pixels(subset, config.preprocessing)
    source = PictureSource(config, (pixels, pixels), subset.labels(TASK), CPU)
    (((pictures, numbers), _), *_) = list(source.loader(ResumableBatches(24, 8, seed=0), 1))
    changed = BatchAugmentation(config.training.augmentation)(pictures, numbers)
    assert not torch.equal(changed, pictures.float())
    torch.testing.assert_close(
        source.inputs((pictures, numbers), 1), config.preprocessing.tensor(changed.permute(0, 2, 3, 1))
    )


class Corner(nn.Module):
    """Answers with the upper left pixel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[..., 0, 0]


@pytest.mark.parametrize(("views", "corners"), [(1, "a"), (2, "ab"), (4, "abcd"), (8, "aabbccdd")])
def test_validation_averages_as_many_views_as_are_asked_for(views: int, corners: str) -> None:
    config = tiny_config(data={"normalization": "rescale"}, evaluation={"views": views})
    pixels = np.random.default_rng(0).integers(0, 256, (70, 4, 4, 3), dtype=np.uint8)
    values = {"a": pixels[:, 0, 0], "b": pixels[:, 0, -1], "c": pixels[:, -1, 0], "d": pixels[:, -1, -1]}
    expected = np.mean([values[corner] / 255 for corner in corners], axis=0)
    np.testing.assert_allclose(predict_logits(Corner(), pixels, config, CPU), expected, atol=1e-6)


def test_the_record_of_an_epoch_is_that_of_the_views(coloured: Dataset, tmp_path: Path) -> None:
    subset = coloured.subset("val")
    pixels = open_pixels(subset, tiny_config().preprocessing)
    network = lively_network("shufflenet_v2_x0_5", tiny_config().preprocessing.tensor(np.array(pixels)))
    start = {"start": saved_start(tmp_path / "start", network)}
    config = tiny_config(epochs=1, evaluation={"views": 8}, model=start)
    out = fit(config, coloured, tmp_path / "run")
    network.load_state_dict(load_last(out)["model"])
    labels = torch.from_numpy(subset.labels(TASK))
    losses = [
        nn.functional.cross_entropy(
            torch.from_numpy(predict_logits(network, pixels, seen, CPU)), labels
        ).item()
        for seen in (config, tiny_config())
    ]
    recorded = read_records(out)["valid_loss"].item()
    assert recorded == pytest.approx(losses[0], rel=1e-5)
    assert abs(recorded / losses[1] - 1) > 1e-3
