"""Class weights and the loss, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from derm_core.training.losses import build_loss, class_weights

LABELS = np.array([0] * 1 + [1] * 4 + [2] * 16)
"""21 pictures: one, four and sixteen of a class."""


def weights_of(labels: np.ndarray, mode: str, num_classes: int = 3) -> torch.Tensor:
    weights = class_weights(labels, num_classes, mode)
    assert weights is not None
    assert weights.dtype == torch.float32
    return weights


def test_balanced_weights_are_one_over_frequency() -> None:
    # 21/1, 21/4 and 21/16; over the pictures they sum to 3 * 21, so a third of each.
    assert weights_of(LABELS, "balanced").tolist() == pytest.approx([7.0, 1.75, 0.4375])


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    peer = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert weights_of(LABELS, "balanced").tolist() == pytest.approx(peer.tolist())


def test_sqrt_weights_are_the_roots() -> None:
    # 1/1, 1/2 and 1/4; over the pictures they sum to 1 + 2 + 4 = 7 of 21: times three.
    assert weights_of(LABELS, "sqrt").tolist() == pytest.approx([3.0, 1.5, 0.75])


@pytest.mark.parametrize("mode", ["sqrt", "balanced"])
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_over_the_pictures_is_1(mode: str, seed: int) -> None:
    labels = np.random.default_rng(seed).choice(5, 97, p=[0.6, 0.2, 0.1, 0.07, 0.03])
    assert weights_of(labels, mode, 5)[labels].mean().item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("mode", ["sqrt", "balanced"])
def test_a_class_with_no_picture_has_weight_0_and_changes_no_other(mode: str) -> None:
    weights = weights_of(LABELS, mode, 4)
    assert weights[3] == 0
    assert torch.allclose(weights[:3], weights_of(LABELS, mode))


def test_no_weights_are_none() -> None:
    assert class_weights(LABELS, 3, "none") is None


def test_the_loss_is_cross_entropy_by_hand() -> None:
    loss = build_loss(LABELS, 3, weights="none", label_smoothing=0.0)
    logits = torch.tensor([[math.log(2.0), 0.0, 0.0], [0.0, 0.0, 0.0]])
    # Probabilities 1/2 and 1/3 of the truth.
    expected = (math.log(2) + math.log(3)) / 2
    assert loss(logits, torch.tensor([0, 2])).item() == pytest.approx(expected)


def test_weights_weigh_the_pictures_of_a_batch() -> None:
    loss = build_loss(LABELS, 3, weights="sqrt", label_smoothing=0.0)
    logits = torch.tensor([[math.log(2.0), 0.0, 0.0], [0.0, 0.0, 0.0]])
    # Weights 3 and 0.75 of a weighted mean.
    expected = (3 * math.log(2) + 0.75 * math.log(3)) / 3.75
    assert loss(logits, torch.tensor([0, 2])).item() == pytest.approx(expected)


def test_label_smoothing_spreads_a_share_over_all_classes() -> None:
    loss = build_loss(LABELS, 3, weights="none", label_smoothing=0.3)
    logits = torch.tensor([[math.log(2.0), 0.0, 0.0]])
    # 0.7 + 0.1 on the truth (1/2), 0.1 on each of the others (1/4).
    expected = 0.8 * math.log(2) + 0.2 * math.log(4)
    assert loss(logits, torch.tensor([0])).item() == pytest.approx(expected)
