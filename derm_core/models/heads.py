"""Builds a network for a number of classes: its own classifier with the last linear layer replaced."""

from __future__ import annotations

from pathlib import Path

import torchvision
from torch import nn

from derm_core.errors import ConfigError
from derm_core.models.architectures import check_architecture
from derm_core.models.pretrained import load_pretrained

_CLASSIFIERS = ("classifier", "fc", "head", "heads")


def build_model(
    architecture: str,
    num_classes: int,
    *,
    pretrained: bool = False,
    weights_dir: Path | None = None,
    dropout: float | None = None,
) -> nn.Module:
    """Builds one of torchvision's networks for float32 (N, 3, H, W) pictures and `num_classes` logits.

    Args:
        architecture: a name of ARCHITECTURES.
        num_classes: number of logits, 2 or more.
        pretrained: start from ImageNet weights; the last linear layer always starts afresh.
        weights_dir: where to look for the weights first; default: what DERM_WEIGHTS_DIR names.
        dropout: probability for every dropout layer of the classifier; None keeps the architecture's own.

    Raises:
        ConfigError: unknown architecture, fewer than two classes, or dropout out of [0, 1).
        WeightsNotFoundError: pretrained weights are neither in the folder nor to be had from the hub.
    """
    check_architecture(architecture)
    if num_classes < 2:
        raise ConfigError(f"A classifier needs at least 2 classes, not {num_classes}.")
    if dropout is not None and not 0 <= dropout < 1:
        raise ConfigError(f"model.dropout is {dropout}; it must be at least 0 and below 1.")
    model = torchvision.models.get_model(architecture, weights=None)
    if pretrained:
        load_pretrained(model, architecture, weights_dir)
    _replace_classifier(model, num_classes)
    if dropout is not None:
        for module in getattr(model, _classifier_name(model)).modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
    return model


def classifier_layer(model: nn.Module) -> nn.Linear:
    """Returns the last linear layer of a network: weight (C, K), bias (C,)."""
    part = getattr(model, _classifier_name(model))
    return [module for module in part.modules() if isinstance(module, nn.Linear)][-1]


def _classifier_name(model: nn.Module) -> str:
    return next(name for name in _CLASSIFIERS if hasattr(model, name))


def _replace_classifier(model: nn.Module, num_classes: int) -> None:
    old = classifier_layer(model)
    new = nn.Linear(old.in_features, num_classes, bias=old.bias is not None)
    for parent in model.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
