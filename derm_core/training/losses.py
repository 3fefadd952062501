"""The loss of training: cross-entropy or focal, the weight of each class in it, and what a teacher adds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from derm_core.training.sections import TrainingConfig

_EFFECTIVE_BETA = 0.999


def class_weights(labels: np.ndarray, num_classes: int, mode: str) -> Tensor | None:
    """Returns float32 (num_classes,), or None for `none`.

    `balanced` is 1 / frequency (King and Zeng 2001, as in scikit-learn), `sqrt` its square root, which trades some
    recall of rare classes for precision, `effective` the inverse of the effective number of pictures (Cui et al. 2019,
    arXiv 1901.05555, equation 2). All are scaled so that the mean over the pictures is 1 and the learning rate keeps
    its meaning. A class with no picture has weight 0.
    """
    if mode == "none":
        return None
    counts = np.bincount(labels, minlength=num_classes).astype(np.float64)
    numbers = (1 - _EFFECTIVE_BETA**counts) / (1 - _EFFECTIVE_BETA) if mode == "effective" else counts
    inverse = np.divide(1.0, numbers, out=np.zeros_like(counts), where=counts > 0)
    weights = np.sqrt(inverse) if mode == "sqrt" else inverse
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


def build_loss(
    labels: np.ndarray, num_classes: int, config: TrainingConfig, *, sides: np.ndarray | None = None
) -> nn.Module:
    """Returns the loss over logits float32 (N, C), and class indices int64 (N,) or shares float32 (N, C).

    With `sides`, bool (2, C), labels go on behind the classes with benign and malignant, and so do shares.
    """
    weights = class_weights(labels, num_classes, config.class_weights)
    if sides is not None:
        return SidesLoss(sides, weights, label_smoothing=config.label_smoothing)
    if config.loss == "focal":
        return FocalLoss(weights, gamma=config.focal_gamma, label_smoothing=config.label_smoothing)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=config.label_smoothing)


class FocalLoss(nn.Module):
    """Cross-entropy in which what is answered well already weighs little: (1 - p)^gamma (Lin et al. 2017, 1708.02002).

    The mean over the pictures of the weighted loss. With a gamma of 0 and no weights it is cross-entropy.
    """

    weights: Tensor | None

    def __init__(self, weights: Tensor | None, *, gamma: float, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.gamma, self.label_smoothing = gamma, label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        classes = logits.shape[1]
        shares = targets if targets.ndim == 2 else nn.functional.one_hot(targets, classes).to(logits.dtype)
        shares = shares * (1 - self.label_smoothing) + self.label_smoothing / classes
        log_probabilities = logits.log_softmax(dim=1)
        # Not 0, where a power below 1 has no finite slope.
        missing = (1 - log_probabilities.exp()).clamp_min(torch.finfo(logits.dtype).eps)
        focus = missing**self.gamma
        losses = -shares * focus * log_probabilities
        if self.weights is not None:
            losses = losses * self.weights
        return losses.sum(dim=1).mean()


class SidesLoss(nn.Module):
    """Cross-entropy where some labels are a class and some only a side: benign or malignant.

    A side's probability is the sum of those of its classes, so that a picture known as malignant may be any malignant
    class. Labels and shares have C + 2 columns: the classes, benign, malignant. Class weights and label smoothing are
    those of the classes; a side weighs 1. The mean over the pictures.
    """

    weights: Tensor
    members: Tensor

    def __init__(self, members: np.ndarray, weights: Tensor | None, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        sides, classes = members.shape
        known = torch.ones(classes) if weights is None else weights
        self.register_buffer("weights", torch.cat([known, torch.ones(sides)]))
        self.register_buffer("members", torch.from_numpy(members))
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        classes = logits.shape[1]
        shares = targets if targets.ndim == 2 else nn.functional.one_hot(targets, len(self.weights))
        of_classes, of_sides = shares.to(logits.dtype).split([classes, len(self.members)], dim=1)
        even = of_classes.sum(dim=1, keepdim=True) / classes
        of_classes = of_classes * (1 - self.label_smoothing) + even * self.label_smoothing
        log_probabilities = logits.log_softmax(dim=1)
        absent = torch.finfo(logits.dtype).min
        log_sides = log_probabilities[:, None].masked_fill(~self.members, absent).logsumexp(dim=2)
        losses = -torch.cat([of_classes, of_sides], dim=1) * torch.cat([log_probabilities, log_sides], dim=1)
        return (losses * self.weights).sum(dim=1).mean()


def distillation_loss(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Returns T² KL(softmax(teacher / T) || softmax(logits / T)), the mean over the pictures, of logits float32 (N, C).

    The square keeps its gradients of the size of the labels' (Hinton, Vinyals and Dean 2015, arXiv 1503.02531).
    """
    divergence = nn.functional.kl_div(
        (logits / temperature).log_softmax(dim=1),
        (teacher_logits / temperature).log_softmax(dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return temperature**2 * divergence
