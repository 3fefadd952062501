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


def build_loss(labels: np.ndarray, num_classes: int, config: TrainingConfig) -> nn.Module:
    """Returns the loss over logits float32 (N, C), and class indices int64 (N,) or shares float32 (N, C)."""
    weights = class_weights(labels, num_classes, config.class_weights)
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
