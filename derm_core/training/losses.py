"""The loss of training and the weight of each class in it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def class_weights(labels: np.ndarray, num_classes: int, mode: str) -> torch.Tensor | None:
    """Returns float32 (num_classes,), or None for `none`.

    `balanced` is 1 / frequency (King and Zeng 2001, as in scikit-learn), `sqrt` its square root, which trades some
    recall of rare classes for precision. Both are scaled so that the mean over the pictures is 1 and the learning rate
    keeps its meaning. A class with no picture has weight 0.
    """
    if mode == "none":
        return None
    counts = np.bincount(labels, minlength=num_classes).astype(np.float64)
    inverse = np.divide(counts.sum(), counts, out=np.zeros_like(counts), where=counts > 0)
    weights = np.sqrt(inverse) if mode == "sqrt" else inverse
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


def build_loss(
    labels: np.ndarray, num_classes: int, *, weights: str, label_smoothing: float
) -> nn.CrossEntropyLoss:
    """Returns cross-entropy over logits float32 (N, C) and class indices int64 (N,)."""
    return nn.CrossEntropyLoss(
        weight=class_weights(labels, num_classes, weights), label_smoothing=label_smoothing
    )
