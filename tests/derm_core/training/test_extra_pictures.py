"""A second dataset beside the first: which of its pictures are learnt from, and as what."""

from __future__ import annotations

import io
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from derm_core.data.table import Dataset, write_dataset
from derm_core.diagnoses import get_task
from derm_core.errors import ConfigError
from derm_core.training.checkpoint import load_last
from derm_core.training.extra_pictures import open_extra, side_members
from derm_core.training.loop import fit
from derm_core.training.losses import SidesLoss, build_loss
from derm_core.training.records import read_records
from derm_core.training.run_folder import read_run_config
from derm_core.training.sections import TrainingConfig
from tests.derm_core.data.coloured import spotted_picture
from tests.derm_core.training.tiny import differences, tiny_config

BKL, MEL, NV, BENIGN, MALIGNANT = range(5)
"""Labels of the task nv-bkl-mel with its two sides."""


def extra_dataset(folder: Path, rows: list[tuple[str, str, str]]) -> Dataset:
    """A dataset of `(diagnosis, lesion, split)` rows; its pictures are of melanoma's colour."""
    pictures = []
    for number in range(len(rows)):
        stream = io.BytesIO()
        spotted_picture("mel", 1000 + number).save(stream, "PNG")
        pictures.append(stream.getvalue())
    table = pd.DataFrame(
        {
            "image": [f"extra-{number}.png" for number in range(len(rows))],
            "diagnosis": [row[0] for row in rows],
            "lesion_id": [row[1] for row in rows],
            "age": math.nan,
            "sex": "",
            "site": "",
            "confirmed_by": "",
            "split": [row[2] for row in rows],
        }
    )
    return write_dataset(folder, table, pictures)


@pytest.fixture
def extra(tmp_path: Path) -> Dataset:
    # lesion-0 is a bkl to train on, lesion-1 a mel, lesion-24 is validated on (see coloured_dataset).
    return extra_dataset(
        tmp_path / "extra",
        [
            ("benign", "lesion-0", "train"),
            ("malignant", "lesion-24", "train"),
            ("malignant", "lesion-1", "val"),
            ("malignant", "", "train"),
            ("benign", "own", "train"),
            ("nv", "other", "train"),
            ("vasc", "else", "train"),
        ],
    )


def test_known_lesions_have_their_diagnosis_and_the_others_their_own_or_a_side(
    coloured: Dataset, extra: Dataset
) -> None:
    found = open_extra(tiny_config(data={"extra": str(extra.folder)}), coloured)
    assert found is not None
    by_image = dict(zip(found.dataset.table["image"], found.labels.tolist(), strict=True))
    # Left out: the lesion that is validated on, the picture that is not to be trained on, and vasc, which is no class.
    assert by_image == {
        "extra-0.png": BKL,
        "extra-3.png": MALIGNANT,
        "extra-4.png": BENIGN,
        "extra-5.png": NV,
    }
    assert found.labels.dtype == np.int64


def test_a_limit_holds_for_the_second_dataset_too(coloured: Dataset, extra: Dataset) -> None:
    # One of each of its diagnoses is kept at least.
    whole = open_extra(tiny_config(data={"extra": str(extra.folder)}), coloured)
    limited = open_extra(tiny_config(data={"extra": str(extra.folder), "limit": 1}), coloured)
    assert whole is not None
    assert limited is not None
    assert len(limited.dataset) < len(whole.dataset)
    assert set(limited.dataset.table["image"]) < set(whole.dataset.table["image"])


def test_no_second_dataset_adds_nothing(coloured: Dataset) -> None:
    assert open_extra(tiny_config(), coloured) is None


def test_a_second_dataset_with_nothing_to_learn_from_is_refused(coloured: Dataset, tmp_path: Path) -> None:
    folder = extra_dataset(tmp_path / "extra", [("malignant", "lesion-24", "train")]).folder
    with pytest.raises(ConfigError, match=r"data\.extra is .* no picture to add"):
        open_extra(tiny_config(data={"extra": str(folder)}), coloured)


@pytest.mark.parametrize(
    "settings", [{"model": {"frozen": -1}}, {"loss": "focal"}], ids=["frozen body", "focal loss"]
)
def test_settings_that_a_second_dataset_does_not_go_with_are_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match=r"data\.extra is 'elsewhere'; a second dataset needs"):
        tiny_config(data={"extra": "elsewhere"}, **settings)


def test_members_of_the_sides() -> None:
    assert side_members(get_task("nv-bkl-mel")).tolist() == [[True, False, True], [False, True, False]]


def test_a_side_costs_minus_the_log_of_its_classes_probability() -> None:
    loss = SidesLoss(side_members(get_task("nv-bkl-mel")), None)
    logits = torch.tensor([[0.2, 0.3, 0.5]]).log()
    costs = [loss(logits, torch.tensor([label])).item() for label in range(5)]
    assert costs == pytest.approx([-math.log(share) for share in (0.2, 0.3, 0.5, 0.7, 0.3)], abs=1e-6)
    mixed = torch.tensor([[0.5, 0.0, 0.0, 0.0, 0.5]])
    assert loss(logits, mixed).item() == pytest.approx((costs[BKL] + costs[MALIGNANT]) / 2, abs=1e-6)


def test_without_sides_the_loss_is_cross_entropy_over_shares() -> None:
    torch.manual_seed(0)
    logits, shares = torch.randn(6, 3), torch.rand(6, 3).softmax(dim=1)
    config = TrainingConfig(class_weights="sqrt", label_smoothing=0.1)
    labels = np.array([0, 1, 1, 2, 2, 2, 2])
    ours = build_loss(labels, 3, config, sides=side_members(get_task("nv-bkl-mel")))
    plain = build_loss(labels, 3, config)
    padded = torch.cat([shares, torch.zeros(6, 2)], dim=1)
    assert ours(logits, padded).item() == pytest.approx(plain(logits, shares).item(), rel=1e-5)


def test_training_learns_from_both_and_resumes_to_the_same_weights(
    coloured: Dataset, extra: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(
        data={"extra": str(extra.folder)}, augmentation={"flips": True, "mixup": 0.4, "cutmix": 1.0}
    )
    whole = fit(config, coloured, tmp_path / "whole")
    # 24 and 4 pictures are three batches of 8.
    assert load_last(whole)["step"] == 2 * 3
    assert (
        read_run_config(whole)[1]["extra_fingerprint"] == open_extra(config, coloured).dataset.fingerprint()
    )  # type: ignore[union-attr]
    assert all(0 <= share <= 1 for share in read_records(whole)["train_errs"])
    one = fit(tiny_config(data={"extra": str(extra.folder)}, epochs=1), coloured, tmp_path / "one")
    assert differences(load_last(one)["model"], load_last(whole)["model"])
    again = fit(config, coloured, tmp_path / "again")
    assert not differences(load_last(again)["model"], load_last(whole)["model"])


def test_a_run_is_not_continued_beside_other_extra_pictures(
    coloured: Dataset, extra: Dataset, tmp_path: Path
) -> None:
    config = tiny_config(data={"extra": str(extra.folder)}, epochs=1)
    run = fit(config, coloured, tmp_path / "run")
    shutil.rmtree(extra.folder)
    extra_dataset(extra.folder, [("malignant", "", "train")])
    with pytest.raises(ConfigError, match="was trained beside other data"):
        fit(config, coloured, run, resume=True)
