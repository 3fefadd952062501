"""Class weights, the loss, and what a teacher adds to it, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from derm_core.training.losses import FocalLoss, build_loss, class_weights, distillation_loss
from derm_core.training.sections import TrainingConfig

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


def test_effective_weights_are_one_over_the_effective_number_of_pictures() -> None:
    # With a beta of 0.999 one picture counts as 1, four as 1 + 0.999 + 0.999^2 + 0.999^3, and so on.
    numbers = np.array([sum(0.999**power for power in range(count)) for count in (1, 4, 16)])
    weights = 21 / (1 / numbers @ [1, 4, 16]) / numbers
    assert weights_of(LABELS, "effective").tolist() == pytest.approx(weights.tolist(), rel=1e-5)
    # Many pictures of a class show little that is new: 5000 and 50000 weigh nearly alike.
    many = weights_of(np.array([0] * 5000 + [1] * 50000), "effective", 2)
    assert 1 < many[0] / many[1] < 1.01


@pytest.mark.parametrize("mode", ["sqrt", "balanced", "effective"])
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_over_the_pictures_is_1(mode: str, seed: int) -> None:
    labels = np.random.default_rng(seed).choice(5, 97, p=[0.6, 0.2, 0.1, 0.07, 0.03])
    assert weights_of(labels, mode, 5)[labels].mean().item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("mode", ["sqrt", "balanced", "effective"])
def test_a_class_with_no_picture_has_weight_0_and_changes_no_other(mode: str) -> None:
    weights = weights_of(LABELS, mode, 4)
    assert weights[3] == 0
    assert torch.allclose(weights[:3], weights_of(LABELS, mode))


def test_no_weights_are_none() -> None:
    assert class_weights(LABELS, 3, "none") is None


def test_the_loss_is_cross_entropy_by_hand() -> None:
    loss = build_loss(LABELS, 3, TrainingConfig(class_weights="none", label_smoothing=0.0))
    logits = torch.tensor([[math.log(2.0), 0.0, 0.0], [0.0, 0.0, 0.0]])
    # Probabilities 1/2 and 1/3 of the truth.
    expected = (math.log(2) + math.log(3)) / 2
    assert loss(logits, torch.tensor([0, 2])).item() == pytest.approx(expected)


def test_weights_weigh_the_pictures_of_a_batch() -> None:
    loss = build_loss(LABELS, 3, TrainingConfig(class_weights="sqrt", label_smoothing=0.0))
    logits = torch.tensor([[math.log(2.0), 0.0, 0.0], [0.0, 0.0, 0.0]])
    # Weights 3 and 0.75 of a weighted mean.
    expected = (3 * math.log(2) + 0.75 * math.log(3)) / 3.75
    assert loss(logits, torch.tensor([0, 2])).item() == pytest.approx(expected)


def test_label_smoothing_spreads_a_share_over_all_classes() -> None:
    loss = build_loss(LABELS, 3, TrainingConfig(class_weights="none", label_smoothing=0.3))
    logits = torch.tensor([[math.log(2.0), 0.0, 0.0]])
    # 0.7 + 0.1 on the truth (1/2), 0.1 on each of the others (1/4).
    expected = 0.8 * math.log(2) + 0.2 * math.log(4)
    assert loss(logits, torch.tensor([0])).item() == pytest.approx(expected)


FOCAL = TrainingConfig(loss="focal", class_weights="none", focal_gamma=2.0)


def test_the_focal_loss_is_that_of_the_hand() -> None:
    logits = torch.tensor([[math.log(2.0), 0.0, 0.0], [0.0, 0.0, 0.0]])
    # Probabilities 1/2 and 1/3 of the truth: (1/2)^2 and (2/3)^2 of the cross-entropy.
    expected = (math.log(2) / 4 + 4 / 9 * math.log(3)) / 2
    loss = build_loss(LABELS, 3, FOCAL)
    assert loss(logits, torch.tensor([0, 2])).item() == pytest.approx(expected)
    # Weights of 3 and 0.75, and still the mean over the two pictures.
    weighted = build_loss(LABELS, 3, replace(FOCAL, class_weights="sqrt"))
    expected = (3 * math.log(2) / 4 + 0.75 * 4 / 9 * math.log(3)) / 2
    assert weighted(logits, torch.tensor([0, 2])).item() == pytest.approx(expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("mixed", [False, True])
def test_with_a_gamma_of_0_the_focal_loss_is_cross_entropy(smoothing: float, mixed: bool) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    targets = 0.7 * torch.eye(3)[labels] + 0.3 * torch.eye(3)[labels.flip(0)] if mixed else labels
    focal = FocalLoss(None, gamma=0.0, label_smoothing=smoothing)
    expected = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    assert focal(logits, targets).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_the_focal_loss_of_a_certain_answer_has_a_finite_slope(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]], requires_grad=True)
    loss = FocalLoss(None, gamma=gamma)(logits, torch.tensor([0, 0]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0].abs().max() < 1e-6
    # The second is certain of the wrong class, and learns as from cross-entropy: 1/2 of its share of the mean.
    assert logits.grad[1].tolist() == pytest.approx([-0.5, 0.5, 0.0], abs=1e-6)


def test_the_weights_of_a_focal_loss_move_with_it() -> None:
    loss = build_loss(LABELS, 3, replace(FOCAL, class_weights="balanced"))
    assert [buffer.tolist() for buffer in loss.buffers()] == [[7.0, 1.75, 0.4375]]


def test_a_teachers_share_of_the_loss_is_that_of_the_hand() -> None:
    logits = torch.tensor([[0.0, 0.0]])
    teacher = torch.tensor([[2 * math.log(3.0), 0.0]])
    # At a temperature of 2 the teacher says 3/4 and 1/4, the network 1/2 and 1/2; the square of 2 is 4.
    expected = 4 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    assert distillation_loss(logits, teacher, 2.0).item() == pytest.approx(expected)
    twice = distillation_loss(logits.repeat(2, 1), teacher.repeat(2, 1), 2.0)
    assert twice.item() == pytest.approx(expected)


def test_a_network_that_answers_as_its_teacher_has_nothing_to_learn_from_it() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    loss = distillation_loss(logits, logits.detach().clone(), 4.0)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros(4, 3), rtol=0, atol=1e-6)
